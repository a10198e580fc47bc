"""The sending half of a direction: fragments, a window of frames in flight, loss and timeouts.

Never sends: it hands out datagrams and says when it next wants to be asked.
"""

import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from starlab_spec.wire.codec import encode_fragments, encode_frame, with_flags
from starlab_spec.wire.congestion import MAX_TRIES, RoundTrip
from starlab_spec.wire.frames import Acknowledgement, Frame, FrameFlag, FrameType

_MASK: Final = 0xFFFFFFFF
_BITMAP: Final = (1 << 128) - 1
_ACK_NOW: Final = int(FrameFlag.ACK_NOW)
_MAX_OVERRUN: Final = 1024
"""Frames in flight at most, prompt ones included: what a peer that never acknowledges can hold."""


@dataclass(slots=True)
class _Message:
    """A message on its way out."""

    head: Frame
    """Type, flags, message id and number of fragments for all of its frames."""
    content: memoryview
    prompt: bool
    tracked: bool
    sent: int = 0
    """Fragments handed out so far."""


@dataclass(slots=True)
class _InFlight:
    """A frame handed out and not yet acknowledged."""

    datagram: bytes
    message: int
    sent_at: float
    order: int
    """Position among all transmissions of this direction."""
    tries: int = 1


class SendWindow:
    """Selective repeat, as a sender.

    Frames in flight are kept in the order of their last transmission. A frame is lost once one
    transmitted after it has been acknowledged (RACK); if nothing is acknowledged any more, the
    newest frame is sent again as a probe, and then the oldest at every timeout.
    """

    def __init__(
        self,
        *,
        session: int,
        boot: int,
        window: int,
        payload_bytes: int,
        rng: random.Random,
        first_sequence: int = 0,
    ) -> None:
        self.round_trip = RoundTrip(rng)
        self.next_sequence = first_sequence
        self.frames_sent = 0
        self.resent_lost = self.resent_probes = self.resent_timeouts = 0
        """Frames sent again, by what said that they were lost."""
        self.credit_stalls = 0
        """Times that frames had to wait, as many as the peer takes being in flight."""
        self.timeouts = 0
        """Timeouts since something was last acknowledged."""
        self.exhausted = False
        """Whether the oldest frame in flight was tried so often that it counts as undeliverable."""
        self.told: int | None = None
        """What the newest frame's header acknowledges; a frame sent again says what it said."""
        self._session = session
        self._boot = boot
        self._window = window
        self._credit = window
        self._stalled = False
        self._payload_bytes = payload_bytes
        self._oldest = first_sequence
        self._bitmap = 0
        self._queue: deque[_Message] = deque()
        self._in_flight: dict[int, _InFlight] = {}
        self._unconfirmed: deque[tuple[int, int]] = deque()
        self._resent: list[bytes] = []
        self._order = 0
        self._newest_acknowledged = -1
        self._due = 0.0
        """When the tail is to be probed or the oldest frame times out, if any is in flight."""
        self._probed = False
        """Whether the tail was probed since something was last acknowledged."""

    @property
    def in_flight(self) -> int:
        """Frames handed out and not yet acknowledged."""
        return len(self._in_flight)

    @property
    def crowded(self) -> bool:
        """Whether the peer acknowledges so little that more would only pile up."""
        return len(self._in_flight) + len(self._queue) >= _MAX_OVERRUN

    def queue(
        self,
        kind: FrameType,
        message_id: int,
        content: bytes,
        *,
        flags: int = 0,
        prompt: bool = False,
        first: bool = False,
        tracked: bool = False,
    ) -> None:
        """Take a message to be sent.

        Args:
            kind: COMMAND, REPLY or EVENT.
            message_id: Goes into the header.
            content: The message, of any length.
            flags: Flag bits of all its frames.
            prompt: Its first frame does not wait for the window.
            first: It goes before all messages that are queued.
            tracked: `acknowledge` reports when the peer has all of it.
        """
        fragments = max(1, -(-len(content) // self._payload_bytes))
        head = Frame(kind, flags, self._session, self._boot, 0, 0, message_id, 0, fragments)
        message = _Message(head, memoryview(content), prompt, tracked)
        if first:
            self._queue.appendleft(message)
        else:
            self._queue.append(message)

    def take(self, now: float, acknowledged: int) -> list[bytes]:
        """The datagrams to send now, each given out once.

        Args:
            now: The time, in seconds.
            acknowledged: Next sequence number expected of the peer, for the headers.
        """
        queue = self._queue
        if not queue and not self._resent:
            return []
        datagrams, self._resent = self._resent, []
        while queue:
            message = queue[0]
            used = (self.next_sequence - self._oldest) & _MASK
            room = min(self._window, self._credit) - used
            if room <= 0:
                if not message.prompt or message.sent or used >= _MAX_OVERRUN:
                    self.credit_stalls += not self._stalled
                    self._stalled = True
                    break
                room = 1
            remaining = message.head.fragments - message.sent
            count = min(room, remaining)
            datagrams += self._transmit(message, count, now, acknowledged, fills=room == count)
            if room >= remaining:
                queue.popleft()
                if message.tracked:
                    last = (self.next_sequence - 1) & _MASK
                    self._unconfirmed.append((last, message.head.message))
        return datagrams

    def _transmit(
        self, message: _Message, count: int, now: float, acknowledged: int, *, fills: bool
    ) -> list[bytes]:
        sequence = self.next_sequence
        datagrams = encode_fragments(
            message.content,
            message.head,
            sequence=sequence,
            acknowledged=acknowledged,
            first=message.sent,
            count=count,
            payload_bytes=self._payload_bytes,
        )
        if fills:  # the window is shut until the peer says something: it need not wait for more
            datagrams[-1] = with_flags(datagrams[-1], _ACK_NOW)
        in_flight, order, number = self._in_flight, self._order, message.head.message
        for datagram in datagrams:
            in_flight[sequence] = _InFlight(datagram, number, now, order)
            sequence = (sequence + 1) & _MASK
            order += 1
        self._order, self.told = order, acknowledged
        self.next_sequence = sequence
        self.frames_sent += count
        self._stalled = False
        message.sent += count
        if not self._probed:
            self._due = now + self.round_trip.probe_s
        return datagrams

    def control(
        self, kind: FrameType, acknowledged: int, payload: bytes = b"", message_id: int = 0
    ) -> bytes:
        """A frame of another type than these: it has no sequence number of its own."""
        return encode_frame(
            Frame(
                kind,
                session=self._session,
                boot=self._boot,
                sequence=self.next_sequence,
                acknowledged=acknowledged,
                message=message_id,
                payload=payload,
            )
        )

    def acknowledge_to(self, cumulative: int, now: float) -> list[int]:
        """Take in the acknowledgement that any frame of the peer carries.

        Returns:
            Message ids of the tracked messages that the peer now has in full.
        """
        if cumulative == self._oldest:
            return []
        return self._settle(cumulative, 0, now, 0.0)

    def acknowledge(self, ack: Acknowledgement, now: float) -> list[int]:
        """Take in the payload of an ACK frame; returns like `acknowledge_to`."""
        behind = (self._oldest - ack.cumulative) & _MASK
        if 0 < behind < 1 << 31:
            return []  # overtaken by a newer one
        # even a peer without room gets one frame: its answer tells when there is room again
        self._credit = max(ack.credit, 1)
        if ack.cumulative == self._oldest and ack.bitmap == self._bitmap:
            return []
        return self._settle(ack.cumulative, ack.bitmap, now, ack.delay_us / 1e6)

    def _settle(self, cumulative: int, bitmap: int, now: float, delay_s: float) -> list[int]:
        advance = (cumulative - self._oldest) & _MASK
        if advance > (self.next_sequence - self._oldest) & _MASK:
            return []  # acknowledges what was never sent
        take, newest = self._in_flight.pop, None
        for sequence in range(self._oldest, self._oldest + advance):
            frame = take(sequence & _MASK, None)
            if frame is not None and (newest is None or frame.order > newest.order):
                newest = frame
        known = (self._bitmap << advance) & _BITMAP if advance < 128 else 0
        fresh = bitmap & ~known
        while fresh:
            top = fresh.bit_length() - 1
            fresh ^= 1 << top
            frame = take((cumulative + 128 - top) & _MASK, None)
            if frame is not None and (newest is None or frame.order > newest.order):
                newest = frame
        self._oldest = cumulative & _MASK
        self._bitmap = known | bitmap
        if newest is not None:
            self._progress(newest, now, delay_s)
        confirmed = []
        while self._unconfirmed and (cumulative - self._unconfirmed[0][0] - 1) & _MASK < 1 << 31:
            confirmed.append(self._unconfirmed.popleft()[1])
        return confirmed

    def _progress(self, newest: _InFlight, now: float, delay_s: float) -> None:
        elapsed = now - newest.sent_at
        self.timeouts = 0
        self.exhausted = self._probed = False
        self._due = now + self.round_trip.probe_s
        if newest.tries == 1:
            self.round_trip.measured(max(elapsed - delay_s, 0.0))
        elif elapsed < self.round_trip.least_s:
            return  # too early to be an answer to the repetition: it says nothing about order
        if newest.order > self._newest_acknowledged:
            self._newest_acknowledged = newest.order
            lost = []
            for sequence, frame in self._in_flight.items():
                if frame.order > newest.order:
                    break
                lost.append(sequence)
            self.resent_lost += len(lost)
            for sequence in lost:
                self._retransmit(sequence, now)

    def _retransmit(self, sequence: int, now: float, flags: int = 0) -> None:
        frame = self._in_flight.pop(sequence)
        frame.sent_at = now
        frame.order = self._order
        frame.tries += 1
        self._order += 1
        self._in_flight[sequence] = frame
        self._resent.append(with_flags(frame.datagram, flags) if flags else frame.datagram)

    def holds_back(self, message_id: int) -> bool:
        """Whether some part of a message was never handed out."""
        return any(message.head.message == message_id for message in self._queue)

    def resend(self, message_id: int, flags: int, now: float) -> bool:
        """Send the frames of a message in flight again at once, under their old numbers.

        Of several frames, those of the last round trip are left out: they are still under way.

        Returns:
            Whether some of its frames are in flight or wait to be sent.
        """
        mine = [(seq, f.sent_at) for seq, f in self._in_flight.items() if f.message == message_id]
        since = now - (self.round_trip.smoothed_s or 0.0)
        for sequence, sent_at in mine:
            if sent_at <= since or len(mine) == 1:
                self._retransmit(sequence, now, flags)
        return bool(mine) or self.holds_back(message_id)

    def deadline(self) -> float | None:
        """When `expire` wants to be called; None if nothing is in flight or all was tried."""
        if not self._in_flight or self.exhausted:
            return None
        return self._due

    def expire(self, now: float) -> None:
        """Probe the tail, or send the oldest frame again, if the time has come."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return
        sequence = self._oldest
        if not self._probed:
            self._probed = True
            self.resent_probes += 1
            sequence = next(reversed(self._in_flight))
        else:
            self.timeouts += 1
            self.exhausted = self.timeouts >= MAX_TRIES
            self.resent_timeouts += not self.exhausted
        if not self.exhausted:
            self._try_again(sequence, now)

    def revive(self, now: float) -> None:
        """Try again after exhaustion: the peer has been heard of."""
        if self.exhausted and self._in_flight:
            self.timeouts = MAX_TRIES - 1
            self.exhausted = False
            self.resent_timeouts += 1
            self._try_again(self._oldest, now)

    def _try_again(self, sequence: int, now: float) -> None:
        self._retransmit(sequence, now, _ACK_NOW)
        self._due = now + self.round_trip.timeout_s(self.timeouts)
