"""The emulated board: a chip model behind registers, memory, supplies and the wire protocol.

A process of its own; frames in, frames out. Imports nothing of host or server.
"""

from starlab_sim.board import Board
from starlab_sim.specimen import Specimen

__all__ = ["Board", "Specimen"]
