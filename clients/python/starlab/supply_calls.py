"""Calls that calibrate, balance and level a board: as `starlab.calls`. Sends nothing."""

from starlab.call import Call, board_path, checked, get, send
from starlab_contract import (
    BalanceRails,
    BalanceReply,
    Calibrate,
    Calibration,
    Level,
    LevelReply,
)


def calibrate(board_id: str, points: int = 5, readings: int = 32) -> Call[Calibration]:
    """Measure what the supplies really give, and set them by it from then on."""
    body = checked(Calibrate, {"points": points, "readings": readings})
    return send("POST", f"{board_path(board_id)}/calibration", body, Calibration)


def calibration(board_id: str) -> Call[Calibration]:
    """What was measured last."""
    return get(f"{board_path(board_id)}/calibration", Calibration)


def remove_calibration(board_id: str) -> Call[Calibration]:
    """Forget what was measured."""
    return send("DELETE", f"{board_path(board_id)}/calibration", None, Calibration)


def balance(board_id: str, readings: int = 4) -> Call[BalanceReply]:
    """Trim VBL27 and VBL23 until balanced weights give no current."""
    body = checked(BalanceRails, {"readings": readings})
    return send("POST", f"{board_path(board_id)}/supplies/balance", body, BalanceReply)


def level(
    board_id: str, array: int, tolerance_codes: float = 0.12, readings: int = 256
) -> Call[LevelReply]:
    """Pulse whole planes of an array until they read alike."""
    body = checked(Level, {"tolerance_codes": tolerance_codes, "readings": readings})
    return send("POST", f"{board_path(board_id)}/arrays/{array}/level", body, LevelReply)
