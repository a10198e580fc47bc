"""Media types of bodies, and the header that goes with any. Reads and writes none of them."""

from typing import Final

JSON_TYPE: Final = "application/json"
NPY_TYPE: Final = "application/x-npy"
"""One array in NumPy's own format, never pickled: the main array of the call."""
NPZ_TYPE: Final = "application/x-npz"
"""Several arrays, by the names of the fields."""
SNAPSHOT_TYPE: Final = "application/x-starlab-snapshot"
"""A snapshot of a board, as docs/snapshots.md tells it."""
WARNINGS_HEADER: Final = "X-Starlab-Warnings"
"""Of a reply: what was done, though it was almost surely not meant; a JSON list of sentences."""
