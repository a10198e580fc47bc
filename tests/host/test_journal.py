"""The journal on disk, without a board."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from starlab_host.errors import JournalError
from starlab_host.journal.entries import EntryState, Recovery, SessionRecord
from starlab_host.journal.journal import REQUEST_LIMIT_BYTES, SCHEMA_VERSION, Journal

SESSION = SessionRecord("EMU-1", 0xB007, 0x5E55)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "board.journal"


def begun(file: Path, *, keep: int = 1000) -> Journal:
    """A journal with a session."""
    journal = Journal(file, keep=keep, clock=lambda: 1000.0)
    journal.begin_session(SESSION)
    return journal


def test_what_was_written_is_there_after_a_crash(file: Path) -> None:
    writer = f"""
import os, signal
from pathlib import Path
from starlab_host.journal.journal import Journal
from starlab_host.journal.entries import EntryState, Recovery, SessionRecord
journal = Journal(Path({str(file)!r}))
journal.begin_session(SessionRecord("EMU-1", 0xB007, 0x5E55))
done = journal.write(1, b"first", "START 0x40000")
journal.settle(done, EntryState.DONE, status=0)
with journal.noted("step 2"):
    journal.write(2, b"second", "START 0x80000")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", writer], check=False).returncode == -9
    with Journal(file) as journal:
        assert journal.session == SESSION
        first, second = journal.newest()
        assert (first.state, first.status, first.request) == (EntryState.DONE, 0, None)
        assert (second.state, second.request) == (EntryState.SENT, b"second")
        assert (second.message_id, second.note) == (2, "step 2")
        assert (second.serial, second.boot_id, second.session_id) == ("EMU-1", 0xB007, 0x5E55)
        assert journal.unsettled() == [second]
        assert journal.in_doubt() == []


def test_one_process_at_a_time_has_a_journal(file: Path) -> None:
    with begun(file):
        with pytest.raises(JournalError, match="in use by another process"):
            Journal(file)
    with Journal(file) as journal:
        assert journal.session == SESSION


def test_settled_entries_go_by_count_and_open_ones_stay(file: Path) -> None:
    with begun(file, keep=3) as journal:
        open_entry = journal.write(1, b"", "lost")
        for message_id in range(2, 21):
            journal.settle(journal.write(message_id, b"", "pulse"), EntryState.DONE, status=0)
        assert [entry.message_id for entry in journal.newest()] == [1, 18, 19, 20]
        assert [entry.number for entry in journal.unsettled()] == [open_entry]


def test_the_file_does_not_grow_with_the_number_of_commands(file: Path) -> None:
    with begun(file, keep=10) as journal:
        sizes = []
        for message_id in range(1, 61):
            entry = journal.write(message_id, bytes(100_000), "pulse")
            journal.settle(entry, EntryState.DONE, status=0)
            sizes.append(sum(path.stat().st_size for path in file.parent.iterdir()))
        assert sizes[-1] <= sizes[len(sizes) // 2] + 200_000


def test_a_request_too_long_to_keep_leaves_its_digest(file: Path) -> None:
    with begun(file) as journal:
        journal.write(1, bytes(REQUEST_LIMIT_BYTES), "long")
        journal.write(2, bytes(REQUEST_LIMIT_BYTES + 1), "too long")
        long, too_long = journal.unsettled()
    assert long.request == bytes(REQUEST_LIMIT_BYTES)
    assert too_long.request is None
    with sqlite3.connect(file) as database:
        digests = database.execute("SELECT hex(sha256) FROM entries").fetchall()
    database.close()
    # head -c 5242880 /dev/zero | sha256sum
    assert digests[0][0] == "C036CBB7553A909F8B8877D4461924307F27ECB66CFF928EEEAFD569C3887E29"
    assert digests[1][0] != digests[0][0]


def test_the_end_of_a_session_leaves_what_was_in_flight_in_doubt(file: Path) -> None:
    with begun(file) as journal:
        journal.write(7, b"pulse", "START 0x40000")
        journal.end_session("the board restarted")
        assert journal.session is None
        assert journal.unsettled() == []
        (entry,) = journal.in_doubt()
        assert (entry.state, entry.detail) == (EntryState.UNKNOWN, "the board restarted")
        journal.begin_session(SessionRecord("EMU-1", 0xB008, 0x5E56))
        assert journal.in_doubt() == [entry]
        assert journal.unsettled() == []


def test_doubt_ends_with_an_acknowledgement_or_with_better_knowledge(file: Path) -> None:
    with begun(file) as journal:
        entries = [journal.write(message_id, b"pulse", "pulse") for message_id in (1, 2, 3)]
        for entry in entries:
            journal.settle(entry, EntryState.UNKNOWN, detail="the link was lost")
        journal.settle(entries[0], EntryState.DONE, status=0)
        assert [entry.number for entry in journal.acknowledge([entries[0], entries[1]])] == [
            entries[1]
        ]
        # what somebody has looked at stays as they left it
        journal.settle(entries[1], EntryState.DONE, status=0)
        (left,) = journal.acknowledge()
        assert (left.number, left.state, left.request) == (entries[2], EntryState.RESOLVED, None)
        assert journal.in_doubt() == []
        assert journal.acknowledge() == []
        states = [entry.state for entry in journal.newest()]
        assert states == [EntryState.DONE, EntryState.RESOLVED, EntryState.RESOLVED]


def test_notes_belong_to_the_thread_and_end_with_their_block(file: Path) -> None:
    with begun(file) as journal:
        with journal.noted("outer"):
            with journal.noted("inner"):
                journal.write(1, b"", "")
            thread = threading.Thread(target=journal.write, args=(2, b"", ""))
            thread.start()
            thread.join()
            journal.write(3, b"", "")
        journal.write(4, b"", "")
        assert [entry.note for entry in journal.newest()] == ["inner", "", "outer", ""]


def test_what_is_no_journal_is_refused(file: Path) -> None:
    file.write_bytes(b"x" * 5000)
    with pytest.raises(JournalError, match="file is not a database"):
        Journal(file)
    file.unlink()
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE something (else_ TEXT)")
    database.close()
    with pytest.raises(JournalError, match="is no journal of starlab"):
        Journal(file)
    with pytest.raises(JournalError, match="unable to open"):
        Journal(file / "nowhere")


def test_a_journal_of_another_version_is_refused_and_left_alone(file: Path) -> None:
    begun(file).close()
    with sqlite3.connect(file) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    with pytest.raises(JournalError, match=r"has schema version 2; known here: 1"):
        Journal(file)


def test_a_journal_that_cannot_be_written_says_so(file: Path) -> None:
    journal = begun(file)
    journal.close()
    with pytest.raises(JournalError, match="closed database"):
        journal.write(1, b"", "pulse")


def test_an_entry_is_shown_without_its_request_which_may_be_long(file: Path) -> None:
    with begun(file) as journal:
        journal.write(1, b"\x01" * 9, "START")
        (entry,) = journal.newest()
    assert "START" in repr(entry)
    assert "request" not in repr(entry)


def test_without_a_session_before_nothing_was_recovered(file: Path) -> None:
    with Journal(file) as journal:
        assert journal.recovered == Recovery(False, (), (), ())
        assert journal.recovered == Recovery()
        assert journal.session is None
        assert journal.note == ""
        assert journal._keep == 1000  # entries, unless told otherwise
