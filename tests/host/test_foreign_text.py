"""What a board says is fit to be shown, in errors and in the log: it forges no line."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.host.lying import with_payload
from tests.host.test_lying_boards import IDENTITY, Bench

from starlab_host import BoardMisbehaves, LinkError
from starlab_host.discovery import FoundBoard, _note
from starlab_host.errors import refusal_of
from starlab_host.session.identity import check_identity
from starlab_host.session.waiting import Call, Progress
from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import Event, EventKind, Frame, FrameType, Nak
from starlab_spec.wire.transactions import Opcode, Result, Status

NASTY = "\x1b[2J\r\nWARNING forged \u202e" + "x" * 5000


def ending(kind: FrameType, payload: bytes) -> Callable[[bytes], bytes]:
    """A board that ends the session instead of replying."""

    def change(datagram: bytes) -> bytes:
        if datagram[3] != FrameType.REPLY:
            return datagram
        return with_payload(datagram[:3] + bytes([kind]) + datagram[4:], payload)

    return change


def is_fit_to_be_shown(text: str) -> bool:
    return text.isprintable() and len(text) < 3000


@pytest.mark.parametrize("kind", [FrameType.NAK, FrameType.RESET, FrameType.BYE])
def test_a_board_that_ends_a_session_without_a_word_is_told_by_what_came(
    kind: FrameType, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    session = bench.open()
    bench.link.change = ending(kind, b"")
    with pytest.raises(LinkError, match=f"it said {kind.name}"):
        session.execute([tr.read_registers(0)], read_only=True)
    assert f"it said {kind.name}" in caplog.text


def test_the_detail_of_a_nak_is_fit_to_be_shown(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    session = bench.open()
    detail = NASTY[:1200]
    nak = codec.encode_nak(Nak(Status.NOT_READY, detail))
    bench.link.change = ending(FrameType.NAK, nak)
    with pytest.raises(LinkError, match=r"\\x1b\[2J\\r\\nWARNING forged") as told:
        session.execute([tr.read_registers(0)], read_only=True)
    assert is_fit_to_be_shown(str(told.value))
    assert all(is_fit_to_be_shown(record.getMessage()) for record in caplog.records)


def test_a_handshake_that_is_refused_tells_why_fit_to_be_shown() -> None:
    nak = codec.encode_nak(Nak(Status.BUSY, NASTY[:1200]))

    def refuse(datagram: bytes) -> bytes:
        if datagram[3] != FrameType.HELLO_ACK:
            return datagram
        return with_payload(datagram[:3] + bytes([FrameType.NAK]) + datagram[4:], nak)

    with pytest.raises(LinkError, match="WARNING forged") as told:
        Bench(refuse).open()
    assert is_fit_to_be_shown(str(told.value))


def test_the_message_of_a_result_is_fit_to_be_shown() -> None:
    result = Result(Opcode.READ_REG, Status.NOT_READY, 0, NASTY.encode())
    assert is_fit_to_be_shown(result.message)
    assert result.message.startswith(r"\x1b[2J\r\nWARNING forged \u202e")
    assert is_fit_to_be_shown(str(refusal_of(result)))


@pytest.mark.parametrize(
    "lie",
    [{"serial": NASTY}, {"effects": ["\x1b[2J"]}, {"effects": ["x" * 300]}, {"firmware": "a\nb"}],
)
def test_an_identity_with_control_characters_is_refused_by_name(lie: dict[str, Any]) -> None:
    with pytest.raises(BoardMisbehaves, match=next(iter(lie))) as told:
        check_identity({**IDENTITY, **lie}, whole=True)
    assert is_fit_to_be_shown(str(told.value))


def test_what_an_announcement_says_is_fit_to_be_shown() -> None:
    payload = codec.encode_json({"serial": NASTY[:900], "\x1b[2J": 1, "boot_id": 3})
    found: dict[tuple[str, int], FoundBoard] = {}
    frame = Frame(FrameType.ANNOUNCE, payload=payload)
    _note(found, "udp://board", bytes(codec.encode_frame(frame)))
    (board,) = found.values()
    for name, value in board.identity.items():
        assert is_fit_to_be_shown(name + str(value))
    assert board.identity["serial"].startswith(r"\x1b[2J\r\nWARNING forged")


def test_the_text_of_an_event_is_fit_to_be_shown() -> None:
    told: list[Progress] = []
    call = Call([], b"", on_progress=told.append)
    call.tell([Event(EventKind.PROGRESS, 1, 2, NASTY)])
    assert is_fit_to_be_shown(told[0].text)
