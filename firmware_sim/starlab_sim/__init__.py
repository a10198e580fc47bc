"""The emulated board: a chip model behind registers, memory, supplies and the wire protocol.

A process of its own; frames in, frames out. Imports nothing of host or server. Names are imported
when they are asked for, so that the program can say first how its start may be interrupted.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlab_sim.firmware.board import Board
    from starlab_sim.socket.specimen import Specimen

__all__ = ["Board", "Specimen"]


def __getattr__(name: str) -> Any:
    """A public name, out of the module that has it."""
    if name == "Board":
        from starlab_sim.firmware import board

        return board.Board
    if name == "Specimen":
        from starlab_sim.socket import specimen

        return specimen.Specimen
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
