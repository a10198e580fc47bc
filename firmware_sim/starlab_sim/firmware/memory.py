"""The board's DDR memory: 128 MiB of bytes that cost nothing until touched. Knows no layout."""

import numpy as np
from numpy.typing import NDArray

from starlab_spec.operations import MEMORY_BYTES, check_memory_range


class Memory:
    """Bytes at addresses 0 .. 128 MiB - 1, zero at power-up.

    The operating system hands out pages as they are first written.
    """

    def __init__(self) -> None:
        self._bytes = np.zeros(MEMORY_BYTES, np.uint8)

    def view(self, address: int, count: int) -> NDArray[np.uint8]:
        """Some bytes, for reading; not a copy.

        Raises:
            LimitExceeded: They are not all within the memory.
        """
        check_memory_range(address, count)
        return self._bytes[address : address + count]

    def rows(self, address: int, stride: int, count: int, width: int) -> NDArray[np.uint8]:
        """Equally spaced records, for reading.

        Args:
            address: Of the first one.
            stride: Bytes from one to the next.
            count: How many.
            width: Bytes of each.

        Returns:
            Shape (count, width), contiguous; copied only where the records are apart.

        Raises:
            LimitExceeded: They are not all within the memory.
        """
        span = self.view(address, rows_span(stride, count, width))
        rows = np.lib.stride_tricks.as_strided(span, (count, width), (stride, 1))
        return np.ascontiguousarray(rows)

    def write(self, address: int, data: bytes) -> None:
        """Replace bytes.

        Raises:
            LimitExceeded: They are not all within the memory; nothing is written.
        """
        check_memory_range(address, len(data))
        self._bytes[address : address + len(data)] = np.frombuffer(data, np.uint8)

    def clear(self) -> None:
        """All zero, as at power-up."""
        self._bytes = np.zeros(MEMORY_BYTES, np.uint8)

    def scratch(self) -> "ScratchMemory":
        """A memory with the same content, whose changes stay in it."""
        return ScratchMemory(self)


class ScratchMemory(Memory):
    """What a memory would hold after some writes, for a dry run: the writes are kept beside it."""

    def __init__(self, base: Memory) -> None:
        self._base = base
        self._writes: list[tuple[int, bytes]] = []

    def view(self, address: int, count: int) -> NDArray[np.uint8]:
        """Some bytes, with the writes so far; a copy."""
        content = self._base.view(address, count).copy()
        for start, data in self._writes:
            low, high = max(start, address), min(start + len(data), address + count)
            if low < high:
                patch = np.frombuffer(data, np.uint8)[low - start : high - start]
                content[low - address : high - address] = patch
        return content

    def write(self, address: int, data: bytes) -> None:
        """Remember a write."""
        check_memory_range(address, len(data))
        self._writes.append((address, data))


def rows_span(stride: int, count: int, width: int) -> int:
    """Bytes from the first to the last of equally spaced records."""
    return (count - 1) * stride + width if count else 0
