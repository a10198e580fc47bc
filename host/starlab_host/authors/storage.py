"""Memory of a board of the authors' protocol: samples on the board, the rest on the host.

Masks, targets, records and readings are only of use to our extension block, which is played on the
host: they never travel.
"""

from typing import Final

import numpy as np

from starlab_host.board import memory
from starlab_host.links import AuthorsLink
from starlab_spec.operations import check_memory_range

_FIRST: Final = memory.TARGETS.address
_END: Final = memory.MASKS.address + memory.MASKS.size


class Storage:
    """Bytes by their address in our API.

    Args:
        link: The way to the board.
    """

    def __init__(self, link: AuthorsLink) -> None:
        self._link = link
        # zeros take no room until they are written
        self._here = np.zeros(_END - _FIRST, np.uint8)

    def read(self, address: int, count: int) -> bytes:
        """Some bytes.

        Raises:
            LimitExceeded: They are not all within the memory.
        """
        check_memory_range(address, count)
        if _is_here(address, count):
            return self._here[address - _FIRST : address - _FIRST + count].tobytes()
        return self._link.read_memory(address, count)

    def write(self, address: int, data: bytes) -> None:
        """Replace some bytes.

        Raises:
            LimitExceeded: They are not all within the memory.
        """
        check_memory_range(address, len(data))
        if _is_here(address, len(data)):
            at = address - _FIRST
            self._here[at : at + len(data)] = np.frombuffer(data, np.uint8)
        else:
            self._link.write_memory(address, data)


def _is_here(address: int, count: int) -> bool:
    return _FIRST <= address and address + count <= _END
