"""The emulated voltage and current generators: codes, errors, noise, settling, on and off.

Changes no cell: operations ask for the rails, and say what current they draw.
"""

from starlab_sim.supplies.generators import DEVIATION_MAX, Generators
from starlab_sim.supplies.rack import Reading, SupplyRack

__all__ = ["DEVIATION_MAX", "Generators", "Reading", "SupplyRack"]
