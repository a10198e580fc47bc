"""What is tried again, when, and how often: commands without room, requests, replies, frames."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.spec.board_by_hand import LAST, PULSE, BoardByHand
from tests.spec.wire_table import Host, Table, replies

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.congestion import MAX_TRIES, RoundTrip
from starlab_spec.wire.frames import (
    FIRST_CHALLENGE,
    BoardState,
    BoardStatus,
    Feature,
    FrameFlag,
    FrameType,
    Hello,
    HelloAck,
)
from starlab_spec.wire.requester.commands import CommandLedger
from starlab_spec.wire.requester.events import Ended, EndReason
from starlab_spec.wire.requester.keepalive import Keepalive
from starlab_spec.wire.requester.patience import Patience
from starlab_spec.wire.responder.restraint import Voice
from starlab_spec.wire.transactions import Opcode, Result, Status

BUSY = tr.encode_results([Result(Opcode.START, Status.BUSY)])


def exact_timeouts() -> RoundTrip:
    """Of a link of which nothing is known: 0.1 s that double up to 1 s."""
    return SimpleNamespace(  # type: ignore[return-value]
        timeout_s=lambda tries: min(0.1 * 2**tries, 1.0)
    )


class Window:
    """Takes what is queued."""

    def __init__(self) -> None:
        self.round_trip = exact_timeouts()
        self.queued: list[int] = []
        self.kept_back: set[int] = set()
        self.exhausted = False
        self.timeouts = 8

    def queue(self, kind: FrameType, message_id: int, payload: bytes, **how: Any) -> None:
        self.queued.append(message_id)

    def holds_back(self, message_id: int) -> bool:
        return message_id in self.kept_back


@pytest.fixture
def window() -> Window:
    return Window()


@pytest.fixture
def ledger(window: Window) -> CommandLedger:
    """With room for two commands at the board."""
    return CommandLedger(window, HelloAck(1, 1, window=2, next_message_id=5))  # type: ignore[arg-type]


def submitted(ledger: CommandLedger, count: int, flags: int = 0) -> list[int]:
    return [ledger.submit(PULSE, 0.0, flags=flags, urgent=False) for _ in range(count)]


def test_a_command_without_room_is_sent_again_after_pauses_that_double_up_to_a_second(
    ledger: CommandLedger, window: Window
) -> None:
    (number,) = submitted(ledger, 1)
    command = ledger.outstanding[number]
    pauses = []
    for _ in range(9):
        ledger.put_off(command, 10.0)
        assert ledger.retry_at is not None
        pauses.append(round(ledger.retry_at - 10.0, 6))
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0]
    window.queued.clear()
    ledger.send_again(10.999)
    assert window.queued == []
    ledger.send_again(11.0)
    assert window.queued == [number]


def test_the_earliest_of_those_put_off_comes_first(ledger: CommandLedger, window: Window) -> None:
    first, second = submitted(ledger, 2)
    ledger.put_off(ledger.outstanding[first], 1.0)
    ledger.put_off(ledger.outstanding[second], 0.5)
    assert ledger.retry_at == pytest.approx(0.52)
    window.queued.clear()
    ledger.send_again(0.52)
    assert window.queued == [second]


def test_no_more_commands_wait_at_the_board_than_it_holds(
    ledger: CommandLedger, window: Window
) -> None:
    assert submitted(ledger, 4) == [5, 6, 7, 8]
    assert window.queued == [5, 6]
    assert [command.message_id for command in ledger.in_doubt()] == [5, 6]
    ledger.replied(6)
    assert window.queued == [5, 6]
    ledger.replied(5)
    assert window.queued == [5, 6, 7, 8]
    assert ledger.next_message == 9


def test_only_what_may_have_been_executed_is_in_doubt(
    ledger: CommandLedger, window: Window
) -> None:
    (read,) = submitted(ledger, 1, int(FrameFlag.READ_ONLY))
    (pulse,) = submitted(ledger, 1)
    assert [command.message_id for command in ledger.in_doubt()] == [pulse]
    window.kept_back.add(pulse)
    assert ledger.in_doubt() == []
    ledger.delivered([pulse, read, 99])
    assert [command.message_id for command in ledger.in_doubt()] == [pulse]
    assert ledger.deliveries == 3


def status(upcoming: int, executing: int = 0) -> BoardStatus:
    state = BoardState.EXECUTING if executing else BoardState.IDLE
    return BoardStatus(upcoming, executing, state=state)


@pytest.mark.parametrize(("now", "asks"), [(0.09, False), (0.1, True), (5.0, True)])
def test_a_reply_that_is_missing_is_asked_for_after_a_timeout(
    ledger: CommandLedger, window: Window, now: float, asks: bool
) -> None:
    (number,) = submitted(ledger, 1)
    window.queued.clear()
    ledger.ask_again(status(number + 1), now)
    assert window.queued == []  # the command has not arrived yet
    ledger.delivered([number])
    ledger.ask_again(status(number, executing=number), now)
    assert window.queued == []  # it is being executed
    ledger.ask_again(status(number + 1), now)
    assert window.queued == [number] * asks
    assert ledger.asked_in_vain == asks


def test_a_reply_that_was_asked_for_often_enough_will_not_come(ledger: CommandLedger) -> None:
    assert ledger.missing() is None
    (number,) = submitted(ledger, 1)
    ledger.asked_in_vain = MAX_TRIES
    assert ledger.missing() is None
    ledger.asked_in_vain = MAX_TRIES + 1
    assert ledger.missing() is ledger.outstanding[number]
    ledger.asked_in_vain, ledger.outstanding[number].askings = 0, 150
    assert ledger.missing() is None
    ledger.outstanding[number].askings = 151
    assert ledger.missing() is ledger.outstanding[number]


# ---- requests for the status


def test_requests_are_counted_from_one_and_whoever_asks_later_has_a_later_one() -> None:
    keepalive = Keepalive(exact_timeouts())
    assert keepalive.latest() == 1
    assert [keepalive.ask(0.0), keepalive.latest(), keepalive.ask(0.0)] == [2, 2, 3]
    fresh = Keepalive(exact_timeouts())
    assert [fresh.ask(0.0), fresh.latest()] == [1, 1]


def test_an_idle_host_asks_a_second_after_it_spoke_and_one_in_doubt_at_once() -> None:
    keepalive = Keepalive(exact_timeouts())
    assert keepalive.due(5.0, in_doubt=False) == 6.0
    assert keepalive.due(5.0, in_doubt=True) == 5.0
    keepalive.ask(5.0)
    assert keepalive.due(5.0, in_doubt=False) == keepalive.due(5.0, in_doubt=True) == 5.4
    keepalive.ask(5.4)
    assert keepalive.due(5.4, in_doubt=True) == pytest.approx(6.2)
    keepalive.answered(1)
    assert keepalive.due(7.0, in_doubt=False) == 8.0


def test_five_requests_without_any_answer_and_sixteen_without_a_status_are_the_end() -> None:
    keepalive = Keepalive(exact_timeouts())
    for asked in range(1, 17):
        keepalive.ask(0.0)
        assert keepalive.exhausted is (asked >= 5)
        assert keepalive.in_vain is (asked >= 16)
    keepalive.answered(1)
    assert not keepalive.in_vain
    assert keepalive.what_was_tried(0) == "16 STATUS_REQUEST unanswered"
    assert keepalive.what_was_tried(8).startswith("8 timeouts of the oldest frame, 16 ")


def test_numbers_from_the_first_challenge_on_are_no_requests_of_a_host() -> None:
    keepalive = Keepalive(exact_timeouts())
    assert not keepalive.is_challenge(FIRST_CHALLENGE - 1)
    assert keepalive.is_challenge(FIRST_CHALLENGE)


# ---- the end of patience


def test_a_frame_that_never_gets_through_is_tried_again_once_more_where_others_arrive(
    ledger: CommandLedger, window: Window
) -> None:
    patience = Patience(window, Keepalive(exact_timeouts()), ledger)  # type: ignore[arg-type]
    assert patience.after_status() is None
    window.exhausted = True
    assert patience.after_status() is None
    ended = patience.after_status()
    assert ended is not None
    assert ended[0] is EndReason.SWALLOWED
    assert "in 8 timeouts no frame of the command got through" in ended[1]
    ledger.delivered([5])
    assert patience.after_status() is None
    assert patience.after_status() is not None


def test_silence_is_told_from_a_status_that_never_comes(
    ledger: CommandLedger, window: Window
) -> None:
    keepalive = Keepalive(exact_timeouts())
    patience = Patience(window, keepalive, ledger)  # type: ignore[arg-type]
    assert patience.before_asking() is None
    for _ in range(16):
        keepalive.ask(0.0)
    assert patience.before_asking() == (EndReason.UNANSWERED, keepalive.what_was_tried(8))
    keepalive.unanswered = 0
    why = "frames come, but 16 STATUS_REQUEST were answered by no STATUS"
    assert patience.before_asking() == (EndReason.SWALLOWED, why)


def test_a_reply_that_never_comes_is_told_by_its_message(
    ledger: CommandLedger, window: Window
) -> None:
    patience = Patience(window, Keepalive(exact_timeouts()), ledger)  # type: ignore[arg-type]
    (number,) = submitted(ledger, 1)
    assert patience.after_asking() is None
    ledger.outstanding[number].askings = 151
    ended = patience.after_asking()
    assert ended is not None
    assert ended[0] is EndReason.SWALLOWED
    assert f"asked 150 times for its reply to message {number} " in ended[1]


def test_a_board_that_stays_busy_is_given_up_in_bounded_time() -> None:
    board = BoardByHand()
    board.open()
    board.requester.submit(PULSE, 0.0)
    for _ in range(400):
        commands = [one for one in board.wait(0.5) if one.type == FrameType.COMMAND]
        for command in commands:
            board.acknowledged = command.sequence + 1
            board.reply(1, BUSY, flags=LAST | FrameFlag.BUSY)
        board.status(1)
        if any(isinstance(event, Ended) for event in board.events):
            break
    assert board.end().reason is EndReason.SWALLOWED
    assert board.now < 300


# ---- the board's side


@pytest.fixture
def patient() -> tuple[Table, Host]:
    """A host that may be silent as long as it likes."""
    table = Table()
    host = Host(table)
    host.open(Hello(features=int(Feature.NEVER_SAFE)))
    return table, host


def test_a_board_that_has_given_up_sends_its_reply_again_when_its_host_is_heard_of(
    patient: tuple[Table, Host],
) -> None:
    table, host = patient
    host.command(1, tr.start(1))
    tried = [frame for frame in table.wait(60.0) if frame.type == FrameType.REPLY]
    assert len(tried) >= MAX_TRIES
    assert table.wait(60.0) == []
    again = host.send(FrameType.STATUS_REQUEST)
    assert [number for number, _, _ in replies(again)] == [1]
    # its answer confirms the reply: nothing more is sent
    host.acknowledged = 1
    host.send(FrameType.STATUS_REQUEST)
    assert list(replies(table.wait(60.0))) == []
    assert table.board.executed == [(1,)]


def test_a_host_that_confirms_no_refusal_is_heard_no_more_until_it_does(
    patient: tuple[Table, Host],
) -> None:
    table, host = patient
    for _ in range(1024):
        host.command(0, tr.start(1))  # long answered: each is refused
    host.command(1, tr.start(1))
    assert table.board.executed == []
    host.acknowledged = 1024
    host.command(1, tr.start(1))
    assert table.board.executed == [(1,)]


def test_of_addresses_that_have_not_shown_that_they_hear_256_are_counted() -> None:
    voice: Voice[int] = Voice()
    for peer in range(257):
        voice.came(peer, 100)
    for peer in range(257):
        voice.say(peer, bytes(300))
    assert [peer for peer, _ in voice.take()] == list(range(1, 257))
