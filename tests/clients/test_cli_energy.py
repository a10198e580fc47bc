"""Counters and energy on the command line."""

import re
from typing import Any

from tests.clients.command_line import Run
from tests.clients.conftest import FakeServer

from starlab.energy_report import Work, energy_report
from starlab_contract import Settings


def counters_of(training: int) -> dict[str, Any]:
    shares = {"set": 2e-3, "reset": 1e-3, "form": 0.0}
    return {
        "pulses": {name: {"set": 300, "reset": 100, "form": 0} for name in ("array1", "array2")},
        "operations": dict.fromkeys(("form", "set", "reset", "read", "inference"), 4)
        | {"training": training},
        "energy_j": 1e-2,
        "emulated_time_s": 8.0,
        "energy_parts_j": {
            "array1": shares,
            "array2": shares,
            "cells": 1e-3,
            "converters": 2e-3,
            "lines": 1e-3,
        },
        "time_parts_s": {
            "array1": shares,
            "array2": shares,
            "read": 1.0,
            "forward": 2.0,
            "backward": 3.0,
            "waiting": 1.994,
        },
    }


def test_counters_shows_pulses_operations_and_what_took_energy_and_time(
    run: Run, server: FakeServer
) -> None:
    server.will_answer_json(counters_of(training=7))
    finished = run("counters")
    assert finished.code == 0
    assert "training │ 7 │ samples" in finished.words
    assert "SET pulses, array 1 │ 2 │ 20.0 %" in finished.words
    assert "waiting │ 1.994 │ 24.9 %" in finished.words
    assert server.request.url.path == "/api/v1/boards/emu0/counters"
    assert run("counters", "--json").json["counters"] == counters_of(training=7)


def test_energy_shows_the_published_method_its_comparison_and_what_it_rests_on(
    run: Run, server: FakeServer
) -> None:
    some = dict.fromkeys(Settings.model_fields, 1)
    words = {"output_activation": "none", "scheme": "cyclic", "phase": "set"}
    settings = {**some, **words, "adc_bits_1": 8, "adc_bits_2": 5}
    for _ in range(2):
        server.will_answer_json(counters_of(training=7))
        server.will_answer_json(settings)
    finished = run("energy")
    assert finished.code == 0
    assert "Energy of 7 learning steps by the published method" in finished.words
    assert re.search(r"published, of a digital accelerator[ │]+1/35 ", finished.words)
    assert "processor_power" in finished.words
    assert "130 nm [the " in finished.words
    told = run("energy", "--json").json
    work = Work((300, 300), (100, 100), steps=7, adc_bits_1=8, adc_bits_2=5)
    assert told == {**energy_report(work).json(), "emulated_j": 1e-2}
