"""The receiving half of a direction: which frames have come, when to say so, whole messages.

Never sends: it says when an acknowledgement is due and what it contains.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from starlab_spec.wire.errors import PayloadError
from starlab_spec.wire.frames import (
    MAX_FRAGMENTS,
    MAX_MESSAGE_BYTES,
    MAX_WINDOW,
    Acknowledgement,
    Frame,
    FrameFlag,
)

ACK_EVERY: Final = 8
"""Frames received for each acknowledgement at least."""
ACK_DELAY_S: Final = 0.005
"""Longest time that a frame stays unacknowledged; below the least timeout of the sender [O]."""

REPEATED_S: Final = 0.002
"""A duplicate so long after an ACK is of a sender who missed it; a network copies sooner [O]."""
_TOLD_TWICE: Final = 32
"""Acknowledgements that another frame carries as well after that, before ACKs are tried alone."""

_MASK: Final = 0xFFFFFFFF
_BITMAP: Final = (1 << 128) - 1
_REACH: Final = 1 << 12
"""More frames than any sender has in flight."""
_AT_ONCE: Final = int(FrameFlag.ACK_NOW | FrameFlag.LAST)


class Arrival(Enum):
    """What a sequence number says about a frame."""

    NEW = 1
    DUPLICATE = 2
    BEYOND = 3
    """Too far ahead to be remembered."""


class ReceiveWindow:
    """Selective repeat, as a receiver."""

    def __init__(self, window: int, first_sequence: int = 0) -> None:
        self.expected = first_sequence
        """Next sequence number expected: all before it have come."""
        self.duplicates = 0
        self._first = first_sequence
        self._window = window
        self._every = min(ACK_EVERY, max(1, window // 2))
        self._bitmap = 0
        self._pending = 0
        self._since = 0.0
        self._newest_at = 0.0
        self._at_once = False
        self._in_person = False
        """Whether the frames that carry acknowledgements in passing may not get through."""
        self._told_by_ack = first_sequence
        self._told_by_ack_at = 0.0
        self._to_tell_twice = 0
        """Acknowledgements that go by another frame as well: ACKs may not get through."""
        self._unheard = False
        """Whether the sender has just repeated what an ACK told of."""
        self._untold = 0
        """Frames that have come since another frame than an ACK told of what has come."""
        self._carried = True
        """Whether a frame that is sent until it arrives has told of all that has come."""

    def accept(self, sequence: int, flags: int, now: float) -> Arrival:
        """Take note of a frame with that sequence number."""
        ahead = (sequence - self.expected) & _MASK
        if ahead == 0:
            self.expected = (sequence + 1) & _MASK
            if self._bitmap:
                self._close_gap()
        elif ahead <= 128:
            bit = 1 << (128 - ahead)
            if self._bitmap & bit:
                return self._duplicate(sequence, now)
            opens_gap = not self._bitmap & bit << 1
            fills_gap = self._bitmap & (bit - 1)
            if opens_gap or fills_gap:
                self._at_once = True
            self._bitmap |= bit
        elif ahead >= 1 << 31:
            return self._duplicate(sequence, now)
        else:
            return Arrival.BEYOND
        if not self._pending:
            self._since = now
        self._newest_at = now
        self._pending += 1
        self._untold += 1
        self._carried = False
        if flags & _AT_ONCE or self._pending >= self._every:
            self._at_once = True
        return Arrival.NEW

    def _close_gap(self) -> None:
        bitmap, received = self._bitmap, True
        while received:
            received = bool(bitmap >> 127)
            bitmap = (bitmap << 1) & _BITMAP
            self.expected = (self.expected + received) & _MASK
        self._bitmap = bitmap
        self._at_once = True

    def _duplicate(self, sequence: int, now: float) -> Arrival:
        was_told = (self._told_by_ack - sequence - 1) & _MASK < 1 << 31
        if was_told and not self._carried and now >= self._told_by_ack_at + REPEATED_S:
            self._unheard = True
            self._to_tell_twice = _TOLD_TWICE
        self.duplicates += 1
        self._newest_at = now
        self._at_once = self._in_person = True
        return Arrival.DUPLICATE

    def reaches(self, sequence: int) -> bool:
        """Whether the number can be one of the sender whose first frame began this window."""
        ahead = (sequence - self.expected) & _MASK
        behind = (self.expected - sequence) & _MASK
        return ahead <= _REACH or behind <= (self.expected - self._first) & _MASK

    def deadline(self) -> float | None:
        """When an acknowledgement is due; a time gone by if at once, None if none is owed."""
        if self._at_once:
            return self._since
        return self._since + ACK_DELAY_S if self._pending else None

    def due(self, now: float) -> bool:
        """Whether an acknowledgement is to be sent now."""
        return self._at_once or (self._pending > 0 and now >= self._since + ACK_DELAY_S)

    def acknowledged_in_passing(self) -> None:
        """A frame with `expected` in its header goes out: that says all, unless there are gaps.

        To a sender who has repeated a frame it does not: such frames may not get through.
        """
        self._untold = 0
        self._carried, self._unheard = True, False
        if not self._bitmap and not self._in_person:
            self._pending = 0
            self._at_once = False

    def acknowledgement(self, now: float) -> Acknowledgement:
        """The acknowledgement to send; none is owed after it."""
        self._pending = 0
        self._at_once = self._in_person = False
        self._told_by_ack, self._told_by_ack_at = self.expected, now
        delay_us = min(max(int((now - self._newest_at) * 1e6), 0), 0xFFFF)
        return Acknowledgement(self.expected, self._bitmap, self._window, delay_us)

    def to_be_told_twice(self) -> bool:
        """Whether another frame is to carry `expected` as well, now that an ACK goes out.

        A way may swallow ACKs and nothing else: all are of one length.
        """
        due = self._unheard or (self._to_tell_twice > 0 and self._untold >= self._every)
        if due:
            self._unheard = False
            self._to_tell_twice -= 1
            self._untold = 0
        return due


@dataclass(slots=True)
class _Partial:
    parts: list[bytes | None]
    missing: int
    size: int = 0


class Assembler:
    """Puts fragments of messages together, in whatever order they come.

    Args:
        capacity: Messages in part that are kept; the oldest makes room for one more.
    """

    def __init__(self, capacity: int = MAX_WINDOW) -> None:
        self._capacity = capacity
        self._partial: dict[int, _Partial] = {}

    def add(self, frame: Frame) -> bytes | None:
        """Take in a fragment; returns the whole message once it is complete.

        Raises:
            PayloadError: The fragment contradicts itself or the others of its message.
        """
        fragments = frame.fragments
        if fragments == 1 and frame.fragment == 0:
            return frame.payload
        if frame.fragment >= fragments:
            raise PayloadError(f"fragment {frame.fragment} of {fragments}")
        partial = self._partial.get(frame.message)
        if partial is None:
            if fragments > MAX_FRAGMENTS:
                raise PayloadError(f"{fragments} fragments are above the {MAX_FRAGMENTS} limit")
            if len(self._partial) >= self._capacity:
                del self._partial[next(iter(self._partial))]
            partial = self._partial[frame.message] = _Partial([None] * fragments, fragments)
        parts = partial.parts
        if len(parts) != fragments:
            raise PayloadError(f"a fragment of {fragments} in a message of {len(parts)} fragments")
        if parts[frame.fragment] is None:
            parts[frame.fragment] = frame.payload
            partial.missing -= 1
            partial.size += len(frame.payload)
            if partial.size > MAX_MESSAGE_BYTES:
                del self._partial[frame.message]
                raise PayloadError(f"a message is above the {MAX_MESSAGE_BYTES}-byte limit")
        if partial.missing:
            return None
        del self._partial[frame.message]
        return b"".join(part for part in parts if part is not None)
