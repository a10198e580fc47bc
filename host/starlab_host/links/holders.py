"""Which process of this machine has a device open for itself. Locks nothing: who opens it does.

A lock on the device itself ends with the process that holds it, however that ends, and Linux lists
who holds it. Elsewhere nothing is known of the holder.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

_LOCKS: Final = Path("/proc/locks")
_SHOWN: Final = 60
"""Characters of a command line that are shown."""


def holder_of(path: str) -> str | None:
    """Who has locked a device as a whole; None: nobody, or it cannot be told."""
    with contextlib.suppress(OSError, ValueError, IndexError):  # no such device, or no such list
        found = os.stat(path)
        place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        for line in _LOCKS.read_text().splitlines():
            _, kind, _, _, pid, where = line.split()[:6]
            if (kind, where) == ("FLOCK", place):
                return _process(int(pid))
    return None


def _process(pid: int) -> str:
    if pid < 1:
        return "another process"
    command = ""
    with contextlib.suppress(OSError):
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        command = line.decode(errors="replace").replace("\0", " ").strip()
    if len(command) > _SHOWN:
        command = f"{command[: _SHOWN - 3]}..."
    return f"process {pid} ({command})" if command else f"process {pid}"
