"""The commands of a capture, each once, with its reply, whatever was lost or sent again on the way.

Judges nothing and sends nothing. Frames are read as either side reads them; what neither would
take is left out.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from starlab_host.capture.pcap import Captured
from starlab_spec.wire import Frame, FrameFlag, FrameType, Status, WireError, decode_frame
from starlab_spec.wire.receiving import Assembler


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command that the board has answered."""

    message_id: int
    flags: int
    """READ_ONLY, DRY_RUN."""
    request: bytes
    """Payload of the command, as `decode_transactions` takes it."""
    reply: bytes
    """Payload of the reply, as `decode_results` takes it."""


@dataclass(slots=True)
class Conversation:
    """One session, as far as it was captured."""

    session_id: int
    exchanges: list[Exchange] = field(default_factory=list)
    """By rising message id, in which the board executes them."""
    unanswered: list[int] = field(default_factory=list)
    """Message ids of commands whose reply was not captured."""


def conversations(captured: Iterable[Captured]) -> list[Conversation]:
    """The sessions of a capture, in their order."""
    listeners: dict[int, _Listener] = {}
    for one in captured:
        with suppress(WireError):
            frame = decode_frame(one.datagram)
            if frame.type in (FrameType.COMMAND, FrameType.REPLY):
                listener = listeners.setdefault(frame.session, _Listener(frame.session))
                listener.hear(frame)
    return [listener.conversation() for listener in listeners.values()]


class _Listener:
    """Puts the messages of one session together."""

    def __init__(self, session_id: int) -> None:
        self._session_id = session_id
        self._requests = Assembler()
        self._replies = Assembler()
        self._asked: dict[int, Frame] = {}
        self._answered: dict[int, Exchange] = {}

    def hear(self, frame: Frame) -> None:
        """Take in a frame of either side."""
        if frame.message in self._answered:
            return
        if frame.type == FrameType.COMMAND:
            request = self._requests.add(frame)
            if request is not None:
                # the last one counts: a host that crashed may use an id that was never executed
                self._asked[frame.message] = frame._replace(payload=request)
        else:
            reply = self._replies.add(frame)
            if reply is not None and frame.message in self._asked and not _is_delay(frame, reply):
                asked = self._asked.pop(frame.message)
                flags = asked.flags & (FrameFlag.READ_ONLY | FrameFlag.DRY_RUN)
                exchange = Exchange(frame.message, flags, asked.payload, reply)
                self._answered[frame.message] = exchange

    def conversation(self) -> Conversation:
        """What was heard."""
        answered = [self._answered[number] for number in sorted(self._answered)]
        return Conversation(self._session_id, answered, sorted(self._asked))


def _is_delay(frame: Frame, reply: bytes) -> bool:
    """Whether it only says that the reply is still to come."""
    in_progress = len(reply) > 1 and reply[1] == Status.IN_PROGRESS
    return bool(frame.flags & FrameFlag.BUSY) or in_progress
