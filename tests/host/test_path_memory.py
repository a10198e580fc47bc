"""What a way was found not to carry is remembered, and the next session makes do with less."""

import logging
import random
from collections.abc import Callable

import pytest
from tests.host.link_bench import Clock, NotingBoard, PatientLink

from starlab_host.errors import LinkLost, OutcomeUnknown
from starlab_host.links import MemoryLink
from starlab_host.links.path_memory import PathMemory
from starlab_host.session.session import Session
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import HelloAck
from starlab_spec.wire.requester.events import Ended, EndReason

BYTES = 5000
SWALLOWED = Ended(EndReason.SWALLOWED, 0, "")
CLOSED = Ended(EndReason.CLOSED, 0, "")


class Hole(PatientLink):
    """A link that loses some datagrams of the board, by their length."""

    def __init__(self, inner: MemoryLink, clock: Clock, lost: Callable[[int], bool]) -> None:
        super().__init__(inner, clock)
        self._lost = lost

    def receive(self, timeout_s: float) -> bytes | None:
        datagram = super().receive(timeout_s)
        return None if datagram is not None and self._lost(len(datagram)) else datagram


class Way:
    """A board behind a hole, and what is known of the way to it."""

    def __init__(self) -> None:
        self.board = NotingBoard()
        self.clock = Clock()
        self.path = PathMemory()
        self.memory = MemoryLink(self.board, clock=self.clock)
        self.lost: Callable[[int], bool] = lambda length: False

    def open(self, *, resumable: bool = False, resume: int = 0) -> Session:
        return Session.open(
            Hole(self.memory, self.clock, lambda length: self.lost(length)),
            client_name="test",
            resumable=resumable,
            resume_session=resume,
            path=self.path,
            clock=self.clock,
            rng=random.Random(1),
        )


@pytest.fixture
def way() -> Way:
    return Way()


@pytest.mark.parametrize("lost", [lambda n: n > 1200, lambda n: n == 1444], ids=["long", "exact"])
def test_a_read_whose_reply_is_swallowed_fails_once_and_then_comes_in_smaller_frames(
    way: Way, lost: Callable[[int], bool], caplog: pytest.LogCaptureFixture
) -> None:
    read = [tr.read_memory(0, BYTES)]
    way.lost = lost
    first = way.open()
    assert first.statistics.payload_reduced_from is None
    with pytest.raises(LinkLost) as caught:
        first.execute(read, read_only=True)
    assert "the request arrived, the reply is missing: the board answers, but some frames" in str(
        caught.value
    )
    first.close()
    with caplog.at_level(logging.WARNING), way.open() as second:
        (result,) = second.execute(read, read_only=True)
        assert len(result.data) == BYTES
        figures = second.statistics
        assert (figures.payload_bytes, figures.payload_reduced_from) == (1024, 1408)
        assert "; payload 1024 of 1408 bytes" in str(figures)
    assert "payload reduced from 1408 to 1024 bytes, as larger frames did not get" in caplog.text


def test_a_pulse_whose_reply_is_swallowed_is_in_doubt_and_not_given_again(way: Way) -> None:
    first = way.open()
    way.lost = lambda length: length > 1200
    with pytest.raises(OutcomeUnknown) as caught:
        first.execute([tr.start(1), tr.read_memory(0, BYTES)])
    assert caught.value.commands == ((1, "START 0x1, READ_MEM 0x0"),)
    first.close()
    with way.open() as second:
        second.execute([tr.start(2)])
    assert way.board.executed == [1, 2]


def test_the_reply_of_a_resumed_session_is_learned_in_smaller_frames(way: Way) -> None:
    command = [tr.start(1), tr.read_memory(0, BYTES)]
    first = way.open(resumable=True)
    way.lost = lambda length: length > 1200
    with pytest.raises(OutcomeUnknown):
        first.execute(command)
    first.close()
    with way.open(resumable=True, resume=first.granted.session_id) as second:
        assert second.granted.next_message_id == 2
        assert len(second.execute(command, again=1)[1].data) == BYTES
    assert way.board.executed == [1]


@pytest.mark.parametrize("count", [100, 200, 500, 1000, 1200, 1368])
def test_a_reply_of_just_the_length_that_is_swallowed_comes_in_several_frames(
    way: Way, count: int
) -> None:
    read = [tr.read_memory(0, count), tr.read_memory(0, 16)]
    way.lost = lambda length: length == 32 + 12 + count + 12 + 16 + 4
    with way.open() as first, pytest.raises(LinkLost):
        first.execute(read, read_only=True)
    with way.open() as second:
        assert [len(found.data) for found in second.execute(read, read_only=True)] == [count, 16]


def test_a_hole_that_only_small_frames_pass_is_found_in_one_handshake(way: Way) -> None:
    way.lost = lambda length: length > 400
    with way.open() as first, pytest.raises(LinkLost):
        first.execute([tr.read_memory(0, BYTES)], read_only=True)
    with way.open() as second:
        assert len(second.execute([tr.read_memory(0, BYTES)], read_only=True)[0].data) == BYTES
        assert second.granted.payload_bytes == 256


def test_payloads_shrink_with_every_loss_and_the_full_one_is_tried_after_another_end() -> None:
    path = PathMemory()
    assert (path.wanted(1408), path.wary) == (1408, False)
    asked = []
    for _ in range(6):
        asked.append(path.wanted(1408))
        path.ended(SWALLOWED, HelloAck(1, 1, payload_bytes=asked[-1]))
    assert asked == [1408, 1024, 512, 256, 128, 128]
    assert path.wary
    path.ended(CLOSED, HelloAck(1, 1, payload_bytes=path.wanted(1408)))
    assert (path.wanted(1408), path.wary) == (1408, True)
    assert path.reduced_from(1408) is None


def test_a_handshake_that_fails_changes_nothing() -> None:
    path = PathMemory()
    path.ended(SWALLOWED, HelloAck(1, 1, payload_bytes=1408))
    path.ended(Ended(EndReason.REFUSED, 4, "in use"), None)
    assert path.wanted(1408) == 1024


def test_a_board_that_grants_less_by_itself_is_no_reduced_way() -> None:
    path = PathMemory()
    path.wanted(1408)
    assert path.reduced_from(512) is None
