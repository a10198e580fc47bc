"""Measures what a board's generators really give, one after the other. Applies no pulse.

Each channel is swept over some codes around its published setting, while all others stay where they
are; whatever happens, it is set back before the next one. No operation runs meanwhile, so that no
rail drives a cell. A sweep stays within the safe operating area, with room for the error that is
not known yet; from the second point on, what was measured says how far it may go.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_host.board.board import Board
from starlab_host.board.calibration import Calibration, ChannelFit, fit
from starlab_host.errors import CalibrationError, NotReady, StarlabHostError
from starlab_host.results import SupplyState
from starlab_host.safety import check_whole
from starlab_spec.supplies import CODE_MAX, Channel
from starlab_spec.wire.transactions import Status, get_supply, supply_reading

Progress = Callable[[int, int], None]
"""Told how many channels are done, of how many."""

GAIN_ERROR_MAX: Final = 0.03
"""Gain error that a sweep leaves room for: three times that of a 1 % divider [O]."""
OFFSET_MAX: Final = {"mV": 30.0, "uA": 0.06}
"""Offset that it leaves room for [O]."""
POINTS: Final = 5
"""Codes that are measured: a line needs two, the others tell whether it is one."""
READINGS: Final = 32
"""Measurements at each code: noise falls to a sixth."""
READINGS_MAX: Final = 1000


def calibrate(
    board: Board,
    *,
    now: datetime,
    points: int = POINTS,
    readings: int = READINGS,
    on_progress: Progress | None = None,
) -> Calibration:
    """Measure all channels of a board that is up; afterwards its codes are what they were.

    Args:
        board: Nobody else may use it meanwhile.
        now: The time, for the record.
        points: Codes a channel, 3..64.
        readings: Measurements a code, 2..1000.
        on_progress: Told of channels done.

    Raises:
        LimitExceeded: Too few or too many points or readings.
        BoardRefused: UNSUPPORTED: a board whose supplies cannot be read back.
        NotReady: A supply is off.
        CalibrationError: A channel does not follow its codes.
    """
    check_whole("points", points, 3, 64)
    check_whole("readings", readings, 2, READINGS_MAX)
    board.capabilities.require("supply_readings")
    before = {state.name: state for state in board.supplies()}
    for state in before.values():
        if not state.settled:
            message = f"supply {state.name} is off or has not settled"
            raise NotReady(Status.NOT_READY, message)
    fits: dict[str, ChannelFit] = {}
    tell = board.reporting("supplies", on_progress)
    board.reporting("supplies")(0, len(board.channels))

    for done, channel in enumerate(board.channels):
        with _restored(board, before[channel.name]):
            fits[channel.name] = _measure(board, channel, points, readings)
        tell(done + 1, len(board.channels))
    made_at = now.astimezone(UTC).isoformat(timespec="seconds")
    return Calibration(board.identity["serial"], made_at, readings, fits)


def sweep_codes(channel: Channel, points: int) -> list[int]:
    """Codes to measure a channel at: even in its values, the nearest to its default first."""
    room = OFFSET_MAX[channel.unit]
    safe = [
        code
        for code in range(CODE_MAX + 1)
        if channel.value(code) * (1 - GAIN_ERROR_MAX) - room >= channel.low
        and channel.value(code) * (1 + GAIN_ERROR_MAX) + room <= channel.high
    ]
    values = np.array([channel.value(code) for code in safe])
    wanted = np.linspace(values.min(), values.max(), points)
    codes = {safe[int(np.argmin(np.abs(values - value)))] for value in wanted}
    return sorted(codes, key=lambda code: abs(channel.value(code) - channel.default))


def _measure(board: Board, channel: Channel, points: int, readings: int) -> ChannelFit:
    nominal: list[float] = []
    measured: list[NDArray[np.float64]] = []
    is_relative = channel.unit == "uA"
    for code in sweep_codes(channel, points):
        value = channel.value(code)
        if len(nominal) >= 2:
            so_far = fit(np.array(nominal), np.stack(measured), is_relative=is_relative)
            if not channel.low <= so_far.real(value) <= channel.high:
                continue
        board.set_supply_codes({channel.name: code})
        asked = [get_supply(channel.index)] * readings
        results = board.execute(asked, read_only=True)
        nominal.append(value)
        measured.append(np.array([supply_reading(result).measured / 1000 for result in results]))
    found = fit(np.array(nominal), np.stack(measured), is_relative=is_relative)
    if found.gain <= 0:
        raise CalibrationError(f"supply {channel.name} does not follow its code: {found}")
    return found


@contextlib.contextmanager
def _restored(board: Board, state: SupplyState) -> Iterator[None]:
    """Set a channel back at the end; where that fails too, the first failure is told."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(StarlabHostError):
            board.restore_supply(state)
        raise
    board.restore_supply(state)
