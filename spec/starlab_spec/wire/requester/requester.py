"""The host's side of a session as a state machine: handshake, commands out, replies in.

Opens no socket, reads no clock, starts no thread: datagrams and the time in; datagrams, events and
the next deadline out. It never repeats a command that may have been executed under a new id.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar, Final

from starlab_spec.wire import codec
from starlab_spec.wire.errors import DamagedFrame, WireError
from starlab_spec.wire.frames import BoardStatus, Frame, FrameFlag, FrameType, Hello, HelloAck, Nak
from starlab_spec.wire.receiving import Arrival, Assembler, ReceiveWindow
from starlab_spec.wire.requester.commands import CommandLedger
from starlab_spec.wire.requester.events import (
    MOVES,
    Command,
    Ended,
    EndReason,
    LinkCounters,
    Opened,
    Replied,
    Reported,
    RequesterEvent,
    RequesterState,
    StatusCame,
    Step,
)
from starlab_spec.wire.requester.greeting import Farewell, Greeting
from starlab_spec.wire.requester.keepalive import Keepalive
from starlab_spec.wire.requester.patience import Patience, Verdict
from starlab_spec.wire.requester.terms import check_status
from starlab_spec.wire.sending import SendWindow
from starlab_spec.wire.transactions import Status

_BUSY: Final = int(FrameFlag.BUSY)
_REPLAYED: Final = int(FrameFlag.REPLAYED)

_Handler = Callable[["Requester", Frame, float], None]


class Requester:
    """One session of a host with a board.

    Call `open` first. After every call, send what `datagrams` returns and look at `events`; at
    the time that `deadline` names, call `expire`.

    Args:
        hello: What to ask of the board.
        rng: For the session's nonce and for jitter.
        wary: As of `Greeting`.
        resumable: Whether anybody may resume the session once it is lost here. If nobody will, the
            board is told not to wait for that.
    """

    def __init__(
        self, hello: Hello, *, rng: random.Random, wary: bool = False, resumable: bool = True
    ) -> None:
        self._enter(RequesterState.OPENING)
        self.answer: HelloAck | None = None
        """What the board granted; None until the session is open."""
        self.last_status: BoardStatus | None = None
        self._frames_received = self._frames_dropped = self._crc_errors = 0
        self._greeting = Greeting(hello, rng, wary=wary)
        self._resumable, self._rng = resumable, rng
        self._events: list[RequesterEvent] = []
        self._control: list[bytes] = []
        self._replies_replayed, self._sent_at, self._farewell = 0, 0.0, Farewell()
        self._establish(HelloAck(0, 0, window=1), their_sequence=0)

    def _enter(self, state: RequesterState) -> None:
        self.state = state
        self._handlers = self.HANDLERS[state]

    def _establish(self, answer: HelloAck, their_sequence: int) -> None:
        """Begin with frames and commands on the terms of an answer."""
        self._terms = answer
        self._assembler = Assembler(2 * answer.window)
        self._receive = ReceiveWindow(answer.window, their_sequence)
        self._send = SendWindow(
            session=answer.session_id,
            boot=answer.boot_id,
            window=answer.window,
            payload_bytes=answer.payload_bytes,
            rng=self._rng,
            first_sequence=self._greeting.first_sequence,
        )
        self._ledger = CommandLedger(self._send, answer)
        self._keepalive = Keepalive(self._send.round_trip)
        self._patience = Patience(self._send, self._keepalive, self._ledger)

    def open(self, now: float) -> None:
        """Begin the handshake."""
        self._control.append(self._greeting.say(now))

    def submit(
        self, payload: bytes, now: float, *, flags: int = 0, urgent: bool = False, again: int = 0
    ) -> int:
        """Send a command, as `CommandLedger.submit`; `Replied` will carry its message id."""
        if self.state is not RequesterState.OPEN:
            raise RuntimeError(f"no command can be sent: {self.state.value}")
        return self._ledger.submit(payload, now, flags=flags, urgent=urgent, again=again)

    @property
    def next_message_id(self) -> int:
        """Message id that the next command will have."""
        return self._ledger.next_message

    def request_status(self, now: float) -> int:
        """Ask for a STATUS, and again until one comes; returns the number of this request."""
        request = self._keepalive.ask(now)
        self._say(FrameType.STATUS_REQUEST, now, request)
        return request

    def heartbeat(self) -> bytes:
        """A STATUS_REQUEST that is not counted; anybody may send it while this host is held up."""
        expected, latest = self._receive.expected, self._keepalive.latest()
        return self._send.control(FrameType.STATUS_REQUEST, expected, message_id=latest)

    def close(self, now: float) -> None:
        """Say BYE."""
        if self.state is RequesterState.OPEN:
            self._enter(MOVES[self.state][Step.CLOSE])
            self._say_bye(now)

    def datagrams(self, now: float) -> list[bytes]:
        """What to send now."""
        out, self._control = self._control, []
        if self.state is RequesterState.OPEN:
            receive = self._receive
            out += self._send.take(now, receive.expected)
            if self._send.told == receive.expected:
                receive.acknowledged_in_passing()
            if receive.due(now):
                ack = codec.encode_ack(receive.acknowledgement(now))
                out.append(self._send.control(FrameType.ACK, receive.expected, ack))
                if receive.to_be_told_twice():
                    out.append(self.heartbeat())
        if out:
            self._sent_at = now
        return out

    def events(self) -> list[RequesterEvent]:
        """What has happened since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def outstanding(self) -> Mapping[int, Command]:
        """Commands without a reply, by message id."""
        return self._ledger.outstanding

    def in_doubt(self) -> list[Command]:
        """The commands without a reply that the board may have executed, with an effect."""
        return self._ledger.in_doubt()

    def counters(self) -> LinkCounters:
        """What the session's frames have gone through so far."""
        send = self._send
        return LinkCounters(
            *(send.round_trip.smoothed_s, send.frames_sent, send.in_flight),
            *(send.resent_lost, send.resent_probes, send.resent_timeouts, send.credit_stalls),
            *(self._frames_received, self._frames_dropped, self._crc_errors),
            *(self._receive.duplicates, self._replies_replayed),
        )

    def deadline(self) -> float | None:
        """When `expire` wants to be called; None if never."""
        if self.state is RequesterState.CLOSED:
            return None
        if self.state is RequesterState.OPENING:
            return self._greeting.retry_at
        if self.state is RequesterState.CLOSING:
            return self._farewell.again_at
        due = self._keepalive.due(self._sent_at, in_doubt=self._send.exhausted)
        for other in (self._send.deadline(), self._receive.deadline(), self._ledger.retry_at):
            if other is not None and other < due:
                due = other
        return due

    def expire(self, now: float) -> None:
        """Do what is due."""
        due = self._EXPIRY.get(self.state)
        if due is not None:
            due(self, now)

    def _expire_opening(self, now: float) -> None:
        if now >= self._greeting.retry_at and self._greeting.exhausted:
            self._end(EndReason.UNANSWERED, f"no answer to {self._greeting.tries} HELLO")
        elif now >= self._greeting.retry_at:
            self._control.append(self._greeting.say(now))

    def _expire_closing(self, now: float) -> None:
        if now >= self._farewell.again_at and self._farewell.exhausted:
            self._end(EndReason.CLOSED, "BYE was not confirmed")
        elif now >= self._farewell.again_at:
            self._say_bye(now)

    def _expire_open(self, now: float) -> None:
        self._send.expire(now)
        self._ledger.send_again(now)
        due = self._keepalive.due(self._sent_at, in_doubt=self._send.exhausted)
        if now >= due and not self._gave_up(self._patience.before_asking()):
            self.request_status(now)

    def receive(self, datagram: bytes, now: float) -> None:
        """Take in a datagram. Nothing that arrives makes this raise."""
        try:
            frame = codec.decode_frame(datagram)
        except WireError as error:
            self._frames_dropped += 1
            self._crc_errors += isinstance(error, DamagedFrame)
            return
        handler = self._handlers.get(frame.type)
        if handler is None:
            self._frames_dropped += 1
            return
        self._frames_received += 1
        try:
            handler(self, frame, now)
        except WireError as error:
            self._frames_dropped += 1
            if self.state is not RequesterState.CLOSING:
                if self.state is RequesterState.OPENING:
                    self._control += self._greeting.declines(frame)
                detail = f"{FrameType(frame.type).name}: {error}"
                self._gave_up((EndReason.MISBEHAVED, detail))

    def _on_announce(self, frame: Frame, now: float) -> None:
        """The probe has come back: jumbo frames are asked for."""
        if self._greeting.is_proven_by(frame):
            self._control.append(self._greeting.say(now))

    def _on_hello_ack(self, frame: Frame, now: float) -> None:
        """The session is open on these terms, or, resumed, once STATUS tells where it stands."""
        answer = self._greeting.answer_in(frame)
        if answer is None:
            self._frames_dropped += 1
            return
        self._enter(MOVES[self.state][Step.GRANTED])
        self._establish(answer, frame.sequence)
        if self._greeting.tries == 1:
            self._send.round_trip.measured(now - self._greeting.said_at)
        if self._greeting.resumes:
            self.request_status(now)
        else:
            self._begin(answer.next_message_id)

    def _begin(self, upcoming: int) -> None:
        """Commands begin, or in a resumed session go on, with this message id."""
        self._ledger.next_message = upcoming
        self.answer = replace(self._terms, next_message_id=upcoming)
        self._events.append(Opened(self.answer))

    def _on_refusal(self, frame: Frame, now: float) -> None:
        """The session is refused."""
        if self._greeting.is_answered_by(frame):
            nak = codec.decode_nak(frame.payload)
            self._end(EndReason.REFUSED, nak.detail, nak.status)

    def _on_reply(self, frame: Frame, now: float) -> None:
        """A command has its reply, or has to wait."""
        if not self._of_this_session(frame) or not self._arrived(frame, now):
            return
        command = self._ledger.outstanding.get(frame.message)
        payload = None if command is None else self._assembler.add(frame)
        if command is None or payload is None:
            if not frame.flags & _BUSY and (command is not None or frame.flags & _REPLAYED):
                self._ledger.part_came(command, now)
            return
        if frame.flags & _BUSY:
            self._ledger.put_off(command, now)
            self._gave_up(self._patience.after_asking())
        elif len(payload) > 1 and payload[1] == Status.IN_PROGRESS:
            command.delivered = True
        else:
            self._ledger.asked_in_vain = 0
            self._ledger.replied(frame.message)
            if frame.flags & _REPLAYED:
                self._replies_replayed += 1
            self._events.append(Replied(frame.message, payload, now - command.submitted_at))

    def _on_event(self, frame: Frame, now: float) -> None:
        """News of a command, or of the board."""
        if self._of_this_session(frame) and self._arrived(frame, now):
            self._events.append(Reported(frame.message, codec.decode_event(frame.payload)))

    def _on_ack(self, frame: Frame, now: float) -> None:
        """Frames have arrived; what was sent before them and is missing is sent again."""
        if self._of_this_session(frame):
            self._heard(now)
            self._ledger.delivered(self._send.acknowledge(codec.decode_ack(frame.payload), now))

    def _on_status(self, frame: Frame, now: float) -> None:
        """How the board is; the oldest reply is asked for if the board must have sent it."""
        if not self._of_this_session(frame):
            return
        status = codec.decode_status(frame.payload)
        if self.answer is not None:
            check_status(status, self._ledger.next_message)
        self.last_status = status
        self._keepalive.answered(frame.message)
        if self.answer is None:
            # what is executing will be answered: its message id is spent as well
            self._begin(max(status.next_message_id, status.executing_message_id + 1))
        if self._gave_up(self._patience.after_status()):
            return
        if self._keepalive.is_challenge(frame.message):
            self._say(FrameType.STATUS_REQUEST, now, frame.message)
        self._heard(now)
        self._ledger.delivered(self._send.acknowledge_to(frame.acknowledged, now))
        self._events.append(StatusCame(status, frame.message))
        self._ledger.ask_again(status, now)
        self._gave_up(self._patience.after_asking())

    def _gave_up(self, verdict: Verdict | None) -> bool:
        """End the session if it is hopeless; whether it was."""
        if verdict is not None:
            if self.state is RequesterState.OPEN and not self._resumable:
                self._control.append(self._send.control(FrameType.RESET, self._receive.expected))
            self._end(*verdict)
        return verdict is not None

    def _on_end(self, frame: Frame, now: float) -> None:
        """The board ends the session: what has no reply is in doubt."""
        if self._of_this_session(frame):
            said = Nak(Status.OK, f"it said {FrameType(frame.type).name}")
            nak = codec.decode_nak(frame.payload) if frame.payload else said
            self._end(EndReason.ENDED_BY_BOARD, nak.detail, nak.status)

    def _on_farewell(self, frame: Frame, now: float) -> None:
        """The BYE is confirmed."""
        if self._of_this_session(frame):
            self._end(EndReason.CLOSED, "")

    def _of_this_session(self, frame: Frame) -> bool:
        answer = self._terms
        if frame.session != answer.session_id:
            self._frames_dropped += 1
            return False
        if frame.boot != answer.boot_id:
            detail = f"boot id 0x{answer.boot_id:08X} is now 0x{frame.boot:08X}"
            self._end(EndReason.BOARD_RESTARTED, detail)
            return False
        return True

    def _arrived(self, frame: Frame, now: float) -> bool:
        """Account for a sequenced frame; whether it is new."""
        self._heard(now)
        self._ledger.delivered(self._send.acknowledge_to(frame.acknowledged, now))
        return self._receive.accept(frame.sequence, frame.flags, now) is Arrival.NEW

    def _heard(self, now: float) -> None:
        self._keepalive.unanswered = 0
        if self._send.exhausted:
            self._send.revive(now)

    def _say_bye(self, now: float) -> None:
        self._farewell.said(now)
        self._say(FrameType.BYE, now)

    def _say(self, kind: FrameType, now: float, message: int = 0) -> None:
        self._sent_at = now
        self._control.append(self._send.control(kind, self._receive.expected, message_id=message))

    def _end(self, reason: EndReason, detail: str, status: int = Status.OK) -> None:
        self._enter(MOVES[self.state][reason])
        self._events.append(Ended(reason, status, detail))

    HANDLERS: ClassVar[Mapping[RequesterState, Mapping[int, _Handler]]] = {
        RequesterState.OPENING: {
            FrameType.ANNOUNCE: _on_announce,
            FrameType.HELLO_ACK: _on_hello_ack,
            FrameType.NAK: _on_refusal,
        },
        RequesterState.OPEN: {
            FrameType.REPLY: _on_reply,
            FrameType.EVENT: _on_event,
            FrameType.ACK: _on_ack,
            FrameType.STATUS: _on_status,
            FrameType.NAK: _on_end,
            FrameType.RESET: _on_end,
            FrameType.BYE: _on_end,
        },
        RequesterState.CLOSING: {
            FrameType.BYE: _on_farewell,
            FrameType.RESET: _on_farewell,
            FrameType.NAK: _on_farewell,
        },
        RequesterState.CLOSED: {},
    }
    """What a frame means in each state; a frame that is not here is dropped."""

    _EXPIRY: ClassVar[Mapping[RequesterState, Callable[["Requester", float], None]]] = {
        RequesterState.OPENING: _expire_opening,
        RequesterState.OPEN: _expire_open,
        RequesterState.CLOSING: _expire_closing,
    }
