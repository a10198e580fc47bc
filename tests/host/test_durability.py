"""What is said to be on the disk is on the disk, and what several threads write is whole."""

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from starlab_host.errors import JournalError, JournalFull, StorageFailed
from starlab_host.files import write_whole
from starlab_host.journal.entries import EntryState, SessionRecord
from starlab_host.journal.journal import Journal

FULL, NORMAL = 2, 1
"""SQLite's names of how surely a COMMIT is on the disk when it returns."""


class Disk:
    """What this process asks of the disk, in order: files by name, folders with a slash."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        fsync, replace = os.fsync, os.replace

        def noting_fsync(descriptor: int) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            self.asked.append(f"sync {path.name}{'/' if is_folder else ''}")
            fsync(descriptor)

        def noting_replace(source: Any, target: Any) -> None:
            self.asked.append(f"replace {Path(source).name} {Path(target).name}")
            replace(source, target)

        monkeypatch.setattr(os, "fsync", noting_fsync)
        monkeypatch.setattr(os, "replace", noting_replace)
        monkeypatch.setattr(Path, "replace", noting_replace)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


def begun(path: Path, clock: Callable[[], float] = lambda: 1000.0) -> Journal:
    journal = Journal(path, clock=clock)
    journal.begin_session(SessionRecord("EMU-1", 0xB007, 0x5E55))
    return journal


def synchronous(journal: Journal) -> int:
    (level,) = journal._database.execute("PRAGMA synchronous").fetchone()
    return int(level)


def test_a_file_is_whole_on_the_disk_before_it_takes_its_name_and_its_folder_after(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    write_whole(folder / "a.json", b"new")
    assert disk.asked == ["sync a.json.part", "replace a.json.part a.json", "sync data/"]
    assert [path.name for path in folder.iterdir()] == ["a.json"]


def test_who_reads_a_file_while_it_is_written_anew_reads_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(folder / "a.json", b"old")
    read: list[bytes] = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        read.append((folder / "a.json").read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    write_whole(folder / "a.json", b"new and longer")
    assert read == [b"old", b"new and longer"]


def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(folder / "a.json", b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageFailed):
        write_whole(folder / "a.json", b"new")
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("a.json", b"old")]


def test_a_new_journal_is_found_after_a_crash_of_the_system(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    begun(folder / "board.journal").close()
    assert disk.asked == ["sync data/"]


def test_each_entry_is_forced_to_the_disk_before_its_command_leaves(folder: Path) -> None:
    with begun(folder / "board.journal") as journal:
        assert synchronous(journal) == FULL
        (mode,) = journal._database.execute("PRAGMA journal_mode").fetchone()
        assert mode == "wal"
        entry = journal.write(1, b"pulse", "START")
        assert synchronous(journal) == FULL
        levels: list[int] = []

        def clock() -> float:
            levels.append(synchronous(journal))
            return 0.0

        journal._clock = clock
        journal.settle(entry, EntryState.DONE, status=0)
        assert levels == [NORMAL]  # a kill loses nothing, and the board still knows the answer
        assert synchronous(journal) == FULL


def test_after_an_outcome_that_could_not_be_noted_entries_are_forced_to_the_disk_again(
    folder: Path,
) -> None:
    with begun(folder / "board.journal") as journal:
        entry = journal.write(1, b"pulse", "START")

        def fail() -> float:
            raise sqlite3.OperationalError("disk I/O error")

        journal._clock = fail
        with pytest.raises(JournalError, match="disk I/O error"):
            journal.settle(entry, EntryState.DONE, status=0)
        assert synchronous(journal) == FULL
        assert [one.state for one in journal.unsettled()] == [EntryState.SENT]


def test_a_change_that_fails_in_the_middle_is_undone_and_the_next_one_works(folder: Path) -> None:
    fails = [False]

    def clock() -> float:
        if fails.pop():
            raise KeyboardInterrupt
        return 0.0

    fails += [False] * 4
    with begun(folder / "board.journal", clock) as journal:
        kept = journal.write(1, b"pulse", "first")
        fails[:] = [True]
        with pytest.raises(KeyboardInterrupt):
            journal.write(2, b"pulse", "second")
        fails[:] = [True]
        with pytest.raises(KeyboardInterrupt):
            journal.end_session("why")
        fails[:] = [False] * 9
        assert [entry.number for entry in journal.unsettled()] == [kept]
        journal.write(3, b"pulse", "third")
        assert [entry.message_id for entry in journal.unsettled()] == [1, 3]


def test_an_open_change_of_one_thread_is_no_part_of_another_ones(folder: Path) -> None:
    with begun(folder / "board.journal") as journal:
        failures: list[BaseException] = []
        together = threading.Barrier(6)

        def work(number: int) -> None:
            try:
                together.wait()
                for step in range(25):
                    with journal.noted(f"thread {number}"):
                        entry = journal.write(100 * number + step, b"pulse", f"of {number}")
                    journal.settle(entry, EntryState.DONE, status=0, executed=number)
                    assert journal.in_doubt() == []
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        entries = journal.newest()
        assert len(entries) == 150
        assert all(
            (one.note, one.executed) == (f"thread {one.message_id // 100}", one.message_id // 100)
            for one in entries
        )


def test_a_thread_that_writes_makes_the_others_wait(folder: Path) -> None:
    """The second one comes to the lock, and not past it, while the first one is in the middle."""
    journal = begun(folder / "board.journal")
    inside, go_on, came = threading.Event(), threading.Event(), threading.Event()

    class Seen:
        """The journal's lock, which tells who else comes."""

        def __init__(self, lock: Any) -> None:
            self._lock = lock

        def __enter__(self) -> None:
            if inside.is_set():
                came.set()
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()

    def clock() -> float:
        inside.set()
        assert go_on.wait(30)
        return 0.0

    journal._lock = Seen(journal._lock)  # type: ignore[assignment]
    journal._clock = clock
    first = threading.Thread(target=journal.write, args=(1, b"", "first"))
    first.start()
    assert inside.wait(30)
    second = threading.Thread(target=journal.write, args=(2, b"", "second"))
    second.start()
    assert came.wait(30)
    assert second.is_alive()
    go_on.set()
    first.join()
    second.join()
    assert [entry.message_id for entry in journal.newest()] == [1, 2]
    journal.close()


class Guarded:
    """The journal's database, for those who hold its lock."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self._database = journal, journal._database

    def __getattr__(self, name: str) -> Any:
        assert self._journal._lock.locked(), f"{name} without the lock"
        return getattr(self._database, name)


def test_nobody_touches_the_database_without_the_lock(folder: Path) -> None:
    journal = begun(folder / "board.journal")
    journal._database = Guarded(journal)  # type: ignore[assignment]
    one, other = journal.write(1, b"pulse", "first"), journal.write(2, b"pulse", "second")
    journal.renumber(other, 3)
    journal.settle(one, EntryState.DONE, status=0)
    journal.settle(other, EntryState.UNKNOWN)
    assert [entry.number for entry in journal.in_doubt()] == [other]
    journal.acknowledge()
    assert (journal.unsettled(), len(journal.entries([one, other]))) == ([], 2)
    assert journal.session is not None
    journal.end_session("why")
    journal.begin_session(SessionRecord("EMU-1", 0xB008, 0x5E56))
    journal.close()


def test_the_log_of_a_journal_is_cut_back_to_a_size(folder: Path) -> None:
    with begun(folder / "board.journal") as journal:
        (limit,) = journal._database.execute("PRAGMA journal_size_limit").fetchone()
        assert limit == 8 << 20
        (mode,) = journal._database.execute("PRAGMA locking_mode").fetchone()
        assert mode == "exclusive"


@pytest.mark.parametrize(
    ("code", "is_full"),
    [
        (sqlite3.SQLITE_FULL, True),
        (sqlite3.SQLITE_IOERR, True),
        (sqlite3.SQLITE_IOERR_FSYNC, True),
        (sqlite3.SQLITE_CORRUPT, False),
        (sqlite3.SQLITE_BUSY, False),
    ],
)
def test_a_disk_that_takes_no_more_is_told_from_other_failures(
    folder: Path, code: int, is_full: bool
) -> None:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    with begun(folder / "board.journal") as journal:
        with pytest.raises(JournalError) as caught, journal._failing_as_journal_error():
            raise error
    assert isinstance(caught.value, JournalFull) is is_full
    cause = "in use by another process" if code == sqlite3.SQLITE_BUSY else "it failed"
    assert str(caught.value) == f"journal {journal.path}: {cause}"


def test_sessions_of_which_nothing_is_kept_go(folder: Path) -> None:
    with begun(folder / "board.journal") as journal:
        entry = journal.write(1, b"pulse", "of the first session")
        for number in range(9):
            journal.begin_session(SessionRecord("EMU-1", 0xB008, number))
        (count,) = journal._database.execute("SELECT count(*) FROM sessions").fetchone()
        assert count == 2
        (kept,) = journal.entries([entry])
        assert kept.session_id == 0x5E55


def test_a_journal_that_is_refused_is_let_go_of(folder: Path) -> None:
    path = folder / "board.journal"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE something (else_ TEXT)")
    database.close()
    with pytest.raises(JournalError, match="is no journal"):
        Journal(path)
    with sqlite3.connect(path, timeout=0.0) as database:
        database.execute("INSERT INTO something VALUES ('free')")
    database.close()


def test_a_settled_entry_keeps_its_request_only_while_it_may_be_needed(folder: Path) -> None:
    with begun(folder / "board.journal") as journal:
        states = (EntryState.DONE, EntryState.REFUSED, EntryState.NOT_SENT, EntryState.UNKNOWN)
        for message_id, state in enumerate(states, start=1):
            journal.settle(journal.write(message_id, b"pulse", "START"), state)
        kept = [entry.request for entry in journal.newest()]
        assert kept == [None, None, b"pulse", b"pulse"]
        assert [entry.message_id for entry in journal.newest(2)] == [3, 4]


def test_no_descriptor_is_left_open_however_often_something_is_written(folder: Path) -> None:
    for _ in range(9):
        write_whole(folder / "a.json", b"new")
        begun(folder / "board.journal").close()
    opened = [Path(os.path.realpath(path)) for path in Path("/proc/self/fd").iterdir()]
    assert [path for path in opened if path == folder or folder in path.parents] == []
