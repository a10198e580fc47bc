"""Where the server keeps snapshots: a folder for each board. Takes and restores none.

Each is two files: the snapshot as the host gives it, and after it a small one that lists it. Either
appears as a whole or not at all; what has no second file is not there.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from starlab_api.problems import NotFound
from starlab_contract import Snapshot
from starlab_host.chip.snapshots import describe
from starlab_host.files import remove, write_whole

_log: Final = logging.getLogger(__name__)
_DATA: Final = ".snapshot"
_LISTED: Final = ".json"


def now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class SnapshotStore:
    """Snapshots in a folder, which is made when it is needed.

    Args:
        folder: Theirs alone.
        clock: Gives the time of day.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()

    def keep(self, board: str, name: str, data: bytes) -> Snapshot:
        """Keep a snapshot.

        Args:
            board: Name of the board's folder.
            name: What people call it.
            data: As of :func:`starlab_host.chip.snapshots.take_snapshot`.

        Raises:
            SnapshotError: It is none.
            StorageFailed: It cannot be written; nothing of it is left.
        """
        info = describe(data)
        taken_at = self._clock()
        with self._lock:
            folder = self._folder / board
            stem = f"{taken_at:%Y%m%dT%H%M%S}-{info.sha256[:8]}"
            number, identity = 1, stem
            while (folder / f"{identity}{_DATA}").exists():
                number += 1
                identity = f"{stem}-{number}"
            snapshot = Snapshot.model_validate(
                {"id": identity, "name": name, "taken_at": taken_at, **asdict(info)}
            )
            listed = snapshot.model_dump_json(indent=1).encode()
            write_whole(folder / f"{identity}{_DATA}", data)
            try:
                write_whole(folder / f"{identity}{_LISTED}", listed)
            except BaseException:
                remove(folder / f"{identity}{_DATA}")
                raise
        return snapshot

    def list(self, board: str) -> list[Snapshot]:
        """Those of a board, the oldest first."""
        found = []
        for path in sorted((self._folder / board).glob(f"*{_LISTED}")):
            try:
                found.append(Snapshot.model_validate_json(path.read_bytes()))
            except (OSError, ValidationError) as error:
                _log.warning("%s is not listed: %s", path, error)
        return sorted(found, key=lambda snapshot: snapshot.taken_at)

    def find(self, board: str, identity: str) -> Snapshot:
        """One of them.

        Raises:
            NotFound: There is none of that id.
        """
        found = self.list(board)
        for snapshot in found:
            if snapshot.id == identity:
                return snapshot
        raise NotFound("snapshot", identity, [snapshot.id for snapshot in found] or ["none"])

    def read(self, board: str, identity: str) -> bytes:
        """Its file.

        Raises:
            NotFound: There is none of that id.
        """
        self.find(board, identity)
        return (self._folder / board / f"{identity}{_DATA}").read_bytes()

    def delete(self, board: str, identity: str) -> Snapshot:
        """Keep it no longer.

        Raises:
            NotFound: There is none of that id.
            StorageFailed: It cannot be removed.
        """
        with self._lock:
            snapshot = self.find(board, identity)
            for ending in (_LISTED, _DATA):
                remove(self._folder / board / f"{identity}{ending}")
        return snapshot
