"""Captures of whole sessions: what they hold whatever was lost, and where a repetition differs."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.host.link_bench import NotingBoard

from starlab_host import Chip, connect
from starlab_host.capture import Captured, read_pcap
from starlab_host.capture.conversation import Conversation, Exchange, conversations
from starlab_host.capture.replay import Divergence, NotEmulated, Replay, compare, replay
from starlab_host.links import MemoryLink
from starlab_host.session.session import Session
from starlab_sim import Board as EmulatedBoard
from starlab_sim import Specimen
from starlab_spec.wire import Frame, FrameFlag, FrameType, Opcode, Result, Status, encode_frame
from starlab_spec.wire import transactions as tr

START = tr.encode_transactions([tr.start(1)])
READ = tr.encode_transactions([tr.read_memory(0, 8)])
DONE = tr.encode_results([Result(Opcode.START, Status.OK)])
LAST = int(FrameFlag.LAST)


def emulated(seed: int, boot: int = 1) -> EmulatedBoard:
    return EmulatedBoard(Specimen(seed=seed), serial=f"EMU-{seed:08X}", rng=random.Random(boot))


def opener(board: EmulatedBoard | NotingBoard) -> Callable[[], Session]:
    def open_session() -> Session:
        link = MemoryLink(board, clock=time.monotonic)
        return Session.open(link, client_name="replay", rng=random.Random(1))

    return open_session


def talks_of(path: Path) -> list[Conversation]:
    with path.open("rb") as file:
        return conversations(read_pcap(file))


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training and a look at the cells, over a bad network, in two sessions."""
    path = tmp_path_factory.mktemp("capture") / "link.pcap"
    boards = {"emu": emulated(7)}
    url = "memory:emu?loss=0.05&duplication=0.05"
    rng = random.Random(5)
    with connect(f"{url}&seed=3", boards=boards, capture=path) as board:
        images = [[rng.random() < 0.2 for _ in range(784)] for _ in range(3)]
        Chip(board).train_step(images, labels=[1, 2, 3])
    with connect(f"{url}&seed=4", boards=boards, capture=path) as board:
        Chip(board).read_conductance_uS(1, rows=[0, 1])
    return path


def test_the_same_seed_and_commands_give_the_same_replies(capture: Path) -> None:
    talks = talks_of(capture)
    assert len(talks) == 2
    found = replay(talks, opener(emulated(7, boot=2)))
    count = sum(len(talk.exchanges) for talk in talks)
    assert found == Replay(sessions=2, commands=count, left_out=0, divergence=None)


def test_another_chip_is_told_by_its_first_reply_that_differs(capture: Path) -> None:
    found = replay(talks_of(capture), opener(emulated(8)))
    assert found.divergence is not None
    assert found.divergence.expected != found.divergence.got
    assert found.divergence.message_id >= 1


def test_a_changed_reply_is_found_in_its_field(capture: Path) -> None:
    talks = talks_of(capture)
    talk = talks[0]
    where = next(
        number
        for number, exchange in enumerate(talk.exchanges)
        if tr.decode_results(exchange.reply)[-1].opcode == Opcode.READ_MEM
    )
    changed = talk.exchanges[where]
    *before, last = tr.decode_results(changed.reply)
    data = bytes([*last.data[:-1], last.data[-1] ^ 1])
    reply = tr.encode_results([*before, last._replace(data=data)])
    talk.exchanges[where] = Exchange(changed.message_id, changed.flags, changed.request, reply)
    divergence = replay(talks, opener(emulated(7))).divergence
    assert divergence is not None
    at = (len(data) - 1) // 4 * 4
    assert divergence.field == f"result {len(before) + 1}, byte {at}"
    assert divergence.expected == f"0x{data[at : at + 4].hex().upper()}"
    assert divergence.got == f"0x{last.data[at : at + 4].hex().upper()}"


def test_a_replay_touches_no_real_board() -> None:
    board = NotingBoard()
    with pytest.raises(NotEmulated, match=r"^a capture is replayed on emulated boards only$"):
        replay([Conversation(7, [Exchange(1, 0, START, DONE)])], opener(board))
    assert board.executed == []


def test_a_divergence_is_one_sentence() -> None:
    assert str(Divergence(0x5E55, 17, "START 0x40000", "result 1, status", "OK", "ABORTED")) == (
        "session 0x00005E55, message 17 (START 0x40000): result 1, status: expected OK, got ABORTED"
    )


# ---- what a capture holds


def frame(kind: FrameType, message: int, payload: bytes, **fields: int) -> Captured:
    made = Frame(kind, session=7, message=message, payload=payload, **fields)
    return Captured(0.0, kind == FrameType.COMMAND, encode_frame(made))


def test_what_was_sent_or_answered_again_is_in_it_once() -> None:
    command, reply = frame(FrameType.COMMAND, 1, START), frame(FrameType.REPLY, 1, DONE)
    again = frame(FrameType.REPLY, 1, DONE, flags=int(FrameFlag.REPLAYED))
    damaged = Captured(0.0, True, command.datagram[:-1] + b"\0")
    (talk,) = conversations([damaged, command, command, reply, again, command, reply])
    assert talk == Conversation(7, [Exchange(1, 0, START, DONE)], [])


def test_fragments_are_put_together_in_whatever_order() -> None:
    halves = [
        frame(FrameType.COMMAND, 1, START[:8], fragments=2),
        frame(FrameType.COMMAND, 1, START[8:], fragments=2, fragment=1, flags=LAST),
    ]
    (talk,) = conversations([halves[1], halves[0], frame(FrameType.REPLY, 1, DONE)])
    assert talk.exchanges == [Exchange(1, 0, START, DONE)]


def test_commands_are_in_the_order_in_which_they_are_executed() -> None:
    commands = [frame(FrameType.COMMAND, number, START) for number in (2, 1)]
    replies = [frame(FrameType.REPLY, number, DONE) for number in (1, 2)]
    (talk,) = conversations([*commands, *replies])
    assert [exchange.message_id for exchange in talk.exchanges] == [1, 2]


def test_that_a_command_has_to_wait_is_no_reply() -> None:
    command = frame(FrameType.COMMAND, 1, START)
    busy = frame(FrameType.REPLY, 1, DONE, flags=int(FrameFlag.BUSY))
    progress = tr.encode_results([Result(Opcode.START, Status.IN_PROGRESS)])
    (talk,) = conversations([command, busy, frame(FrameType.REPLY, 1, progress)])
    assert (talk.exchanges, talk.unanswered) == ([], [1])


def test_of_two_commands_with_one_id_the_later_was_answered() -> None:
    """The host crashed before the board had the first, and its successor used the id anew."""
    first, second = frame(FrameType.COMMAND, 1, START), frame(FrameType.COMMAND, 1, READ)
    (talk,) = conversations([first, second, frame(FrameType.REPLY, 1, DONE)])
    assert talk.exchanges[0].request == READ


# ---- differences


def of_read(data: bytes, status: int = Status.OK) -> list[Result]:
    return [Result(Opcode.READ_REG, status, 0x40, data)]


@pytest.mark.parametrize(
    ("expected", "got", "difference"),
    [
        (of_read(b"abcd"), of_read(b"abcd"), None),
        (
            of_read(b"abcdabcd"),
            of_read(b"abcdabce"),
            ("result 1, register 0x44", "0x61626364", "0x61626365"),
        ),
        (of_read(b"abcd"), of_read(b""), ("result 1, length in bytes", "4", "0")),
        (
            of_read(b"abcd"),
            of_read(b"no", Status.RANGE),
            ("result 1, status", "OK", "RANGE (no)"),
        ),
        (
            of_read(b"no", Status.RANGE),
            of_read(b"never", Status.RANGE),
            ("result 1, message", "no", "never"),
        ),
        (of_read(b""), [*of_read(b""), *of_read(b"")], ("number of results", "1", "2")),
        (
            [Result(Opcode.IDENTIFY, Status.OK, 0, b'{"serial": "A", "boot_id": 1}')],
            [Result(Opcode.IDENTIFY, Status.OK, 0, b'{"serial": "B", "boot_id": 2}')],
            ("result 1, identity, serial", "A", "B"),
        ),
    ],
)
def test_a_difference_is_named_with_both_values(
    expected: list[Result], got: list[Result], difference: tuple[str, str, str] | None
) -> None:
    asked = [tr.read_registers(0x40, 2), tr.read_registers(0x40, 2)]
    assert compare(asked, expected, got) == difference
