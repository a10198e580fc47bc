"""Bodies of replies as a server gives them. Asks none."""

from typing import Any

from starlab_contract import Settings

FORMED = {"formed": 10, "newly_formed": 10, "failed": 0, "pulses": 10}
PROGRAMMED = {
    "cells": 2000, "in_tolerance": 1990, "pulses": 9, "rms_error_uS": 0.25, "rounds": 4,
    "failed": [],
}  # fmt: skip
LEVELLED = {
    "outcome": "level",
    "before": {"codes": 4.7, "sigma_codes": 0.04, "offset_uS": 0.46},
    "after": {"codes": -0.1, "sigma_codes": 0.04, "offset_uS": -0.01},
    "pulses_plus": 0,
    "pulses_minus": 470_400,
    "rounds": 4,
}


def settings() -> dict[str, Any]:
    """Every setting, of whatever value."""
    words = {"output_activation": "relu", "scheme": "cyclic", "phase": "set", "c1_relative": True}
    return {**dict.fromkeys(Settings.model_fields, 1), **words}


def board_of(board_id: str) -> dict[str, Any]:
    """A board that answers and has nothing to tell."""
    return {
        "id": board_id,
        "url": "udp://127.0.0.1:5716",
        "state": "idle",
        "problem": None,
        "serial": "EMU-1",
        "firmware": "0.1",
        "protocol": "1",
        "boot_id": 7,
        "restarts": 0,
        "in_doubt": [],
        "recovered": None,
        "geometry": None,
        "device_model": "nonlinear-3",
        "effects": [],
        "emulated": True,
        "lifetime_pulses": 0,
        "faults": [],
        "link": None,
    }


def board_without_thresholds(board_id: str) -> dict[str, Any]:
    """A board that speaks only the protocol of the chip's authors, as the server tells of it."""
    flags = [
        "exactly_once", "batches", "thresholds", "non_cyclic", "hidden_codes", "array2_alone",
        "training_pulses", "counters", "supply_readings", "fault_latches", "safe_when_silent",
        "emulator",
    ]  # fmt: skip
    return {**board_of(board_id), "capabilities": dict.fromkeys(flags, False)}


def supply_of(unit: str) -> dict[str, Any]:
    """A supply that gives nearly what was asked."""
    values = {"requested": 80.0, "measured": 79.9, "low": 6.0, "high": 130.0}
    suffix = unit.lower()
    named = {f"{name}_{suffix}": value for name, value in values.items()}
    return {"index": 1, "code": 9, "settled": True, "fault": False, "unit": unit, **named}
