"""Commands that change the chip, on disk before they are sent. Sends nothing, asks no board.

One SQLite file for each way to a board. An entry is written, and forced to the disk, before its
command leaves this process; what became of it is noted afterwards (:class:`EntryState`).
"""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from starlab_host.errors import JournalError, JournalFull
from starlab_host.files import sync_folder
from starlab_host.journal.entries import Entry, EntryState, Recovery, SessionRecord

SCHEMA_VERSION: Final = 1
KEPT: Final = 1000
"""Entries that are kept at least; older ones go once they are settled."""
REQUEST_LIMIT_BYTES: Final = 5 << 20
"""Requests up to here are kept in full until they are settled, longer ones as a digest [O]: no
command that a :class:`starlab_host.Chip` sends is longer."""
_APPLICATION_ID: Final = 0x53544C4A
"""Marks the file as a starlab journal."""
_WAL_LIMIT_BYTES: Final = 8 << 20
_LOCK_WAIT_S: Final = 1.0
"""A process that was just killed may take a moment to let go of its journal."""

_SCHEMA: Final = (
    """
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY,
        serial TEXT NOT NULL,
        boot_id INTEGER NOT NULL,
        session_id INTEGER NOT NULL,
        opened_at REAL NOT NULL,
        is_over INTEGER NOT NULL DEFAULT 0
    )""",
    """
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        session INTEGER NOT NULL REFERENCES sessions,
        message_id INTEGER NOT NULL,
        state TEXT NOT NULL,
        status INTEGER,
        executed INTEGER,
        detail TEXT NOT NULL DEFAULT '',
        description TEXT NOT NULL,
        note TEXT NOT NULL,
        written_at REAL NOT NULL,
        settled_at REAL,
        sha256 BLOB NOT NULL,
        request BLOB
    )""",
    "CREATE INDEX open_entries ON entries (state) WHERE state IN ('sent', 'unknown')",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_ENTRY: Final = """
    SELECT entries.number, serial, boot_id, session_id, message_id, state, status, executed,
           detail, description, note, written_at, settled_at, request
    FROM entries JOIN sessions ON sessions.number = entries.session
"""

_PRIMARY_CODE: Final = 0xFF
_NOT_TAKEN: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""Errors of SQLite that are the disk's."""


class Journal:
    """The journal of one way to a board. Any number of threads may use it.

    Args:
        path: The file; made if it does not exist. One process at a time may have it open.
        keep: Entries that are kept at least.
        clock: Seconds since 1970.

    Attributes:
        recovered: What the last connection with this journal has found, but for what was
            acknowledged since.

    Raises:
        JournalError: Another process has it open, it is no journal, or it cannot be written.
    """

    def __init__(
        self, path: Path, *, keep: int = KEPT, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.recovered = Recovery()
        self._keep = keep
        self._clock = clock
        self._lock = threading.Lock()
        self._notes = threading.local()
        with self._failing_as_journal_error():
            self._database = sqlite3.connect(
                path, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False
            )
        self._database.row_factory = sqlite3.Row
        try:
            with self._failing_as_journal_error():
                self._prepare()
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        """The journal itself; leaving the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; nothing is lost if this is never called."""
        with self._lock:
            self._database.close()

    @property
    def note(self) -> str:
        """The note of the block that this thread is in; empty outside of any."""
        note: str = getattr(self._notes, "text", "")
        return note

    @contextmanager
    def noted(self, note: str) -> Iterator[None]:
        """Keep a note with the entries that this thread writes inside a block."""
        before = self.note
        self._notes.text = note
        try:
            yield
        finally:
            self._notes.text = before

    # sessions

    @property
    def session(self) -> SessionRecord | None:
        """The session that was begun last, if it is not over."""
        rows = self._select(
            "SELECT serial, boot_id, session_id FROM sessions WHERE NOT is_over"
            " ORDER BY number DESC LIMIT 1"
        )
        return SessionRecord(*rows[0]) if rows else None

    def begin_session(self, record: SessionRecord) -> None:
        """Entries belong to this session from now on."""
        with self._transaction() as database:
            database.execute(
                "INSERT INTO sessions (serial, boot_id, session_id, opened_at) VALUES (?, ?, ?, ?)",
                (record.serial, record.boot_id, record.session_id, self._clock()),
            )
            database.execute(
                "DELETE FROM sessions WHERE number < (SELECT max(number) FROM sessions)"
                " AND number NOT IN (SELECT session FROM entries)"
            )

    def end_session(self, detail: str) -> None:
        """The session cannot be resumed: what is in flight stays unknown."""
        with self._transaction() as database:
            database.execute(
                "UPDATE entries SET state = ?, detail = ?, settled_at = ? WHERE state = ?",
                (EntryState.UNKNOWN, detail, self._clock(), EntryState.SENT),
            )
            database.execute("UPDATE sessions SET is_over = 1")

    def unsettled(self) -> list[Entry]:
        """Entries of the session whose outcome is not known, by message id."""
        return self._entries(
            "WHERE state IN ('sent', 'unknown')"
            " AND session = (SELECT max(number) FROM sessions WHERE NOT is_over)"
            " ORDER BY message_id"
        )

    # entries

    def write(self, message_id: int, request: bytes, description: str) -> int:
        """Write a command down, on disk when this returns; returns the number of its entry.

        Raises:
            JournalError: It is not written down, and must not be sent.
        """
        kept = request if len(request) <= REQUEST_LIMIT_BYTES else None
        digest = hashlib.sha256(request).digest()
        with self._transaction() as database:
            number = database.execute(
                "INSERT INTO entries (session, message_id, state, description, note, written_at,"
                " sha256, request) SELECT max(number), ?, ?, ?, ?, ?, ?, ? FROM sessions",
                (message_id, EntryState.SENT, description, self.note, self._clock(), digest, kept),
            ).lastrowid
            assert number is not None  # noqa: S101 - an INSERT has a row
            database.execute(
                "DELETE FROM entries WHERE number <= ? AND state NOT IN ('sent', 'unknown')",
                (number - self._keep,),
            )
        return number

    def renumber(self, entry: int, message_id: int) -> None:
        """Another command has taken the message id of an entry that is not sent yet."""
        with self._transaction() as database:
            database.execute(
                "UPDATE entries SET message_id = ? WHERE number = ?", (message_id, entry)
            )

    def settle(
        self,
        entry: int,
        state: EntryState,
        *,
        status: int | None = None,
        executed: int | None = None,
        detail: str = "",
    ) -> None:
        """Note what became of a command. A crash of the system may forget this, a kill does not.

        An entry whose note is lost, or cannot be written, stays unsettled: the board still knows
        the answer when the session is resumed.
        """
        kept = "request" if state in (EntryState.UNKNOWN, EntryState.NOT_SENT) else "NULL"
        with self._lock, self._failing_as_journal_error():
            self._database.execute("PRAGMA synchronous = NORMAL")
            try:
                self._database.execute(
                    "UPDATE entries SET state = ?, status = ?, executed = ?, detail = ?,"
                    f" settled_at = ?, request = {kept}"
                    " WHERE number = ? AND state IN ('sent', 'unknown')",
                    (state, status, executed, detail, self._clock(), entry),
                )
            finally:
                self._database.execute("PRAGMA synchronous = FULL")

    def in_doubt(self) -> list[Entry]:
        """The unknown entries, of all sessions: read back what they may have changed."""
        return self._entries("WHERE state = 'unknown' ORDER BY entries.number")

    def acknowledge(self, entries: Iterable[int] | None = None) -> list[Entry]:
        """Somebody has read back: unknown entries, all of them by default, are resolved.

        Returns:
            Those that were unknown, as they are now.
        """
        doubtful = [entry.number for entry in self.in_doubt()]
        wanted = set(doubtful if entries is None else entries).intersection(doubtful)
        with self._transaction() as database:
            database.executemany(
                "UPDATE entries SET state = ?, settled_at = ?, request = NULL WHERE number = ?",
                [(EntryState.RESOLVED, self._clock(), number) for number in wanted],
            )
        self.recovered = self.recovered.without(wanted)
        return self.entries(wanted)

    def entries(self, numbers: Iterable[int]) -> list[Entry]:
        """Some entries, in the order of their numbers, if they are still kept."""
        marks = ", ".join(str(int(number)) for number in numbers)
        return self._entries(f"WHERE entries.number IN ({marks}) ORDER BY entries.number")

    def newest(self, count: int = KEPT) -> list[Entry]:
        """The entries that were written last, in order."""
        return self._entries("ORDER BY entries.number DESC LIMIT ?", count)[::-1]

    # the file

    def _prepare(self) -> None:
        database = self._database
        # the lock is held until the process ends, however it ends
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:
            for statement in _SCHEMA:
                database.execute(statement)
        elif application != _APPLICATION_ID:
            raise JournalError(f"{self.path} is no journal of starlab")
        elif version != SCHEMA_VERSION:
            raise JournalError(
                f"journal {self.path} has schema version {version}; known here: {SCHEMA_VERSION}"
            )
        database.execute("COMMIT")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        sync_folder(self.path.parent)

    @contextmanager
    def _failing_as_journal_error(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0)
            cause = "in use by another process" if code == sqlite3.SQLITE_BUSY else error
            kind = JournalFull if code & _PRIMARY_CODE in _NOT_TAKEN else JournalError
            raise kind(f"journal {self.path}: {cause}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Changes that are on disk, all of them, at the end of a block."""
        with self._lock, self._failing_as_journal_error():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _select(self, query: str, *values: int) -> list[Any]:
        with self._lock, self._failing_as_journal_error():
            return self._database.execute(query, values).fetchall()

    def _entries(self, selection: str, *values: int) -> list[Entry]:
        rows = self._select(_ENTRY + selection, *values)
        return [Entry(**{**row, "state": EntryState(row["state"])}) for row in rows]
