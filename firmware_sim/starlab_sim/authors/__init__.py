"""The emulated board as the chip authors' own program sees it: their protocol over TCP.

The same registers, memory, supplies and chip as behind our own protocol.
"""

from starlab_sim.authors.front import Answer, Front, FrontedBoard
from starlab_sim.authors.server import AuthorsServer, listener

__all__ = ["Answer", "AuthorsServer", "Front", "FrontedBoard", "listener"]
