"""What a host checks of what a board grants and tells: by name, value and limit. Sends nothing."""

from starlab_spec.wire.errors import PayloadError
from starlab_spec.wire.frames import (
    MAX_PAYLOAD_BYTES,
    MAX_WINDOW,
    MIN_PAYLOAD_BYTES,
    BoardStatus,
    Feature,
    Frame,
    Hello,
    HelloAck,
)


def check_terms(hello: Hello, frame: Frame, answer: HelloAck) -> None:
    """Refuse a HELLO_ACK whose terms were not asked for, or under which nobody can work.

    Args:
        hello: What was asked for.
        frame: The frame that brought the answer.
        answer: Its payload.

    Raises:
        PayloadError: Naming the first term that is wrong.
    """
    if not answer.session_id:
        raise PayloadError("session id 0 is none")
    if hello.resume_session not in (0, answer.session_id):
        raise PayloadError(
            f"session 0x{answer.session_id:08X} is not 0x{hello.resume_session:08X}, which was to "
            "be resumed"
        )
    if not answer.boot_id or frame.boot not in (0, answer.boot_id):
        raise PayloadError(
            f"boot id 0x{answer.boot_id:08X} in a frame of boot id 0x{frame.boot:08X}"
        )
    _within("version", answer.version, hello.minimum_version, hello.maximum_version, "")
    _within("window", answer.window, 1, min(hello.window, MAX_WINDOW), "frames")
    unasked = answer.features & ~hello.features
    if unasked:
        raise PayloadError(f"features 0x{unasked:04X} were not asked for")
    jumbo = answer.features & Feature.JUMBO
    most = hello.payload_bytes if jumbo else min(hello.payload_bytes, MAX_PAYLOAD_BYTES)
    _within("payload", answer.payload_bytes, MIN_PAYLOAD_BYTES, most, "bytes")
    upcoming = answer.next_message_id
    if not upcoming or (upcoming != 1 and not hello.resume_session):
        raise PayloadError(f"next message id {upcoming}: the ids of a session start at 1")


def check_status(status: BoardStatus, unused: int) -> None:
    """Refuse a STATUS that tells of commands that were never sent.

    Args:
        status: What the board tells.
        unused: Message id that the next command of this session will have.

    Raises:
        PayloadError: Naming what is wrong.
    """
    _within("next message id", status.next_message_id, 1, unused, "")
    executing = status.executing_message_id
    if executing and executing not in (status.next_message_id, status.next_message_id - 1):
        raise PayloadError(
            f"executing message id {executing} with next message id {status.next_message_id}"
        )
    _within("executing message id", executing, 0, unused - 1, "")


def _within(name: str, value: int, least: int, most: int, unit: str) -> None:
    if not least <= value <= most:
        side, limit = ("below", least) if value < least else ("above", most)
        raise PayloadError(f"{name} {value} is {side} the {limit} limit{unit and f' ({unit})'}")
