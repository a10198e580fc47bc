"""Capture files, and a link that writes one. Reads nothing but what it wrote."""

import ast
import errno
import io
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from typing_extensions import Buffer

from starlab_host.capture import Captured, CapturingLink, PcapWriter, captured, read_pcap

ROOT = Path(__file__).parents[2]


class LoopLink:
    """A link that gives back what was sent."""

    payload_bytes = 1408
    window = 32

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, datagrams: Sequence[bytes]) -> None:
        self.sent += datagrams

    def receive(self, timeout_s: float) -> bytes | None:
        return self.sent.pop(0) if self.sent else None

    def close(self) -> None:
        self.closed = True


def written(*captured: Captured) -> bytes:
    file = io.BytesIO()
    writer = PcapWriter(file)
    for one in captured:
        writer.write(one)
    return file.getvalue()


def test_a_capture_file_has_the_documented_bytes() -> None:
    data = written(Captured(1_000_000_000.25, True, b"hello"))
    header, record, packet = data[:24], data[24:40], data[40:]
    assert header == bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000")
    assert struct.unpack("<IIII", record) == (1_000_000_000, 250_000, 47, 47)
    assert packet == (
        bytes.fromhex("020000000002 020000000001 0800")
        # 45 00, 33 bytes, no id, not to be fragmented, 64 hops, UDP, checksum by hand:
        # 4500 + 0021 + 4000 + 4011 + c000 + 0201 + c000 + 0202 = 24935 -> 4937 -> b6c8
        + bytes.fromhex("4500 0021 0000 4000 4011 b6c8 c0000201 c0000202")
        + bytes.fromhex("c000 1654 000d 0000")
        + b"hello"
    )


def test_what_was_written_is_read_back() -> None:
    several = [Captured(1.5, True, b"there"), Captured(1.75, False, b""), Captured(2, True, b"x")]
    assert list(read_pcap(io.BytesIO(written(*several)))) == several


def test_a_file_cut_off_anywhere_is_refused_or_ends_between_packets() -> None:
    data = written(Captured(1, True, b"one"), Captured(2, False, b"two"))
    whole = {24: 0, 24 + 16 + 45: 1, len(data): 2}
    for end in range(len(data) + 1):
        file = io.BytesIO(data[:end])
        if end in whole:
            assert len(list(read_pcap(file))) == whole[end]
        else:
            with pytest.raises(ValueError, match=r"cut off|another|not a capture"):
                list(read_pcap(file))


def test_a_link_writes_down_both_directions_and_alters_nothing() -> None:
    inner, file = LoopLink(), io.BytesIO()
    times = iter([1.0, 2.0])
    link = CapturingLink(inner, PcapWriter(file), clock=lambda: next(times))
    link.send([b"a", b"b"])
    assert inner.sent == [b"a", b"b"]
    assert link.receive(0.1) == b"a"
    inner.sent.clear()
    assert link.receive(0.1) is None
    data = io.BytesIO(file.getvalue())
    link.close()
    assert inner.closed
    assert file.closed
    assert list(read_pcap(data)) == [
        Captured(1.0, True, b"a"),
        Captured(1.0, True, b"b"),
        Captured(2.0, False, b"a"),
    ]


class FullDisk(io.BytesIO):
    """Takes the file header, and no packet."""

    def write(self, data: Buffer, /) -> int:
        if self.tell():
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_ends_the_capture_and_not_the_link(caplog: pytest.LogCaptureFixture) -> None:
    inner = LoopLink()
    link = CapturingLink(inner, PcapWriter(FullDisk()), clock=lambda: 1.0)
    link.send([b"a", b"b"])
    assert [link.receive(0.1), link.receive(0.1)] == [b"a", b"b"]
    assert caplog.messages == ["the capture ends here: No space left on device"]


def test_a_capture_is_continued_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "link.pcap"
    captured_twice = [Captured(1, True, b"one"), Captured(2, False, b"two")]
    for one in captured_twice:
        writer = PcapWriter.append_to(path)
        writer.write(one)
        with path.open("rb") as file:  # at once, not when it is closed
            assert list(read_pcap(file))[-1] == one
        writer.close()
    assert path.read_bytes() == written(*captured_twice)
    path.write_bytes(b"notes of the day")
    inner = LoopLink()
    with pytest.raises(ValueError, match=r"link\.pcap is not a capture file in the form"):
        captured(inner, path)
    assert inner.closed
    assert path.read_bytes() == b"notes of the day"


def test_scapy_is_loaded_by_the_layers_alone_and_these_by_no_part_of_the_product() -> None:
    """It takes half a second, which nobody is to wait who drives or serves a board."""
    importers: dict[str, set[str]] = {"scapy": set(), "layers": set()}
    for folder in ("spec", "host", "firmware_sim", "api", "clients"):
        for module in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(module.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                for name in names:
                    if name.startswith("scapy"):
                        importers["scapy"].add(module.name)
                    if name.startswith("starlab_host.capture.layers"):
                        importers["layers"].add(module.name)
    assert importers == {"scapy": {"layers.py"}, "layers": set()}


def test_two_programs_cannot_capture_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "link.pcap"
    first = PcapWriter.append_to(path)
    first.write(Captured(1, True, b"one"))
    for begin in (PcapWriter.append_to, PcapWriter.begin):
        with pytest.raises(OSError, match="another program captures into it"):
            begin(path)
    first.close()
    assert path.read_bytes() == written(Captured(1, True, b"one"))
    PcapWriter.begin(path).close()
    assert path.read_bytes() == written()
