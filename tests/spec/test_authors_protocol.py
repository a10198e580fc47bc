"""The authors' protocol as bytes: requests cut anywhere, and packings by a second formulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.system import authors_client as second

from starlab_spec import authors, samples
from starlab_spec.authors import Op, OutOfStep, Request, RequestParser

words = st.integers(0, 0xFFFFFFFF)
octets = st.integers(0, 255)
channels = st.tuples(octets, octets)


@st.composite
def whole_requests(draw: st.DrawFn) -> tuple[bytes, Op]:
    """A request with all of its data, and what it is."""
    op = draw(st.sampled_from(Op))
    match op:
        case Op.SET_REGISTER:
            return authors.set_register(draw(octets), draw(words)), op
        case Op.GET_REGISTER:
            return authors.get_register(draw(octets)), op
        case Op.WRITE_MEMORY:
            return authors.write_memory(draw(words), draw(st.binary(max_size=1016))), op
        case Op.READ_MEMORY:
            return authors.read_memory(draw(words), draw(st.integers(0, 1024))), op
        case Op.SET_VOLTAGE | Op.SET_CURRENT:
            return authors.set_supply(op, *draw(channels), draw(octets)), op
        case Op.GET_VOLTAGE | Op.GET_CURRENT:
            # how many bytes these have is not published: three, or more that are zero
            return bytes((op, *draw(channels))) + bytes(draw(st.integers(0, 2))), op
        case Op.INTERRUPT_LENGTH:
            return authors.interrupt_length(draw(octets)), op
        case Op.USER_SPACE:
            return authors.user_space(), op
    return bytes([op]) + bytes(draw(st.integers(0, 5))), op


def parsed(parser: RequestParser) -> list[Request]:
    found = []
    while (request := parser.next_request()) is not None:
        found.append(request)
    return found


@given(requests=st.lists(whole_requests(), max_size=8), data=st.data())
def test_a_stream_cut_anywhere_gives_the_same_requests(
    requests: list[tuple[bytes, Op]], data: st.DataObject
) -> None:
    stream = b"".join(content for content, _ in requests)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parser = RequestParser()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        parser.feed(stream[start:end])
        found += parsed(parser)
    assert [request.op for request in found] == [op for _, op in requests]
    for request, (content, _) in zip(found, requests, strict=True):
        assert (request.head + request.data).rstrip(b"\0") == content.rstrip(b"\0")
    assert parser.writing is None


@pytest.mark.parametrize("cut", range(1, 40))
def test_every_cut_of_a_write_that_another_request_follows(cut: int) -> None:
    stream = bytes.fromhex("87 60 00000001 0400 00 40414060 89000000000c 41c8")
    parser = RequestParser()
    parser.feed(stream[:cut])
    found = parsed(parser)
    parser.feed(stream[cut:])
    found += parsed(parser)
    assert [request.op for request in found] == [0x87, 0x60, 0x89, 0x41]
    assert (found[1].address, found[1].length, found[1].data) == (1 << 24, 4, b"@A@`")
    assert (found[2].result_bytes, found[3].register) == (12, 0xC8)


def test_fields_lie_where_the_specification_says() -> None:
    assert authors.set_register(0x3C, 0x01020304) == bytes.fromhex("40 3c 01 02 03 04")
    assert authors.write_memory(0x01020304, b"ab") == bytes.fromhex("60 04030201 0200 00 6162")
    assert authors.read_memory(0x01020304, 1024) == bytes.fromhex("61 04030201 0004 00")
    assert authors.set_supply(Op.SET_VOLTAGE, 3, 4, 77) == bytes.fromhex("80 03 04 4d")
    assert authors.interrupt_length(22) == bytes.fromhex("89 00 00 00 00 16")
    assert authors.user_space() == bytes.fromhex("92 00")
    request = Request(Op.SET_REGISTER, authors.set_register(0x3C, 0xFFFFFF08))
    assert (request.register, request.value) == (0x3C, 0xFFFFFF08)
    assert authors.reply(request, b"x") == bytes.fromhex("40 3c ff ff ff 08 00 00 78")
    assert authors.reply_word(bytes(8) + bytes.fromhex("04 03 02 01")) == 0x01020304


def test_a_write_that_carries_less_than_it_says_ends_when_nothing_follows() -> None:
    parser = RequestParser()
    parser.feed(bytes.fromhex("60 00000001 f803 00"))
    assert parser.next_request() is None
    assert parser.writing is None
    parser.feed(b"only this")
    assert parser.next_request() is None
    assert parser.writing == (1016, 9)
    assert parser.end_write().data == b"only this"
    parser.feed(b"\x92\x00")
    request = parser.next_request()
    assert request is not None
    assert request.op is Op.USER_SPACE
    with pytest.raises(ValueError, match="no memory write is under way"):
        parser.end_write()


def test_a_write_takes_no_more_than_a_chunk() -> None:
    parser = RequestParser()
    parser.feed(bytes.fromhex("60 00000000 ffff 00") + bytes([7]) * 1016)
    request = parser.next_request()
    assert request is not None
    assert (request.length, len(request.data)) == (0xFFFF, 1016)


def test_what_begins_no_request_is_named() -> None:
    parser = RequestParser()
    parser.feed(b"\x41\x00\x99")
    assert parser.next_request() is not None
    with pytest.raises(OutOfStep, match="0x99 begins no request"):
        parser.next_request()


@given(pixels=arrays(np.uint8, (784,), elements=st.integers(0, 1)))
def test_samples_are_packed_as_a_second_formulation_has_it(
    pixels: np.ndarray[tuple[int], np.dtype[np.uint8]],
) -> None:
    assert samples.pack_samples(pixels[None])[0].tobytes() == second.pack_sample(pixels.tolist())


@given(outputs=st.lists(st.integers(-65536, 65535), min_size=10, max_size=10))
def test_outputs_are_packed_as_a_second_formulation_has_it(outputs: list[int]) -> None:
    assert second.unpack_y2(samples.pack_outputs(outputs)) == outputs


@given(classes=st.lists(st.integers(0, 9)))
def test_one_hot_words_are_packed_as_a_second_formulation_has_it(classes: list[int]) -> None:
    assert second.unpack_one_hot(b"".join(map(samples.pack_one_hot, classes))) == classes
