"""Frames in flight: the window, what counts as lost, and the timeouts."""

import random
from itertools import pairwise

import pytest

from starlab_spec.wire.codec import decode_frame
from starlab_spec.wire.congestion import (
    MAX_TRIES,
    PROBE_FLOOR_S,
    RTO_CAP_S,
    RTO_FLOOR_S,
    RTO_INITIAL_S,
    RoundTrip,
)
from starlab_spec.wire.frames import Acknowledgement, Frame, FrameFlag, FrameType
from starlab_spec.wire.sending import SendWindow

ROUND_TRIP_S = 0.004


class NoJitter(random.Random):
    def random(self) -> float:
        return 0.0


class Sender:
    """A send window of 16-byte payloads, and what it has handed out."""

    def __init__(self, window: int = 32, first_sequence: int = 0) -> None:
        self.window = SendWindow(
            session=1,
            boot=2,
            window=window,
            payload_bytes=16,
            rng=NoJitter(),
            first_sequence=first_sequence,
        )

    def queue(self, fragments: int, message_id: int = 1, *, prompt: bool = False) -> None:
        content = bytes(16 * fragments)
        self.window.queue(FrameType.COMMAND, message_id, content, prompt=prompt, tracked=True)

    def sent(self, now: float = 0.0) -> list[Frame]:
        return [decode_frame(datagram) for datagram in self.window.take(now, 0)]

    def numbers(self, now: float = 0.0) -> list[int]:
        return [frame.sequence for frame in self.sent(now)]

    def acknowledge(self, cumulative: int, *beyond: int, now: float = ROUND_TRIP_S) -> list[int]:
        bitmap = sum(1 << 127 - (number - cumulative - 1) for number in beyond)
        return self.window.acknowledge(Acknowledgement(cumulative, bitmap, 32, 0), now)


def test_no_more_is_in_flight_than_the_window_and_the_credit_allow() -> None:
    sender = Sender(window=10)
    sender.queue(30)
    assert sender.numbers() == list(range(10))
    assert sender.numbers() == []
    sender.acknowledge(4)
    assert sender.numbers() == [10, 11, 12, 13]
    sender.window.acknowledge(Acknowledgement(8, 0, credit=7), 0.0)
    assert sender.numbers() == [14]


def test_frames_acknowledged_beyond_a_gap_do_not_widen_the_window() -> None:
    sender = Sender(window=4)
    sender.queue(30)
    sender.sent()
    sender.acknowledge(0, 1, 2, 3)
    assert sender.numbers() == [0]


def test_a_peer_without_credit_still_gets_one_frame() -> None:
    sender = Sender()
    sender.window.acknowledge(Acknowledgement(0, 0, credit=0), 0.0)
    sender.queue(3)
    assert sender.numbers() == [0]


def test_the_first_frame_of_a_prompt_message_does_not_wait_for_the_window() -> None:
    sender = Sender(window=2)
    sender.queue(5, 1)
    assert sender.numbers() == [0, 1]
    sender.window.queue(FrameType.COMMAND, 2, b"now", prompt=True, first=True)
    assert [(frame.sequence, frame.message) for frame in sender.sent()] == [(2, 2)]


@pytest.mark.parametrize("window", [4, 32])
def test_the_frame_that_fills_the_window_asks_for_an_acknowledgement(window: int) -> None:
    sender = Sender(window=window)
    sender.queue(40)
    *before, filling = sender.sent()
    assert filling.flags == FrameFlag.ACK_NOW
    assert not any(frame.flags for frame in before)


def test_sequence_numbers_wrap() -> None:
    sender = Sender(first_sequence=(1 << 32) - 2)
    sender.queue(4)
    assert sender.numbers() == [(1 << 32) - 2, (1 << 32) - 1, 0, 1]
    assert sender.acknowledge(2) == [1]
    assert sender.window.in_flight == 0


def test_a_message_is_confirmed_once_all_before_its_end_has_arrived() -> None:
    sender = Sender()
    sender.queue(2, 1)
    sender.queue(2, 2)
    sender.sent()
    assert sender.acknowledge(1, 2, 3) == []
    assert sender.acknowledge(4) == [1, 2]


def test_acknowledgements_of_what_was_never_sent_are_ignored() -> None:
    sender = Sender()
    sender.queue(2)
    sender.sent()
    assert sender.acknowledge(3) == []
    assert sender.window.acknowledge_to(0x8000_0000, 0.0) == []
    assert sender.window.in_flight == 2


def test_an_acknowledgement_that_was_overtaken_changes_nothing() -> None:
    sender = Sender(window=4)
    sender.queue(8)
    sender.sent()
    sender.acknowledge(3)
    sender.window.acknowledge(Acknowledgement(1, 0, credit=1), 0.0)
    assert sender.numbers() == [4, 5, 6]


def test_a_frame_is_lost_once_a_later_one_has_arrived() -> None:
    sender = Sender()
    sender.queue(6)
    sender.sent()
    sender.acknowledge(1, 3)
    assert sender.numbers() == [1, 2]
    sender.acknowledge(1, 3, 5)
    assert sender.numbers() == [4]


def test_a_repeated_frame_is_lost_again_only_by_one_sent_after_it() -> None:
    sender = Sender()
    sender.queue(4)
    sender.sent()
    sender.acknowledge(0, 1)
    assert sender.numbers() == [0]
    sender.acknowledge(0, 1, 2, 3, now=2 * ROUND_TRIP_S)
    assert sender.numbers() == []
    sender.queue(1, 2)
    assert sender.numbers(2 * ROUND_TRIP_S) == [4]
    sender.acknowledge(0, 1, 2, 3, 4, now=3 * ROUND_TRIP_S)
    assert sender.numbers() == [0]


def test_a_repetition_answered_too_early_says_nothing_about_order() -> None:
    sender = Sender()
    sender.queue(3)
    sender.sent()
    sender.acknowledge(0, 1)
    assert sender.numbers(ROUND_TRIP_S) == [0]
    # sequence 0 arrived late, not lost: 2 is still on its way
    sender.acknowledge(2, now=ROUND_TRIP_S + 1e-6)
    assert sender.numbers() == []


def measured() -> Sender:
    """A sender that knows its round-trip time, with nothing in flight."""
    sender = Sender()
    sender.queue(1)
    sender.sent()
    sender.acknowledge(1)
    return sender


def test_the_tail_is_probed_after_two_round_trips_by_its_newest_frame() -> None:
    sender = measured()
    sender.queue(3, 2)
    sender.sent(1.0)
    probe_at = sender.window.deadline() or 0.0
    assert probe_at == pytest.approx(1.0 + 2 * ROUND_TRIP_S)
    sender.window.expire(probe_at - 1e-9)
    assert sender.numbers() == []
    sender.window.expire(probe_at)
    (probe,) = sender.sent()
    assert (probe.sequence, probe.flags) == (3, FrameFlag.LAST | FrameFlag.ACK_NOW)
    assert sender.window.timeouts == 0


def test_after_the_probe_the_oldest_frame_is_sent_at_doubling_timeouts() -> None:
    sender = measured()
    sender.queue(3, 2)
    sender.sent(1.0)
    times = []
    while (due := sender.window.deadline()) is not None:
        times.append(due)
        sender.window.expire(due)
        assert sender.numbers() == ([] if sender.window.exhausted else [1 if times[1:] else 3])
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == pytest.approx([0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert sender.window.timeouts == MAX_TRIES


def test_any_progress_ends_the_doubling() -> None:
    sender = measured()
    sender.queue(2, 2)
    sender.sent(1.0)
    for _ in range(4):
        due = sender.window.deadline()
        assert due is not None
        sender.window.expire(due)
    assert sender.window.timeouts == 3
    sender.acknowledge(2, now=5.0)
    assert sender.window.timeouts == 0
    assert sender.window.deadline() == pytest.approx(5.0 + 2 * ROUND_TRIP_S)


def test_a_sender_that_gave_up_tries_once_more_when_the_peer_is_heard_of() -> None:
    sender = measured()
    sender.queue(2, 2)
    sender.sent(1.0)
    while (due := sender.window.deadline()) is not None:
        sender.window.expire(due)
        sender.sent()
    sender.window.revive(20.0)
    assert sender.numbers() == [1]
    due = sender.window.deadline()
    assert due is not None
    sender.window.expire(due)
    assert sender.window.exhausted


def test_frames_of_a_message_are_sent_again_under_their_old_numbers_on_request() -> None:
    sender = Sender()
    sender.queue(2, 1)
    sender.queue(1, 2)
    sender.sent()
    assert sender.window.resend(1, FrameFlag.REPLAYED, 0.0)
    again = sender.sent()
    assert [(frame.sequence, frame.message) for frame in again] == [(0, 1), (1, 1)]
    assert all(frame.flags & FrameFlag.REPLAYED for frame in again)
    sender.acknowledge(3)
    assert not sender.window.resend(1, 0, 0.0)


def test_what_was_sent_within_the_last_round_trip_is_not_sent_again_on_request() -> None:
    sender = measured()
    sender.queue(2, 2)
    sender.sent(1.0)
    sender.queue(1, 3)
    sender.sent(1.0)
    assert sender.window.resend(2, 0, 1.0 + ROUND_TRIP_S / 2)
    assert sender.numbers() == []
    assert sender.window.resend(3, 0, 1.0 + ROUND_TRIP_S / 2)
    assert sender.numbers() == [3]
    assert sender.window.resend(2, 0, 1.0 + ROUND_TRIP_S)
    assert sender.numbers() == [1, 2]


def test_a_message_is_held_back_until_its_last_fragment_was_handed_out() -> None:
    sender = Sender(window=4)
    sender.queue(6)
    sender.sent()
    assert sender.window.holds_back(1)
    sender.acknowledge(4)
    sender.sent()
    assert not sender.window.holds_back(1)


def test_round_trip_and_timeout_follow_rfc_6298() -> None:
    trip = RoundTrip(NoJitter())
    assert trip.timeout_s() == RTO_INITIAL_S
    trip.measured(0.100)
    assert trip.smoothed_s == pytest.approx(0.100)
    assert trip.timeout_s() == pytest.approx(0.100 + 4 * 0.050)
    trip.measured(0.200)
    variation = 0.75 * 0.050 + 0.25 * 0.100
    assert trip.smoothed_s == pytest.approx(0.875 * 0.100 + 0.125 * 0.200)
    assert trip.timeout_s() == pytest.approx(0.1125 + 4 * variation)


def test_timeouts_stay_between_floor_and_cap_with_a_tenth_of_jitter() -> None:
    trip = RoundTrip(random.Random(1))
    trip.measured(20e-6)
    floors = [trip.timeout_s() for _ in range(200)]
    assert RTO_FLOOR_S <= min(floors) < 1.01 * RTO_FLOOR_S
    assert 1.09 * RTO_FLOOR_S < max(floors) <= 1.1 * RTO_FLOOR_S
    assert RTO_CAP_S <= trip.timeout_s(10) <= 1.1 * RTO_CAP_S
    assert trip.probe_s == PROBE_FLOOR_S


def test_an_hour_asleep_is_no_round_trip() -> None:
    trip = RoundTrip(NoJitter())
    trip.measured(0.001)
    trip.measured(3600.0)
    assert trip.smoothed_s == pytest.approx(0.875 * 0.001 + 0.125 * RTO_CAP_S)
    assert trip.probe_s < RTO_CAP_S


def test_a_frame_sent_twice_is_no_measurement() -> None:
    sender = Sender()
    sender.queue(1)
    sender.sent()
    due = sender.window.deadline()
    assert due is not None
    sender.window.expire(due)
    sender.sent()
    sender.acknowledge(1, now=due + ROUND_TRIP_S)
    assert sender.window.round_trip.smoothed_s is None


def test_the_delay_of_the_acknowledgement_is_no_part_of_the_round_trip() -> None:
    sender = Sender()
    sender.queue(1)
    sender.sent()
    sender.window.acknowledge(Acknowledgement(1, 0, 32, delay_us=3000), 0.005)
    assert sender.window.round_trip.smoothed_s == pytest.approx(0.002)


# ---- what is counted


def test_repetitions_are_counted_by_their_cause() -> None:
    sender = measured()
    sender.queue(3)
    now = 1.0
    sender.sent(now)
    sender.acknowledge(1, 3, now=now + ROUND_TRIP_S)
    window = sender.window
    assert (window.resent_lost, window.resent_probes, window.resent_timeouts) == (2, 0, 0)
    for probes, timeouts in ((1, 0), (1, 1), (1, 2)):
        due = window.deadline()
        assert due is not None
        window.expire(due)
        assert (window.resent_lost, window.resent_probes, window.resent_timeouts) == (
            *(2, probes, timeouts),
        )


def test_a_stall_is_counted_once_however_often_it_is_looked_at() -> None:
    sender = Sender(window=4)
    sender.queue(4)
    sender.sent()
    assert sender.window.credit_stalls == 0
    sender.queue(8)
    for _ in range(3):
        assert sender.numbers() == []
    assert sender.window.credit_stalls == 1
    sender.acknowledge(2)
    assert sender.numbers() == [4, 5]
    assert sender.window.credit_stalls == 2
