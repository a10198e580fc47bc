"""The board's side of the protocol as a state machine: discovery, handshake, one session, safety.

Opens no socket, reads no clock, executes nothing: datagrams and the time in; datagrams, work for
the board and the next deadline out. Nothing that arrives makes it raise.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Generic

from starlab_spec.wire.codec import (
    decode_ack,
    decode_frame,
    decode_hello,
    encode_frame,
    encode_hello_ack,
    encode_nak,
    encode_status,
    header_of,
)
from starlab_spec.wire.errors import UnknownVersion, WireError
from starlab_spec.wire.frames import (
    FIRST_CHALLENGE,
    HELLO_ACK_BYTES,
    JUMBO_PAYLOAD_BYTES,
    MAX_PAYLOAD_BYTES,
    NAK_BYTES,
    SILENCE_S,
    VERSION,
    Event,
    EventKind,
    Frame,
    FrameType,
    Hello,
    HelloAck,
    Nak,
)
from starlab_spec.wire.responder.board_session import BoardSession, Grant
from starlab_spec.wire.responder.bounds import Rate, Recent
from starlab_spec.wire.responder.execution import BoardFacts, EnterSafe, Execution, Work, status_of
from starlab_spec.wire.responder.handshake import Holder, negotiate, refusal
from starlab_spec.wire.responder.restraint import Peer, Voice, announce, cut_to, fitting
from starlab_spec.wire.transactions import Result, Status

NAKS_PER_S: Final = 10.0
"""Rate of NAKs to frames of unknown sessions and versions, and their number in one burst."""
_ENDED_REMEMBERED: Final = 16
_PROBED_REMEMBERED: Final = 16


class Responder(Generic[Peer]):
    """The protocol of one board.

    After every call, do the work that `take_work` hands out, one piece at a time, and send what
    `datagrams` returns; at the time that `deadline` names, call `expire`.

    Args:
        board: What to tell about the board.
        rng: For session ids and jitter.
        silence_s: Silence of the session after which the board goes to SAFE.
        is_shared: Whether several hosts may speak from an address: then nobody who does takes the
            place of a session before it is silent, unless it resumes it.
    """

    def __init__(
        self,
        board: BoardFacts,
        *,
        rng: random.Random,
        silence_s: float = SILENCE_S,
        is_shared: Callable[[Peer], bool] = lambda _: False,
    ) -> None:
        self.frames_dropped = 0
        self.newest_epoch = 0
        """Newest lease epoch of any session; older ones are refused."""
        self._board = board
        self._rng = rng
        self._silence_s = silence_s
        self._is_shared = is_shared
        self._holder: Holder[Peer] | None = None
        self._running: Execution | None = None
        self._safe_due: str | None = None
        self.held_by = ""
        """Who has the board without a session, so that none is granted."""
        self._ended: Recent[int, Nak] = Recent(_ENDED_REMEMBERED)
        self._probed: Recent[Peer, int] = Recent(_PROBED_REMEMBERED)
        """Payloads of probes that were answered, by who asked, latest last."""
        self._naks = Rate(NAKS_PER_S)
        self._voice: Voice[Peer] = Voice()

    @property
    def in_use(self) -> bool:
        """Whether a session is open, or somebody else has the board."""
        return self._holder is not None or bool(self.held_by)

    def hold(self, who: str, now: float) -> str | None:
        """Refuse sessions until `held_by` is emptied; returns who has the board instead."""
        holder = self._holder
        if holder is not None and not holder.silent:
            return repr(holder.session.client_name)
        self._end(Nak(Status.BUSY, f"the session was closed for {who}"), now)
        if self._running is not None:
            return "a command that still runs"
        self.held_by = who
        return None

    # ---- frames in

    def receive(self, datagram: bytes, peer: Peer, now: float) -> None:
        """Take in a datagram."""
        holder = self._holder
        try:
            frame = decode_frame(datagram)
            if peer != self._voice.trusted or frame.type in self.OUTSIDE:
                self._voice.came(peer, len(datagram))
            if holder is not None and holder.owns(frame):
                in_session = self.IN_SESSION.get(frame.type)
                if in_session is not None:
                    if holder.peer != peer and not holder.is_now_at(peer, frame):
                        self._ask_stranger(holder, frame, peer, now)
                        return
                    self._voice.trusted = peer
                    holder.heard_at = now
                    holder.silent = False
                    if frame.type != FrameType.ACK:
                        holder.session.heard(frame.acknowledged, now)
                    in_session(self, holder, frame, now)
                    return
            outside = self.OUTSIDE.get(frame.type)
            if outside is not None:
                outside(self, frame, peer, now)
            elif holder is not None and holder.owns(frame):
                self.frames_dropped += 1
            else:
                self._reject_session(frame, peer, now)
        except UnknownVersion as error:
            self._voice.came(peer, len(datagram))
            # what another version calls a session is none of ours: this ends none
            header = header_of(datagram)._replace(session=0)
            self._nak(header, peer, Nak(Status.UNSUPPORTED, str(error)), now)
        except WireError:
            self.frames_dropped += 1

    def _ask_stranger(self, holder: Holder[Peer], frame: Frame, peer: Peer, now: float) -> None:
        """Somebody else speaks in the session's name: ask whether the host has moved there.

        It is asked by a STATUS with a number that was never asked for; a host repeats that in a
        STATUS_REQUEST. Until then nothing that comes from there is taken in.
        """
        self.frames_dropped += 1
        if not holder.session.is_of_before(frame) and self._naks.allows(now):
            number = holder.question_for(peer, self._rng)
            self._voice.say(peer, self._status(holder.session, number))

    def _on_command(self, holder: Holder[Peer], frame: Frame, now: float) -> None:
        """Takes it in: executed in its turn, or answered, by the standing of its message id."""
        session = holder.session
        session.on_command(frame, now)
        if session.id_reused:
            self._end(Nak(Status.ID_REUSED, "the session ended: a message id was reused"), now)

    def _on_ack(self, holder: Holder[Peer], frame: Frame, now: float) -> None:
        """Frames have arrived: their replies may be forgotten, what is missing is sent again."""
        holder.session.heard(decode_ack(frame.payload), now)

    def _on_status_request(self, holder: Holder[Peer], frame: Frame, now: float) -> None:
        """Answers STATUS, whatever it executes."""
        # the number of a challenge is not repeated once more: a host would answer it again
        number = frame.message if frame.message < FIRST_CHALLENGE else 0
        self._voice.say(holder.peer, self._status(holder.session, number))

    def _status(self, session: BoardSession, number: int) -> bytes:
        executes = self._running is not None
        ids = session.next_message, session.executing_message
        status = encode_status(status_of(self._board, *ids, executes=executes))
        return session.control(FrameType.STATUS, status, number)

    def _on_bye(self, holder: Holder[Peer], frame: Frame, now: float) -> None:
        """Ends the session, answers BYE, goes to SAFE."""
        self._end(Nak(Status.BAD_REQUEST, "the session was closed"), now, FrameType.BYE)

    def _on_reset(self, holder: Holder[Peer], frame: Frame, now: float) -> None:
        """Ends the session, goes to SAFE."""
        self._end(Nak(Status.BAD_REQUEST, "the session was reset"), now)

    def _on_discover(self, frame: Frame, peer: Peer, now: float) -> None:
        """Says who the board is. One who asks at length is answered at length: that is a probe."""
        identity = {**self._board.identity(), "in_use": self.in_use}
        room = self._voice.room(peer)
        self._voice.say(peer, announce(frame, self._board.boot_id, identity, room))
        length = min(len(frame.payload), JUMBO_PAYLOAD_BYTES)
        if length > MAX_PAYLOAD_BYTES:
            self._probed.put(peer, length)

    # ---- handshake

    def _on_hello(self, frame: Frame, peer: Peer, now: float) -> None:
        """Grants a session, by HELLO_ACK, or refuses it, by NAK."""
        hello = decode_hello(frame.payload)
        holder = self._holder
        if holder is not None and holder.was_opened_by(frame, peer):
            self._grant(holder, frame)
            return
        grant = negotiate(hello, self._probed.get(peer) or 0)
        newest, shared = self.newest_epoch, self._is_shared(peer)
        refused = refusal(hello, peer, holder, newest, shared=shared)
        no = grant if isinstance(grant, Nak) else refused
        if self.held_by and no is None:
            no = Nak(Status.BUSY, f"in use by {self.held_by}")
        if no is not None:
            self._refuse(frame, peer, no)
        elif isinstance(grant, Grant):
            self._open(frame, hello, grant, peer, now)

    def _open(self, frame: Frame, hello: Hello, grant: Grant, peer: Peer, now: float) -> None:
        self.newest_epoch = max(self.newest_epoch, hello.lease_epoch)
        holder = self._holder
        if holder is not None and hello.resume_session:
            session = holder.session
            session.resume(grant, hello.lease_epoch, hello.client_name, frame.sequence)
        else:
            if holder is not None:
                self._end(
                    Nak(
                        Status.FENCED,
                        f"the session was closed for {hello.client_name!r} with lease epoch "
                        f"{hello.lease_epoch}",
                    ),
                    now,
                )
            session = BoardSession(
                self._new_session_id(),
                self._board.boot_id,
                grant,
                lease_epoch=hello.lease_epoch,
                client_name=hello.client_name,
                first_sequence=frame.sequence,
                rng=self._rng,
            )
        self._holder = Holder(session, peer, frame.message, frame.payload, now)
        self._voice.trusted = None
        self._grant(self._holder, frame)

    def _new_session_id(self) -> int:
        while True:
            session_id = self._rng.randrange(1, 1 << 32)
            if self._ended.get(session_id) is None:
                return session_id

    def _grant(self, holder: Holder[Peer], frame: Frame) -> None:
        session, grant = holder.session, holder.session.grant
        terms = grant.window, grant.payload_bytes, grant.features
        answer = HelloAck(
            session.session_id,
            session.boot_id,
            VERSION,
            *terms,
            session.next_message,
            self._board.lifetime_pulses,
            fitting(self._board.identity(), self._voice.room(holder.peer) - HELLO_ACK_BYTES),
        )
        payload = encode_hello_ack(answer)
        self._voice.say(holder.peer, session.control(FrameType.HELLO_ACK, payload, frame.message))

    # ---- refusals and ends

    def _reject_session(self, frame: Frame, peer: Peer, now: float) -> None:
        ended = self._ended.get(frame.session)
        unknown = Nak(Status.BAD_REQUEST, f"session 0x{frame.session:08X} is not known here")
        self._nak(frame, peer, ended or unknown, now)

    def _nak(self, frame: Frame, peer: Peer, nak: Nak, now: float) -> None:
        """Refuse a well-formed frame, rate-limited; never in answer to another NAK."""
        self.frames_dropped += 1
        if frame.type != FrameType.NAK and self._naks.allows(now):
            self._refuse(frame, peer, nak)

    def _refuse(self, frame: Frame, peer: Peer, nak: Nak) -> None:
        nak = Nak(nak.status, cut_to(nak.detail, self._voice.room(peer) - NAK_BYTES))
        self._voice.say(peer, self._word(FrameType.NAK, nak, frame.session, frame.message))

    def _word(self, kind: FrameType, nak: Nak, session: int, message: int = 0) -> bytes:
        payload = b"" if kind is FrameType.BYE else encode_nak(nak)
        boot_id = self._board.boot_id
        frame = Frame(kind, session=session, boot=boot_id, message=message, payload=payload)
        return encode_frame(frame)

    def _end(self, why: Nak, now: float, kind: FrameType = FrameType.RESET) -> None:
        """End the session: stop what it runs, then SAFE; later frames of it learn why."""
        holder = self._holder
        if holder is None:
            return
        session = holder.session
        for datagram in (*session.datagrams(now), self._word(kind, why, session.session_id)):
            self._voice.say(holder.peer, datagram)
        self._holder = self._voice.trusted = None
        self._ended.put(session.session_id, why)
        if self._running is not None:
            self._running.aborted = True
        self._safe_due = why.detail

    # ---- work

    def shut_down(self, now: float) -> None:
        """The board is about to be switched off: the host learns it, and what runs is stopped."""
        self._end(Nak(Status.OUTCOME_UNKNOWN, "the board was switched off"), now)

    def take_work(self) -> Work | None:
        """What the board is to do now; None if there is nothing, or it still executes.

        `EnterSafe` does not wait for the end of what the board executes.
        """
        if self._safe_due is not None:
            work = EnterSafe(self._safe_due)
            self._safe_due = None
            return work
        if self._running is not None or self._holder is None:
            return None
        self._running = self._holder.session.take_work()
        return self._running

    def complete(self, execution: Execution, results: list[Result], now: float) -> None:
        """The board has executed a command; no results: its power failed before it could answer.

        If the boot id of the board is another one now, the session ends.
        """
        self._running = None
        holder = self._holder
        if holder is None or holder.session.session_id != execution.session_id:
            return
        if results:
            holder.session.complete(execution, results)
        if self._board.boot_id != holder.session.boot_id:
            self._end(Nak(Status.OUTCOME_UNKNOWN, "the board restarted"), now)
            self._safe_due = None

    def report_progress(self, execution: Execution, done: int, total: int, text: str) -> None:
        """Tell the host how far a command in execution is."""
        holder = self._holder
        if holder is not None and holder.session.session_id == execution.session_id:
            event = Event(EventKind.PROGRESS, done, total, text)
            holder.session.report(execution.message_id, event)

    # ---- frames out, time

    def datagrams(self, now: float) -> list[tuple[Peer, bytes]]:
        """What to send now, and where to."""
        holder, voice = self._holder, self._voice
        if holder is not None:
            for datagram in holder.session.datagrams(now):
                voice.say(holder.peer, datagram)
            if holder.session.owes_status:
                holder.session.owes_status = False
                voice.say(holder.peer, self._status(holder.session, 0))
        return voice.take()

    def deadline(self) -> float | None:
        """When `expire` wants to be called; None if never."""
        holder = self._holder
        if holder is None:
            return None
        deadline = holder.session.deadline()
        if not holder.silent:
            silent_at = holder.heard_at + self._silence_s
            deadline = silent_at if deadline is None else min(deadline, silent_at)
        return deadline

    def expire(self, now: float) -> None:
        """Do what is due."""
        holder = self._holder
        if holder is None:
            return
        holder.session.expire(now)
        if not holder.silent and now >= holder.heard_at + self._silence_s:
            holder.silent = True
            if not holder.session.never_safe:
                self._fall_silent(holder.session)

    def _fall_silent(self, session: BoardSession) -> None:
        self._safe_due = f"nothing heard of the host for {self._silence_s:g} s"
        session.report(0, Event(EventKind.ENTERED_SAFE, text=self._safe_due))
        if self._running is not None:
            self._running.aborted = True

    IN_SESSION: ClassVar[
        Mapping[int, Callable[["Responder[Any]", Holder[Any], Frame, float], None]]
    ] = {
        FrameType.COMMAND: _on_command,
        FrameType.ACK: _on_ack,
        FrameType.STATUS_REQUEST: _on_status_request,
        FrameType.BYE: _on_bye,
        FrameType.RESET: _on_reset,
    }
    """What a board does with a frame of its session; others are dropped."""

    OUTSIDE: ClassVar[Mapping[int, Callable[["Responder[Any]", Frame, Any, float], None]]] = {
        FrameType.DISCOVER: _on_discover,
        FrameType.HELLO: _on_hello,
    }
    """What a board does with a frame of no session; others are refused by NAK."""
