"""Inference and learning with the whole network, over HTTP."""

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.numpy_bodies import NPY, NPZ, WANT_NPY, WANT_NPZ, array_in, arrays_in, npy, npz

RNG = np.random.default_rng(11)
SAMPLES = (RNG.random((20, 784)) < 0.15).astype(np.uint8)
LABELS = RNG.integers(0, 10, 20)


def test_an_inference_gives_outputs_and_labels(board: TestClient) -> None:
    reply = board.post("/infer", json={"inputs": SAMPLES.tolist()}).json()
    outputs = np.array(reply["outputs"])
    assert set(reply) == {"outputs", "labels"}
    assert outputs.shape == (20, 10)
    np.testing.assert_array_equal(outputs.argmax(axis=1), reply["labels"])


def test_hidden_codes_come_when_asked_for(board: TestClient) -> None:
    reply = board.post("/infer?hidden=true", content=npy(SAMPLES), headers={**NPY, **WANT_NPZ})
    arrays = arrays_in(reply.content)
    assert {name: array.shape for name, array in arrays.items()} == {
        "outputs": (20, 10),
        "labels": (20,),
        "hidden": (20, 100),
    }


def test_packed_bits_are_the_same_inputs(board: TestClient) -> None:
    whole = board.post("/infer", content=npy(SAMPLES), headers={**NPY, **WANT_NPY})
    packed = board.post(
        "/infer", content=npy(np.packbits(SAMPLES, axis=1)), headers={**NPY, **WANT_NPY}
    )
    np.testing.assert_array_equal(array_in(whole.content), array_in(packed.content))


def test_learning_reports_each_sample_in_order(board: TestClient) -> None:
    expected = board.post("/infer", json={"inputs": SAMPLES[:1].tolist()}).json()["outputs"]
    reply = board.post(
        "/train-step", json={"inputs": SAMPLES.tolist(), "labels": LABELS.tolist()}
    ).json()
    assert reply["outputs"][0] == expected[0]
    outputs, pulses = np.array(reply["outputs"]), np.array(reply["pulses"])
    np.testing.assert_array_equal(outputs.argmax(axis=1) == LABELS, reply["correct"])
    assert pulses.shape == (20, 2)
    counted = board.get("/counters").json()
    assert counted["operations"]["training"] == 20
    for array, total in zip(("array1", "array2"), pulses.sum(axis=0), strict=True):
        given = counted["pulses"][array]
        assert given["set"] + given["reset"] == total


def test_a_layer_that_is_held_gets_no_pulse(board: TestClient) -> None:
    body = npz(inputs=SAMPLES, labels=LABELS)
    reply = board.post("/train-step?layers=2", content=body, headers={**NPZ, **WANT_NPZ})
    pulses = arrays_in(reply.content)["pulses"].sum(axis=0)
    assert pulses[0] == 0
    assert pulses[1] > 0


@pytest.mark.parametrize("layers", ["layers=1,2", "layers=1&layers=2"])
def test_layers_may_be_repeated_or_separated_by_commas(board: TestClient, layers: str) -> None:
    body = npz(inputs=SAMPLES, labels=LABELS)
    where = f"/train-step?th1_uS=0.5&{layers}"
    reply = board.post(where, content=body, headers={**NPZ, **WANT_NPZ})
    assert (arrays_in(reply.content)["pulses"].sum(axis=0) > 0).all()


def test_targets_may_stand_for_labels(board: TestClient) -> None:
    targets = np.where(np.arange(10) == LABELS[:, None], 79, 0)
    body = npz(inputs=SAMPLES, targets=targets)
    by_targets = board.post("/train-step", content=body, headers={**NPZ, **WANT_NPZ})
    board.post("/emulator", json={"seed": 1, "virgin": False})
    body = npz(inputs=SAMPLES, labels=LABELS)
    by_labels = board.post("/train-step", content=body, headers={**NPZ, **WANT_NPZ})
    for name, array in arrays_in(by_labels.content).items():
        np.testing.assert_array_equal(arrays_in(by_targets.content)[name], array)


def test_settings_of_a_step_are_set_before_it_and_stay(board: TestClient) -> None:
    body = npz(inputs=SAMPLES, labels=LABELS)
    where = "/train-step?th=65535&scheme=non-cyclic&c1=0.25"
    reply = board.post(where, content=body, headers={**NPZ, **WANT_NPZ})
    assert arrays_in(reply.content)["pulses"].sum() == 0
    settings = board.get("/settings").json()
    assert (settings["th"], settings["scheme"], settings["c1"]) == (65535, "non-cyclic", 0.25)
    in_json = {"inputs": SAMPLES.tolist(), "labels": LABELS.tolist(), "settings": {"th": 3}}
    assert board.post("/train-step", json=in_json).status_code == 200
    assert board.get("/settings").json()["th"] == 3


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"labels": [10] * 20}, "labels[0]"),
        ({"labels": [0] * 19}, "labels"),
        ({"labels": None}, "labels"),
        ({"targets": [[0] * 10] * 20}, "labels"),
        ({"inputs": [[2] * 784] * 20}, "inputs"),
        ({"inputs": [[0] * 783] * 20}, "inputs"),
        ({"inputs": [[0] * 784, [0]]}, "inputs"),
        ({"layers": [3]}, "layers.0"),
        ({"layers": []}, "layers"),
        ({"settings": {"th": -1}}, "th"),
        ({"settings": {"threshold": 1}}, "settings.threshold"),
        ({"epochs": 3}, "epochs"),
    ],
)
def test_bad_input_names_the_field_and_leaves_the_chip_alone(
    board: TestClient, changes: dict[str, object], field: str
) -> None:
    body = {"inputs": SAMPLES.tolist(), "labels": LABELS.tolist(), **changes}
    reply = board.post("/train-step", json={k: v for k, v in body.items() if v is not None})
    assert (reply.status_code, reply.json()["field"]) == (422, field)
    assert board.get("/counters").json()["operations"]["training"] == 0


def test_parameters_of_a_json_call_belong_into_its_body(board: TestClient) -> None:
    reply = board.post("/infer?hidden=true", json={"inputs": SAMPLES.tolist()})
    assert (reply.status_code, reply.json()["field"]) == (422, "hidden")


def test_a_virgin_chip_infers_nothing(virgin_board: TestClient) -> None:
    reply = virgin_board.post("/infer", json={"inputs": SAMPLES.tolist()})
    assert (reply.status_code, reply.json()["type"]) == (409, "not-formed")
    assert reply.json()["board"] == "emu0"
