"""A connection to the authors' board, whose replies are of whatever length, cut and joined."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from starlab_host.links import AuthorsAddress, AuthorsLink, ConnectionGone, open_link
from starlab_host.links import authors_tcp as links

HEADER = b"whatever"
START = bytes.fromhex("403c00000008")

Script = Callable[[bytes], Sequence[bytes]]
"""What to send in answer to a request, segment by segment."""


def usual(request: bytes) -> list[bytes]:
    match request[0]:
        case 0x92:
            return [HEADER + b"\0\0\0\x10" + b"more"]
        case 0x41:
            return [HEADER + request[1:2] + b"\0\0\x01"]
    return [HEADER]


@pytest.fixture
def linked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], AuthorsLink]]:
    """A link to a board that follows a script."""
    monkeypatch.setattr(links, "REPLY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(links, "RESULT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(links, "REST_TIMEOUT_S", 0.1)
    threads: list[threading.Thread] = []
    opened: list[AuthorsLink] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def link_to(script: Script) -> AuthorsLink:
        def serve() -> None:
            board, _ = listener.accept()
            board.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with board:
                while request := board.recv(2048):
                    if request[0] == 0x89:  # it has no reply, so the next may follow at once
                        script(request[:6])
                        request = request[6:] or board.recv(2048)
                    for segment in script(request):
                        board.sendall(segment)
                        if not segment:
                            return

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        opened.append(AuthorsAddress("127.0.0.1", listener.getsockname()[1]).connect())
        return opened[-1]

    yield link_to
    for link in opened:
        link.close()
    for thread in threads:
        thread.join(10)
    listener.close()


def started(*segments: bytes) -> Script:
    return lambda request: segments if request == START else usual(request)


def test_values_are_read_behind_the_header_whatever_else_a_reply_holds(
    linked: Callable[[Script], AuthorsLink],
) -> None:
    link = linked(usual)
    assert link.base == 0x10000000
    assert link.get_register(0xC8) == 0x010000C8


@pytest.mark.parametrize(
    "segments",
    [
        (HEADER, HEADER + b"0123456789"),
        (HEADER + HEADER + b"0123456789",),
        (HEADER + HEADER[:3], HEADER[3:] + b"01234", b"56789"),
        (HEADER, HEADER + b"0123456789 and what was not asked for"),
    ],
)
def test_a_result_is_the_same_however_reply_and_message_are_cut_or_joined(
    linked: Callable[[Script], AuthorsLink], segments: Sequence[bytes]
) -> None:
    link = linked(started(*segments))
    for _ in range(3):
        assert link.run(10) == HEADER + b"0123456789"
        assert link.get_register(3) == 0x01000003


def test_a_board_may_repeat_whole_requests_as_its_replies(
    linked: Callable[[Script], AuthorsLink],
) -> None:
    def echo(request: bytes) -> list[bytes]:
        if request[0] == 0x40:
            reply = request.ljust(12, b"\xff")
            return [reply + HEADER + b"result"] if request == START else [reply]
        return usual(request)

    link = linked(echo)
    assert link.run(6) == HEADER + b"result"


def test_a_result_that_does_not_come_leaves_the_message_short(
    linked: Callable[[Script], AuthorsLink],
) -> None:
    assert linked(started(HEADER, HEADER)).run(22) == HEADER


def test_the_expected_length_of_results_is_announced_when_it_changes(
    linked: Callable[[Script], AuthorsLink],
) -> None:
    asked: list[bytes] = []

    def script(request: bytes) -> list[bytes]:
        asked.append(request)
        return [HEADER, HEADER + bytes(22)] if request == START else usual(request)

    link = linked(script)
    link.run(22)
    link.run(22)
    assert [request for request in asked if request[0] == 0x89] == [b"\x89\0\0\0\0\x16"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (started(b""), "the board has closed the connection"),
        (started(), "the board did not answer within 0.2 s"),
        (started(HEADER, b""), "the board has closed the connection"),
        (started(HEADER), "the board did not answer within 0.2 s"),
    ],
)
def test_a_board_that_is_lost_in_an_operation_is_told_so(
    linked: Callable[[Script], AuthorsLink], script: Script, why: str
) -> None:
    link = linked(script)
    with pytest.raises(ConnectionGone, match=why):
        link.run(22)


def test_a_connection_that_was_closed_before_is_noticed_before_anything_is_sent(
    linked: Callable[[Script], AuthorsLink],
) -> None:
    link = linked(lambda request: [HEADER, b""] if request[0] == 0x60 else usual(request))
    link.write_memory(0, b"last words")
    sent = link.requests
    link._socket.settimeout(5)
    assert link._socket.recv(1, socket.MSG_PEEK) == b""
    with pytest.raises(ConnectionGone, match="the board has closed the connection"):
        link.set_register(0x38, 1)
    assert link.requests == sent


def test_what_does_not_answer_as_a_board_does_is_none(
    linked: Callable[[Script], AuthorsLink],
) -> None:
    with pytest.raises(ConnectionGone):
        linked(lambda request: [request])


def test_there_are_no_datagrams_on_this_way() -> None:
    with pytest.raises(ValueError, match="authors-tcp://host:7 carries no frames"):
        open_link("authors-tcp://host")
