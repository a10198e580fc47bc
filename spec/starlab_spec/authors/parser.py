"""From a stream of bytes to requests of the authors' protocol, however it was cut. Reads no socket.

Two things are not in the stream itself. A memory write may carry fewer bytes than its length field
says; that it is over shows only in that nothing follows, as its sender waits for the reply: whoever
reads the stream notices the silence and calls `RequestParser.end_write`. And how long some
requests are is not published: zeros between requests are skipped [O], so that GET_VOLTAGE,
GET_CURRENT, READ_MEMORY, USER_SPACE and the two traces may end in any number of them.
"""

from collections.abc import Mapping
from typing import Final

from starlab_spec.authors.requests import CHUNK_BYTES, Op, Request

HEAD_BYTES: Final[Mapping[int, int]] = {
    Op.SET_REGISTER: 6,
    Op.GET_REGISTER: 2,
    Op.WRITE_MEMORY: 8,
    Op.READ_MEMORY: 7,
    Op.SET_VOLTAGE: 4,
    Op.GET_VOLTAGE: 3,
    Op.SET_CURRENT: 4,
    Op.GET_CURRENT: 3,
    Op.TRACE_ON: 1,
    Op.TRACE_OFF: 1,
    Op.INTERRUPT_LENGTH: 6,
    Op.USER_SPACE: 1,
}
"""Bytes of each request that must have come, without the zeros and the data that may follow."""


class OutOfStep(ValueError):
    """A byte that begins no request: where the next one begins is not known any more.

    Attributes:
        byte: The byte.
    """

    def __init__(self, byte: int) -> None:
        self.byte = byte
        super().__init__(f"0x{byte:02X} begins no request")


class RequestParser:
    """Takes the stream of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def writing(self) -> tuple[int, int] | None:
        """Length field, and bytes so far, of a memory write that is not complete; else None.

        One without any data so far is not said to be: its data is surely under way.
        """
        head = HEAD_BYTES[Op.WRITE_MEMORY]
        size = len(self._buffer)
        if size <= head or self._buffer[0] != Op.WRITE_MEMORY:
            return None
        return int.from_bytes(self._buffer[5:7], "little"), size - head

    def feed(self, data: bytes) -> None:
        """Take in what has come."""
        self._buffer += data

    def next_request(self) -> Request | None:
        """The next complete request; None if there is none yet.

        Raises:
            OutOfStep: What has come does not begin as a request does.
        """
        buffer = self._buffer
        while buffer and buffer[0] == 0:
            del buffer[: len(buffer) - len(buffer.lstrip(b"\0"))]
        if not buffer:
            return None
        head = HEAD_BYTES.get(buffer[0])
        if head is None:
            raise OutOfStep(buffer[0])
        if len(buffer) < head:
            return None
        data = 0
        if buffer[0] == Op.WRITE_MEMORY:
            data = min(int.from_bytes(buffer[5:7], "little"), CHUNK_BYTES)
            if len(buffer) < head + data:
                return None
        return self._take(head, data)

    def end_write(self) -> Request:
        """The memory write that is under way, with the data that has come: no more will.

        Raises:
            ValueError: None is under way.
        """
        if self.writing is None:
            raise ValueError("no memory write is under way")
        head = HEAD_BYTES[Op.WRITE_MEMORY]
        return self._take(head, len(self._buffer) - head)

    def _take(self, head: int, data: int) -> Request:
        buffer = self._buffer
        request = Request(Op(buffer[0]), bytes(buffer[:head]), bytes(buffer[head : head + data]))
        del buffer[: head + data]
        return request
