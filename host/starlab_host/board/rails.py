"""The 22 generators of a board: set, wait until they have settled, power up and down. No pulses.

Values are what a generator is to give. Without a calibration its code is the nominal one; with one,
the code that comes nearest by what was measured, and the limits hold for the real value too.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

from starlab_host.board.calibration import Calibration
from starlab_host.errors import NotReady
from starlab_host.results import SupplyState
from starlab_spec.supplies import CODE_MAX, SUPPLIES, Channel, supply
from starlab_spec.wire.transactions import (
    Result,
    Status,
    SupplyReading,
    Transaction,
    get_supply,
    set_supply,
    supply_reading,
)

SETTLE_TIMEOUT_S: Final = 5.0
"""A generator that has not settled by then is taken for broken [O]."""
_FIRST_PAUSE_S: Final = 0.001
_LONGEST_PAUSE_S: Final = 0.05
_log: Final = logging.getLogger(__name__)


class Execute(Protocol):
    """Runs a command; raises where a transaction of it fails."""

    def __call__(
        self,
        transactions: Sequence[Transaction],
        /,
        *,
        read_only: bool = False,
        dry_run: bool = False,
    ) -> list[Result]:
        """Run it."""


@dataclass(slots=True)
class _Known:
    """What the host knows of the generators, whoever asks."""

    requested: dict[str, float] = field(default_factory=dict)
    """What was asked for, by name."""
    calibration: Calibration | None = None


class Rails:
    """All generators of one board.

    Args:
        execute: How commands reach the board.
        clock: Seconds, for the timeout.
        sleep: Waits for some seconds.
        channels: All 22, with the limits that hold.

    Attributes:
        channels: All 22, with the limits that hold.
    """

    def __init__(
        self,
        execute: Execute,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        channels: Sequence[Channel] = SUPPLIES,
    ) -> None:
        self.channels = channels
        self._execute = execute
        self._clock = clock
        self._sleep = sleep
        self._known = _Known()

    def by(self, execute: Execute) -> Self:
        """The same generators, reached by another way: all else is shared."""
        others = object.__new__(type(self))  # what copy.copy does, in a fifth of the time
        others.__dict__.update(self.__dict__)
        others._execute = execute
        return others

    @property
    def calibration(self) -> Calibration | None:
        """What was measured of them; None: codes are taken at their nominal value."""
        return self._known.calibration

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        self._known.calibration = calibration

    def channel(self, name: str) -> Channel:
        """The generator of a published name, with its limits.

        Raises:
            UnknownName: There is none.
        """
        return self.channels[supply(name).index]

    def value(self, name: str, code: int) -> float:
        """What a generator gives at a code, as far as is known: millivolt or microampere."""
        channel = self.channel(name)
        nominal = channel.value(code)
        return nominal if self.calibration is None else self.calibration.real(channel, code)

    def states(self, channels: Iterable[Channel] | None = None) -> list[SupplyState]:
        """Generators, read back: one command."""
        wanted = list(self.channels if channels is None else channels)
        results = self._execute([get_supply(c.index) for c in wanted], read_only=True)
        readings = map(supply_reading, results)
        return [self._state(c, reading) for c, reading in zip(wanted, readings, strict=True)]

    def set(self, values: Mapping[str, float]) -> list[SupplyState]:
        """Set generators, all of them or none, and wait until they have settled.

        Args:
            values: By published name, millivolt or microampere.

        Returns:
            How they read afterwards, in power-up order.

        Raises:
            UnknownName, LimitExceeded: Nothing was sent.
            BoardRefused: The board does not want one of them; nothing was changed.
            NotReady: They are set, but one of them does not settle.
        """
        return self._set(self.codes(values), values)

    def codes(self, values: Mapping[str, float]) -> list[tuple[Channel, int]]:
        """The codes that give values, in power-up order.

        Raises:
            UnknownName, LimitExceeded: As :meth:`set`.
        """
        calibration = self.calibration
        codes = []
        for name, value in values.items():
            channel = self.channel(name)
            code = channel.code(value)
            if calibration is not None:
                code = calibration.code(channel, value)
            codes.append((channel, code))
        return sorted(codes, key=lambda pair: pair[0].index)

    def set_codes(
        self, codes: Mapping[str, int], requested: Mapping[str, float] | None = None
    ) -> list[SupplyState]:
        """Set generators to codes within their limits; otherwise as :meth:`set`.

        Args:
            codes: By published name.
            requested: What the codes stand for, where somebody asked for values.
        """
        channels = sorted(map(self.channel, codes), key=lambda channel: channel.index)
        for channel in channels:
            channel.check_code(codes[channel.name])
        return self._set([(c, codes[c.name]) for c in channels], requested or {})

    def bring_up(self) -> None:
        """Switch all generators on, in power-up order, at their published settings.

        A generator that cannot give its setting, by its calibration, gives what comes nearest. A
        calibration that the board does not bear out is put out of use, and logged.

        Raises:
            NotReady: One of them does not settle.
        """
        self._bring_up()
        if self.calibration is not None and self._is_stale():
            self._bring_up()

    def make_ready(self) -> None:
        """Bring up what is off; leave generators that are on as they are, but wait for them."""
        states = self.states()
        if any(_is_off(state) for state in states):
            self.bring_up()
            return
        self._wait([self.channel(state.name) for state in states if not state.settled])
        if self.calibration is not None:
            self._is_stale()

    def power_down(self) -> None:
        """Take every rail to its least safe value, the last one that came up first: one command.

        What drives current through cells is gone before the gates that hold them. The drivers stay
        on; a session that ends, or an emergency stop, switches them off.
        """
        self._execute([set_supply(c.index, lowest_code(c)) for c in reversed(self.channels)])
        self._known.requested.clear()

    def _bring_up(self) -> None:
        calibration = self.calibration
        codes = [
            (c, c.default_code if calibration is None else calibration.nearest_code(c, c.default))
            for c in self.channels
        ]
        self._set(codes, {channel.name: channel.default for channel in self.channels})

    def _is_stale(self) -> bool:
        """Whether the calibration is off by more than a code; then it is put out of use."""
        assert self.calibration is not None  # noqa: S101 - asked by the callers
        wrong = [s.name for s in self.states() if not self.calibration.bears_out(s)]
        if not wrong:
            return False
        _log.warning(
            "calibration of %s of %s is out of use: %s measure otherwise by more than a code",
            self.calibration.serial,
            self.calibration.made_at,
            ", ".join(wrong),
        )
        self.calibration = None
        return True

    def forget(self) -> None:
        """Nobody has asked for what the supplies are now."""
        self._known.requested.clear()

    def _set(
        self, codes: Sequence[tuple[Channel, int]], requested: Mapping[str, float]
    ) -> list[SupplyState]:
        if not codes:
            return []
        transactions = [set_supply(channel.index, code) for channel, code in codes]
        self._execute(transactions, dry_run=True)
        results = self._execute(transactions)
        for channel, _ in codes:
            self._known.requested.pop(channel.name, None)
        self._known.requested.update(requested)
        channels = [channel for channel, _ in codes]
        readings = dict(zip(channels, map(supply_reading, results), strict=True))
        waiting = [channel for channel, reading in readings.items() if not reading.settled]
        late = {state.name: state for state in self._wait(waiting)}
        return [late.get(c.name) or self._state(c, readings[c]) for c in channels]

    def _wait(self, channels: Sequence[Channel]) -> list[SupplyState]:
        """Wait until generators have settled: their readings then.

        Raises:
            NotReady: Not in time, or one went off meanwhile.
        """
        if not channels:
            return []
        give_up = self._clock() + SETTLE_TIMEOUT_S
        pause_s = _FIRST_PAUSE_S
        while True:
            states = self.states(channels)
            waiting = [state for state in states if not state.settled]
            if not waiting:
                return states
            for state in waiting:
                if _is_off(state):
                    message = f"supply {state.name} went off while it was settling"
                    raise NotReady(Status.NOT_READY, message)
            if self._clock() >= give_up:
                message = f"supply {waiting[0].name} has not settled within {SETTLE_TIMEOUT_S:g} s"
                raise NotReady(Status.NOT_READY, message)
            self._sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _state(self, channel: Channel, reading: SupplyReading) -> SupplyState:
        return SupplyState(
            name=channel.name,
            index=channel.index,
            unit=channel.unit,
            requested=self._known.requested.get(channel.name),
            code=reading.code,
            nominal=channel.value(reading.code),
            measured=reading.measured / 1000,
            settled=reading.settled,
            fault=reading.fault,
        )


def lowest_code(channel: Channel) -> int:
    """The code of the least value that is safe: of a current, the greatest such code."""
    codes = range(CODE_MAX + 1)
    return min(
        (code for code in codes if channel.low <= channel.value(code) <= channel.high),
        key=channel.value,
    )


def _is_off(state: SupplyState) -> bool:
    return not state.settled and not state.measured
