"""COBS: the paper's examples, every packet back, and a line that adds noise."""

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_spec.wire import cobs
from starlab_spec.wire.errors import FrameError

packets = st.binary(max_size=2000) | st.lists(
    st.sampled_from([b"\0", b"\1" * 253, b"\2" * 254, b"\3" * 255]), max_size=8
).map(b"".join)

RISING = bytes(range(1, 255))
"""254 bytes, none of them zero."""


@pytest.mark.parametrize(
    ("packet", "encoded"),
    [
        # the paper's example: the beginning of an IP packet
        ("4500002c4c79000040064f37", "0245 01 042c4c79 01 0540064f37"),
        ("", "01"),
        ("00", "01 01"),
        ("0000", "01 01 01"),
        ("001100", "01 0211 01"),
        ("11220033", "031122 0233"),
        ("11223344", "0511223344"),
        ("11000000", "0211 01 01 01"),
        # as long as a piece can be, and one byte shorter and longer
        (RISING[:-1].hex(), "fe" + RISING[:-1].hex()),
        (RISING.hex(), "ff" + RISING.hex() + "01"),
        (RISING.hex() + "ff", "ff" + RISING.hex() + "02ff"),
        ("00" + RISING.hex(), "01 ff" + RISING.hex() + "01"),
        (RISING.hex() + "00", "ff" + RISING.hex() + "01 01"),
        (RISING[1:].hex() + "0001", "fe" + RISING[1:].hex() + "0201"),
    ],
)
def test_packets_are_stuffed_as_in_the_paper(packet: str, encoded: str) -> None:
    assert cobs.encode(bytes.fromhex(packet)) == bytes.fromhex(encoded)
    assert cobs.decode(bytes.fromhex(encoded)) == bytes.fromhex(packet)


def test_the_shorter_form_of_a_full_last_piece_is_understood() -> None:
    assert cobs.decode(b"\xff" + RISING) == RISING


@given(packets)
def test_every_packet_comes_back_without_a_zero_in_between(packet: bytes) -> None:
    encoded = cobs.encode(packet)
    assert cobs.decode(encoded) == packet
    assert 0 not in encoded
    assert len(encoded) <= len(packet) + 1 + len(packet) // 254


@given(st.binary(max_size=600))
def test_any_bytes_are_decoded_or_refused(encoded: bytes) -> None:
    with contextlib.suppress(FrameError):
        assert len(cobs.decode(encoded)) <= len(encoded)


@given(st.lists(packets, max_size=6), st.lists(st.integers(0, 4000), max_size=8))
def test_a_stream_is_cut_into_its_packets_wherever_reading_cuts_it(
    sent: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(cobs.encode(packet) + b"\0" for packet in sent)
    edges = [0, *sorted(cuts), len(stream)]
    deframer = cobs.Deframer()
    found = [
        packet for start, end in pairwise(edges) for packet in deframer.feed(stream[start:end])
    ]
    assert found == sent
    assert deframer.dropped == 0


@given(noise=st.binary(max_size=300), packet=packets)
def test_behind_noise_the_next_packet_is_found(noise: bytes, packet: bytes) -> None:
    deframer = cobs.Deframer()
    deframer.feed(noise + b"\0")
    assert deframer.feed(cobs.encode(packet) + b"\0") == [packet]


def test_a_packet_that_lost_a_byte_costs_nothing_but_itself() -> None:
    first, second = cobs.encode(b"one\0two"), cobs.encode(b"three")
    deframer = cobs.Deframer()
    found = deframer.feed(first[:3] + first[4:] + b"\0" + second + b"\0")
    assert (found, deframer.dropped) == ([b"three"], 1)


def test_delimiters_without_anything_between_are_silence() -> None:
    deframer = cobs.Deframer()
    assert deframer.feed(b"\0\0\0") == []
    assert deframer.dropped == 0


def test_a_stream_without_end_takes_no_more_memory_than_a_frame() -> None:
    deframer = cobs.Deframer()
    for _ in range(100):
        assert deframer.feed(b"\xff" * 1000) == []
        assert len(deframer._begun) <= cobs.MAX_ENCODED_BYTES
    assert deframer.feed(b"\xff\0" + cobs.encode(b"again") + b"\0") == [b"again"]
    assert deframer.dropped == 1


def test_the_longest_frame_passes() -> None:
    longest = bytes([7]) * (8896 + 36)
    assert cobs.Deframer().feed(cobs.encode(longest) + b"\0") == [longest]
