"""What the SDK sends for each call, and what it makes of the answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.clients.conftest import NPY, NPZ, FakeServer, npy_bytes, npz_bytes
from tests.clients.replies import LEVELLED

from starlab import Client, InvalidInput

Bits = Callable[[int], Any]


def test_bits_travel_packed_and_outputs_come_back_as_int32(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    outputs = np.arange(-15, 15, dtype=np.int32).reshape(3, 10)
    server.will_answer(npz_bytes(outputs=outputs, labels=np.array([9, 9, 9])), NPZ)
    bits = make_bits(3)

    result = client.board("emu0").infer(bits.astype(float))

    assert server.request.method == "POST"
    assert server.request.url.path == "/api/v1/boards/emu0/infer"
    assert server.request.headers["content-type"] == NPY
    assert server.request.headers["accept"] == NPZ
    sent = server.arrays["npy"]
    assert sent.dtype == np.uint8
    np.testing.assert_array_equal(sent, np.packbits(bits, axis=1))
    np.testing.assert_array_equal(result, outputs)


def test_packed_bits_are_sent_as_they_are(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    server.will_answer(npz_bytes(labels=np.array([1, 2])), NPZ)
    packed = np.packbits(make_bits(2), axis=1)
    client.board("emu0").classify(packed)
    np.testing.assert_array_equal(server.arrays["npy"], packed)


def test_hidden_codes_are_asked_for_only_when_wanted(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    hidden = np.full((1, 100), 7, np.uint8)
    server.will_answer(npz_bytes(outputs=np.zeros((1, 10), np.int32), hidden=hidden), NPZ)
    board = client.board("emu0")
    board.infer(make_bits(1))
    assert server.query == []
    _, codes = board.infer_with_hidden(make_bits(1))
    assert server.query == [("hidden", "true")]
    np.testing.assert_array_equal(codes, hidden)


def test_a_single_image_is_a_batch_of_one(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    server.will_answer(npz_bytes(outputs=np.zeros((1, 10), np.int32)), NPZ)
    assert client.board("emu0").infer(make_bits(1)[0]).shape == (1, 10)
    assert server.arrays["npy"].shape == (1, 98)


def test_a_training_step_sends_labels_layers_and_settings(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    server.will_answer(
        npz_bytes(
            outputs=np.zeros((4, 10), np.int32),
            correct=np.array([True, False, True, True]),
            pulses=np.array([[10, 1], [0, 0], [5, 2], [1, 1]], np.uint32),
        ),
        NPZ,
    )
    step = client.board("emu0").train_step(
        make_bits(4), [3, 1, 4, 1], layers=[2], th=4, scheme="non-cyclic", c1_relative=True
    )
    assert server.request.url.path == "/api/v1/boards/emu0/train-step"
    assert server.query == [
        ("layers", "2"),
        ("th", "4"),
        ("c1_relative", "true"),
        ("scheme", "non-cyclic"),
    ]
    assert server.arrays["inputs"].shape == (4, 98)
    np.testing.assert_array_equal(server.arrays["labels"], [3, 1, 4, 1])
    assert step.accuracy == 0.75
    assert step.pulses.sum(axis=0).tolist() == [16, 4]


def test_training_cuts_batches_and_changes_settings_with_the_first_only(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    for size in (4, 4, 2, 4, 4, 2):
        server.will_answer(
            npz_bytes(
                outputs=np.zeros((size, 10), np.int32),
                correct=np.ones(size, np.bool_),
                pulses=np.zeros((size, 2), np.uint32),
            ),
            NPZ,
        )
    bits, labels = make_bits(10), np.arange(10)
    steps = list(client.board("emu0").train(bits, labels, batch=4, epochs=2, th=4))
    assert [(step.epoch, step.seen, len(step)) for step in steps] == [
        (0, 4, 4),
        (0, 8, 4),
        (0, 10, 2),
        (1, 14, 4),
        (1, 18, 4),
        (1, 20, 2),
    ]
    with_th = ["th" in request.url.params for request in server.requests]
    assert with_th == [True, False, False, False, False, False]


def test_a_shuffled_training_sends_every_sample_once_an_epoch_with_its_label(
    client: Client, server: FakeServer
) -> None:
    server.will_answer(
        npz_bytes(
            outputs=np.zeros((5, 10), np.int32),
            correct=np.ones(5, np.bool_),
            pulses=np.zeros((5, 2), np.uint32),
        ),
        NPZ,
    )
    images = np.repeat(np.arange(10, dtype=np.uint8)[:, np.newaxis], 98, axis=1)
    rng = np.random.default_rng(2)
    sent = []
    for _ in client.board("emu0").train(images, np.arange(10), batch=5, rng=rng):
        arrays = server.arrays
        np.testing.assert_array_equal(arrays["inputs"][:, 0], arrays["labels"])
        sent += arrays["labels"].tolist()
    assert sorted(sent) == list(range(10))
    assert sent != list(range(10))


def test_evaluation_compares_with_the_labels(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    server.will_answer(npz_bytes(labels=np.array([1, 2, 3, 4])), NPZ)
    evaluation = client.board("emu0").evaluate(make_bits(4), [1, 2, 0, 4])
    assert (evaluation.correct, evaluation.accuracy) == (3, 0.75)


def test_weights_travel_as_npz_and_the_rest_in_the_query(
    client: Client, server: FakeServer
) -> None:
    server.will_answer_json(
        {
            "cells": 2000,
            "in_tolerance": 1999,
            "pulses": 7,
            "rms_error_uS": 0.2,
            "rounds": 3,
            "failed": [[0, 1, 2]],
        }
    )
    weights = np.linspace(-1, 1, 1000).reshape(100, 10)
    report = client.board("emu0").arrays[2].program(weights=weights, tolerance_uS=0.4)
    assert server.request.url.path == "/api/v1/boards/emu0/arrays/2/program"
    assert server.query == [("tolerance_uS", "0.4"), ("method", "write-verify")]
    np.testing.assert_array_equal(server.arrays["weights"], weights)
    assert report.failed == [(0, 1, 2)]


def test_conductances_travel_under_their_own_name(client: Client, server: FakeServer) -> None:
    server.will_answer_json(
        {
            "cells": 2000,
            "in_tolerance": 2000,
            "pulses": 7,
            "rms_error_uS": 0.2,
            "rounds": 3,
            "failed": [],
        }
    )
    client.board("emu0").arrays[2].program(np.full((2, 100, 10), 11.0), max_pulses=30)
    assert list(server.arrays) == ["conductance_uS"]
    assert ("max_pulses", "30") in server.query


def test_conductance_is_read_for_rows_and_columns(client: Client, server: FakeServer) -> None:
    cells = np.full((2, 10, 3), 11.5, np.float32)
    server.will_answer(npy_bytes(cells), NPY)
    read = client.board("emu0").arrays[1].conductance_uS(rows=range(10), columns=[0, 5, 7])
    assert server.query == [("rows", "0:10"), ("columns", "0,5,7")]
    np.testing.assert_array_equal(read, cells)


def test_array_1_multiplies_bits_and_array_2_pulse_counts(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    server.will_answer(npy_bytes(np.zeros((2, 100), np.uint8)), NPY)
    board = client.board("emu0")
    assert board.arrays[1].vmm(make_bits(2)).dtype == np.int32
    assert server.arrays["npy"].shape == (2, 98)
    board.arrays[2].vmm(np.full((2, 100), 31.0))
    assert server.arrays["npy"].shape == (2, 100)
    assert server.arrays["npy"].dtype.kind == "i"


def test_pulses_go_by_mask_or_by_cross_product(client: Client, server: FakeServer) -> None:
    server.will_answer_json({"pulses": 12})
    array = client.board("emu0").arrays[2]
    mask = np.zeros((2, 100, 10), np.bool_)
    mask[0, 3] = True
    assert array.pulse("set", mask=mask, count=3) == 12
    assert server.query == [("kind", "set"), ("count", "3")]
    np.testing.assert_array_equal(server.arrays["npy"], mask)

    array.pulse("reset", rows=[1, 2], columns="0:10", polarity="-", width_ns=50)
    assert server.json == {
        "kind": "reset",
        "count": 1,
        "width_ns": 50,
        "rows": "1,2",
        "columns": "0:10",
        "polarity": "-",
    }


def test_forming_names_only_what_was_named(client: Client, server: FakeServer) -> None:
    server.will_answer_json({"formed": 2000, "newly_formed": 2000, "failed": 0, "pulses": 2000})
    assert client.board("emu0").arrays[2].form().formed == 2000
    assert server.json == {}


def test_supplies_are_set_in_their_own_units(client: Client, server: FakeServer) -> None:
    server.will_answer_json({})
    client.board("emu0").set_supplies(mv={"VBLset": 2000}, ua={"Iref_integ": 80})
    assert server.request.method == "PATCH"
    assert server.json == {"VBLset": {"mv": 2000.0}, "Iref_integ": {"ua": 80.0}}


VOLTAGE_FIT = {
    "unit": "mV",
    "gain": 1.01,
    "gain_sigma": 0.001,
    "points": 5,
    "offset_mv": 3.0,
    "offset_sigma_mv": 0.2,
    "residual_mv": 0.1,
    "error_mv": 25.0,
    "error_sigma_mv": 0.3,
}
CALIBRATION = {
    "serial": "B7",
    "made_at": "2024-02-29T12:00:00Z",
    "in_use": True,
    "readings": 32,
    "channels": {"VBLset": VOLTAGE_FIT},
}


def test_supplies_are_calibrated_asked_and_forgotten(client: Client, server: FakeServer) -> None:
    server.will_answer_json(CALIBRATION)
    board = client.board("emu0")
    made = board.calibrate(points=7)
    assert (server.request.method, server.json) == ("POST", {"points": 7, "readings": 32})
    assert server.request.url.path == "/api/v1/boards/emu0/calibration"
    assert made.channels["VBLset"].gain == 1.01
    assert board.calibration() == made
    assert server.request.method == "GET"
    assert board.remove_calibration() == made
    assert server.request.method == "DELETE"
    with pytest.raises(InvalidInput, match="points"):
        board.calibrate(points=1)


def test_rails_are_balanced(client: Client, server: FakeServer) -> None:
    voltages = {"plus_mv": 230.0, "minus_mv": 220.0, "mismatch_mv": 10.0}
    server.will_answer_json({"before": voltages, "after": voltages, "codes": {"VBL27": 108}})
    done = client.board("emu0").balance(readings=2)
    assert server.request.url.path == "/api/v1/boards/emu0/supplies/balance"
    assert server.json == {"readings": 2}
    assert done.after.mismatch_mv == 10.0


def test_array_1_is_levelled(client: Client, server: FakeServer) -> None:
    server.will_answer_json(LEVELLED)
    array = client.board("emu0").arrays[1]
    done = array.level(tolerance_codes=0.3)
    assert server.request.method == "POST"
    assert server.request.url.path == "/api/v1/boards/emu0/arrays/1/level"
    assert server.json == {"tolerance_codes": 0.3, "readings": 256}
    assert (done.outcome, done.after.codes, done.pulses_minus) == ("level", -0.1, 470_400)
    with pytest.raises(InvalidInput, match="tolerance_codes"):
        array.level(tolerance_codes=0)
    with pytest.raises(InvalidInput, match="readings"):
        array.level(readings=7)


def test_registers_are_addressed_in_hexadecimal(client: Client, server: FakeServer) -> None:
    server.will_answer_json({"address": 0x2C, "name": None, "value": 5, "fields": {}})
    client.board("emu0").write_register(0x2C, 5, mask=0xFF)
    assert server.request.method == "PUT"
    assert server.request.url.path == "/api/v1/boards/emu0/registers/0x2C"
    assert server.json == {"value": 5, "mask": 255}


def test_boards_are_looked_for_where_it_is_said(client: Client, server: FakeServer) -> None:
    server.will_answer_json([{"id": None, "url": "udp://a:1", "other_urls": [], "serial": "S"}])
    (found,) = client.discover(["udp://10.0.0.255"], wait_s=2)
    assert (server.request.method, server.request.url.path) == ("POST", "/api/v1/boards/discover")
    assert server.json == {"addresses": ["udp://10.0.0.255"], "wait_s": 2.0}
    assert (found.url, found.serial, found.in_use) == ("udp://a:1", "S", None)
    with pytest.raises(InvalidInput, match="wait_s"):
        client.discover(wait_s=0)


def test_commands_in_doubt_are_acknowledged_by_number(client: Client, server: FakeServer) -> None:
    server.will_answer_json([])
    assert client.board("emu0").acknowledge([3, 4]) == []
    assert server.request.method == "DELETE"
    assert server.request.url.raw_path == b"/api/v1/boards/emu0/in-doubt?entry=3&entry=4"
    server.will_answer_json([])
    assert client.board("emu0").in_doubt() == []
    assert server.request.method == "GET"
    assert client.board("emu0").journal(newest=5) == []
    assert server.request.url.raw_path == b"/api/v1/boards/emu0/journal?newest=5"
    with pytest.raises(InvalidInput, match="entries: none are given"):
        client.board("emu0").acknowledge([])


def test_the_id_of_a_board_cannot_leave_its_place_in_the_path(
    client: Client, server: FakeServer
) -> None:
    server.will_answer_json({"faults": []})
    client.board("../x?y").emergency_stop()
    assert server.request.url.raw_path == b"/api/v1/boards/..%2Fx%3Fy/emergency-stop"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((3, 783)), r"shape \(3, 783\)"),
        (np.full((1, 784), 0.5), "other than 0 and 1"),
        (np.full((1, 784), np.nan), "other than 0 and 1"),
        (np.full((1, 784), 255), "other than 0 and 1"),
        (np.zeros((1, 98)), r"shape \(1, 98\) of float64"),
    ],
)
def test_inputs_that_are_no_bits_are_refused_before_anything_is_sent(
    client: Client, server: FakeServer, inputs: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        client.board("emu0").infer(inputs)
    assert not server.requests


def test_wrong_labels_targets_and_settings_are_refused_before_anything_is_sent(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    board, bits = client.board("emu0"), make_bits(2)
    for labels, message in (
        ([1], "1 labels for 2 inputs"),
        ([1, 10], r"1\.\.10"),
        ([1.5, 2], "whole"),
        ([[1, 2]], "shape"),
    ):
        with pytest.raises(InvalidInput, match=message):
            board.train_step(bits, labels)
    with pytest.raises(InvalidInput, match="either labels or targets"):
        board.train_step(bits)
    with pytest.raises(InvalidInput, match="3 targets for 2 inputs"):
        board.train_step(bits, targets=np.zeros((3, 10)))
    with pytest.raises(InvalidInput, match=r"threshold.*known: adc_bits_1"):
        board.train_step(bits, [1, 2], threshold=4)
    with pytest.raises(InvalidInput, match="either conductance_uS or weights"):
        board.arrays[1].program()
    with pytest.raises(InvalidInput, match="finite"):
        board.arrays[2].program(weights=np.full((100, 10), np.nan))
    with pytest.raises(InvalidInput, match="either mv or ua"):
        board.set_supplies(mv={"VBLset": 1}, ua={"VBLset": 1})
    with pytest.raises(InvalidInput, match="at least 1"):
        board.train(bits, [1, 2], batch=0)
    assert not server.requests
