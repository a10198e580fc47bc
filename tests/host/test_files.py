"""Files on a disk that is full, or does not allow it: whole, or as they were."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.full_disk import files_of_at_most
from tests.host.bench import Bench

from starlab_host import CalibrationStore, Journal, JournalFull, StorageFailed, calibrate
from starlab_host.capture import Captured, PcapWriter, read_pcap
from starlab_host.files import remove, write_whole
from starlab_host.journal.entries import SessionRecord


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_file_is_written_with_its_folder_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / "file.json"
    for content in (b"first", b"second"):
        write_whole(path, content)
        assert listing(tmp_path) == {"one/two/file.json": content}


def test_nothing_is_left_of_a_file_that_does_not_fit(tmp_path: Path) -> None:
    with files_of_at_most(100), pytest.raises(StorageFailed, match=r"new: File too large"):
        write_whole(tmp_path / "new", bytes(101))
    assert listing(tmp_path) == {}


def test_what_was_there_before_stays_where_another_does_not_fit(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"before")
    with files_of_at_most(100), pytest.raises(StorageFailed):
        write_whole(tmp_path / "file", bytes(101))
    assert listing(tmp_path) == {"file": b"before"}


def test_a_file_and_its_folder_are_on_the_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    sync = os.fsync

    def note(handle: int) -> None:
        seen.append(sorted(listing(tmp_path)))
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    write_whole(tmp_path / "file", b"x")
    assert seen == [["file.part"], ["file"]]


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    remove(tmp_path / "none")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageFailed, match="folder: "):
        remove(tmp_path / "folder")


def test_a_calibration_that_cannot_be_kept_leaves_the_earlier_one(
    tmp_path: Path, bench: Bench
) -> None:
    store = CalibrationStore(tmp_path / "calibrations")
    first = calibrate(bench.board, now=datetime(2026, 1, 1, tzinfo=UTC), points=3, readings=2)
    store.save(first)
    second = calibrate(bench.board, now=datetime(2026, 1, 2, tzinfo=UTC), points=3, readings=2)
    with files_of_at_most(100), pytest.raises(StorageFailed):
        store.save(second)
    assert store.load("bench") == first
    assert list(listing(tmp_path)) == ["calibrations/bench.json"]


def test_a_journal_says_that_its_disk_is_full(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin_session(SessionRecord("EMU-1", 1, 2))
        journal.write(1, b"x", "START")
        size = max(path.stat().st_size for path in tmp_path.iterdir())
        with files_of_at_most(size), pytest.raises(JournalFull, match=r"journal .*journal.sqlite"):
            journal.write(2, bytes(2 * size), "START")
        journal.write(3, b"x", "START")
        assert [entry.message_id for entry in journal.newest()] == [1, 3]


def test_a_capture_ends_with_its_last_whole_packet(tmp_path: Path) -> None:
    path = tmp_path / "link.pcap"
    packet = Captured(1.0, True, b"x" * 100)
    writer = PcapWriter.append_to(path)
    writer.write(packet)
    size = path.stat().st_size
    with files_of_at_most(size + 50), pytest.raises(OSError, match=r"No space|too large"):
        writer.write(packet)
    assert path.stat().st_size == size
    writer.write(packet)
    writer.close()
    with path.open("rb") as file:
        assert list(read_pcap(file)) == [packet] * 2
