"""Wrong invocations of the command line: a line and an exit code, and nothing done."""

import errno
import io
import json
import struct
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.clients.command_line import Finished, Run
from tests.clients.conftest import FakeServer
from tests.clients.replies import FORMED, board_of, supply_of

from starlab.cli.ending import OutputFailed, ending_of, flush_output, one_line, tell

NO_UTF8 = "\udcff"
"""What a byte that is none becomes in an argument."""


def npy_with(shape: str, descr: str = "'<f8'") -> bytes:
    """The head of an array without its values."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head + b"\n"


def saved(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


NO_ARRAYS = {
    "empty": b"",
    "junk": b"junk",
    "cut": saved(np.zeros((2, 784)))[:-1],
    "negative": npy_with("(-1, 784)"),
    "absurd": npy_with("(99999999999, 784)"),
    "beyond 64 bits": npy_with("(1" + 30 * "0" + ",)"),
    "not closed": npy_with("("),
    "nested": npy_with("(" * 5000),
    "objects": npy_with("(2, 784)", "'|O'"),
    "text": saved(np.full((2, 784), "a")),
    "times": saved(np.zeros((2, 784), "M8[s]")),
    "complex": saved(np.zeros((2, 784), complex)),
    "fields": saved(np.zeros((2, 784), [("a", "i4")])),
    "archive": b"PK\x03\x04junk",
    "another version": b"\x93NUMPY\x09\x00",
}


def is_refused(finished: Finished, code: int = 2) -> bool:
    """Whether it ended with one line, and that exit code."""
    lines = finished.result.stderr.splitlines()
    assert finished.code == code, finished.result.output
    said = [line for line in lines if line.startswith("starlab: ")]
    assert said == lines[-1:], finished.result.stderr
    return "fault of starlab itself" not in said[0]


@pytest.mark.parametrize("kind", NO_ARRAYS)
@pytest.mark.parametrize(
    "command", [("infer", "--images"), ("vmm", "1", "--inputs"), ("program", "1", "--weights")]
)
def test_a_file_that_is_no_array_of_numbers_is_a_usage_error(
    run: Run, server: FakeServer, tmp_path: Path, command: tuple[str, ...], kind: str
) -> None:
    path = tmp_path / "array.npy"
    path.write_bytes(NO_ARRAYS[kind])
    finished = run(*command, str(path))
    assert is_refused(finished)
    assert command[-1] in finished.words
    assert server.requests == []


WRONG: list[tuple[str, ...]] = [
    ("fom",),
    ("form", "3"),
    ("form", "--nonsense"),
    ("boards", "--url", ""),
    ("boards", "--url", "nonsense"),
    ("boards", "--url", "ftp://lab"),
    ("boards", "--url", "http://"),
    ("boards", "--url", "http://[::1"),
    ("boards", "--url", "http://lab:70000"),
    ("boards", "--url", "http://lab:-1"),
    ("boards", "--url", "http://lab:0"),
    ("boards", "--url", "http://lab:port"),
    ("boards", "--url", "http://1.2.3.999"),
    ("boards", "--url", "http://\x01"),
    ("boards", "--url", f"http://{NO_UTF8}"),
    ("boards", "--url", "http://" + 70_000 * "a"),
    ("boards", "--discover", "--wait", "nan"),
    ("boards", "--discover", "--wait", "-1"),
    ("boards", "--at", NO_UTF8),
    ("supplies", "--board", ".."),
    ("supplies", "--board", "."),
    ("supplies", "--board", NO_UTF8),
    ("supplies", "VBLset"),
    ("supplies", "--calibrate", "VBLset=1e"),
    ("read", "1", "--rows", NO_UTF8),
    ("read", "0"),
    ("read", "1", "-o", "no/such.npy"),
    ("read", "1", "-o", "."),
    ("read", "1", "--published", "no/such.txt"),
    ("read", "1", "--published", "x.txt", "--rows", "1"),
    ("infer", "-o", "no/such.npy"),
    ("infer", "--images", "no-such.npy"),
    ("infer", "--images", "."),
    ("infer", "--limit", "0"),
    ("infer", "--limit", "1" + 5000 * "0"),
    ("vmm", "2"),
    ("vmm", "1", "-o", "/dev/null/x"),
    ("program", "1"),
    ("program", "--published-weights", "/dev/zero", "/dev/zero"),
    ("program", "--published-weights", "no-such", "no-such"),
    ("level", "--tolerance-codes", "nan"),
    ("level", "--readings", "1e3"),
    ("train", "--seed", "-1"),
    ("train", "--th", "nan"),
    ("train", "--epochs", "1" + 12 * "0"),
    ("train", "--layers", "3"),
    ("train", "--scheme", "other"),
    ("train", "--images", "."),
    ("evaluate", "--batch", "0"),
    ("snapshot",),
    ("snapshot", "save", "x", "-o", "no/such"),
    ("snapshot", "save", NO_UTF8),
    ("snapshot", "restore", "."),
    ("snapshot", "restore", "no/such"),
    ("snapshot", "restore", "/dev/null"),
    ("snapshot", "restore", "x", "--tolerance", "nan"),
    ("snapshot", "delete", ".."),
    ("fit-device", "."),
    ("fit-device", "/dev/null"),
    ("fit-device", "no-such.csv"),
    ("fit-device", "/dev/null", "-o", "no/such.toml"),
    ("demo", "-o", "/dev/null/x"),
    ("demo", "--seed", "-1"),
    ("demo", "--effects", "all", "--url", "http://lab"),
    ("serve", "--port", "70000"),
    ("serve", "--port", "-1"),
    ("emulator", "--port", "x"),
    ("emulator", "--seed", "1.5"),
    ("capture",),
    ("capture", "udp://a"),
    ("replay", "x", "--seed", ""),
]


@pytest.mark.parametrize("arguments", WRONG, ids=lambda given: " ".join(given)[:60])
@pytest.mark.parametrize("as_json", [False, True])
def test_no_wrong_invocation_reaches_a_board_or_ends_in_a_traceback(
    run: Run,
    server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    as_json: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = run(*arguments, *["--json"] * as_json)
    if arguments == ("snapshot",) and not as_json:
        assert finished.code == 2
        assert "Usage: starlab snapshot" in finished.words
        return
    assert is_refused(finished)
    if as_json:
        assert finished.json["error"]["kind"] == "InvalidInput"
        assert finished.json["error"]["detail"][:200] in finished.result.stderr
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "cell,kind\n",
        "cell,kind,conductance_uS\n0,start,x\n",
        "cell,kind,conductance_uS\n0,set,1\n",
        "cell,kind,conductance_uS\n0,start,nan\n0,set,inf\n",
        'cell,kind,conductance_uS\n0,start,"' + 200_000 * "9" + '"\n',
        "cell,kind,conductance_uS\n0,start,2.5\x00\n",
        "\ufeff",
    ],
)
def test_trains_that_are_none_are_a_usage_error(run: Run, tmp_path: Path, text: str) -> None:
    path = tmp_path / "trains.csv"
    path.write_text(text, encoding="utf-8")
    assert is_refused(run("fit-device", str(path), "-o", str(tmp_path / "device.toml")))
    assert not (tmp_path / "device.toml").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STARLAB_URL", "http://[::1"),
        ("STARLAB_URL", "nonsense"),
        ("STARLAB_BOARD_ID", ".."),
        ("STARLAB_BOARD_ID", NO_UTF8),
        ("HTTP_PROXY", "nonsense://x"),
        ("ALL_PROXY", "http://[::1"),
        ("SSL_CERT_FILE", "/no/such/file"),
    ],
)
def test_an_environment_that_makes_no_sense_is_a_usage_error(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    url = ["--url", "http://lab"] * (variable != "STARLAB_URL")
    server.will_answer_json({"VBLset": supply_of("mV")})
    finished = run("supplies", *url)
    if finished.code == 0:  # a transport of the test's own asks for neither proxy nor certificate
        assert variable in ("HTTP_PROXY", "ALL_PROXY", "SSL_CERT_FILE")
        return
    assert is_refused(finished)
    assert server.requests == []


HTML = httpx2.Response(200, content=b"<html>", headers={"content-type": "text/html"})


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (HTML, 1),
        (httpx2.Response(302, headers={"location": "http://elsewhere"}), 1),
        (httpx2.Response(404, content=b"<html>"), 1),
        (httpx2.Response(401, content=b"{}"), 1),
        (httpx2.Response(500, content=b"<html>"), 1),
        (httpx2.Response(503, content=b"<html>"), 3),
        (httpx2.Response(200, content=b""), 1),
        (httpx2.Response(200, content=b"{"), 1),
        (httpx2.Response(200, content=b"null"), 1),
        (httpx2.Response(200, content=b"\xff\xfe"), 1),
        (httpx2.Response(200, content=100_000 * b"["), 1),
        (httpx2.Response(200, json={"another": "version"}), 1),
        (httpx2.Response(200, json=[{"id": 3, "another": "version"}]), 1),
        (httpx2.ConnectError("[SSL: WRONG_VERSION_NUMBER]"), 3),
        (httpx2.ConnectTimeout("timed out"), 3),
        (httpx2.RemoteProtocolError("illegal status line"), 1),
        (httpx2.ReadError(""), 1),
        (httpx2.DecodingError("no gzip"), 1),
        (httpx2.TooManyRedirects("too many"), 1),
        (httpx2.ProxyError("407"), 3),
    ],
)
@pytest.mark.parametrize("command", ["boards", "supplies", "infer", "read"])
def test_what_is_no_starlab_server_is_told_in_a_line(
    run: Run, server: FakeServer, command: str, answer: httpx2.Response | Exception, code: int
) -> None:
    server.answers = [answer]
    finished = run(command, "--json")
    assert is_refused(finished, code)
    assert finished.json["error"]["detail"]


@pytest.mark.parametrize("kind", NO_ARRAYS)
def test_arrays_of_a_server_that_make_no_sense_are_its_failure(
    run: Run, server: FakeServer, kind: str
) -> None:
    server.will_answer(NO_ARRAYS[kind], "application/x-npy")
    server.will_answer(NO_ARRAYS[kind], "application/x-npy")
    for command in ("infer", "read", "vmm"):
        assert run(command).code == 1


def test_a_training_whose_settings_are_refused_pulses_nothing(run: Run, server: FakeServer) -> None:
    server.will_refuse(422, type="limit-exceeded", detail="th 200000 is above the 131071 limit")
    finished = run("train", "--from-scratch", "--th", "200000", "--limit", "5")
    assert is_refused(finished)
    assert [(one.method, one.url.path) for one in server.requests] == [
        ("PATCH", "/api/v1/boards/emu0/settings")
    ]


def test_a_selection_for_both_arrays_is_tried_on_the_smaller_one_first(
    run: Run, server: FakeServer
) -> None:
    server.will_answer_json(FORMED)
    words = run("form", "--rows", "0:100").words
    assert [one.url.path[-6] for one in server.requests] == ["2", "1"]
    assert words.index("│ 1 ") < words.index("│ 2 ")


def test_what_is_written_is_the_file_that_was_named_and_whole(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    server.will_answer(saved(np.full((2, 784, 100), 5, np.float32)), "application/x-npy")
    file = tmp_path / "cells"
    assert run("read", "1", "-o", str(file), "--json").json["output"] == str(file)
    assert np.load(file).shape == (2, 784, 100)
    assert list(tmp_path.iterdir()) == [file]
    assert is_refused(run("read", "1", "-o", "/dev/full"), 1)


@pytest.mark.parametrize("columns", ["20", "1", "0", "-3", "x"])
def test_a_narrow_terminal_shows_every_value(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    server.will_answer_json([board_of("emu0")])
    shown = run("boards").words
    for part in ("emu0", "idle", "EMU-1", "nonlinear-3"):
        assert part in shown
    assert "half-open" in run("form", "--help").words


def test_a_line_has_no_breaks_no_escapes_and_an_end() -> None:
    assert one_line("a\nb\tc\x1b[31m \udcff ü") == r"a b c\x1b[31m \udcff ü"
    assert len(one_line("x" * 10_000)) < 2100


def test_a_fault_of_the_program_itself_is_a_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = ending_of(ZeroDivisionError("by zero"))
    assert ending.code == 1
    assert "STARLAB_TRACEBACK=1" in ending.detail
    monkeypatch.setenv("STARLAB_TRACEBACK", "1")
    tell(ending_of(ZeroDivisionError("by zero")), as_json=True)
    told = capsys.readouterr()
    assert "ZeroDivisionError: by zero" in told.err
    assert json.loads(told.out)["error"]["kind"] == "ZeroDivisionError"


@pytest.mark.parametrize(("number", "said"), [(errno.ENOSPC, True), (errno.EPIPE, False)])
def test_an_output_that_takes_no_more_is_told_unless_nobody_is_left(
    monkeypatch: pytest.MonkeyPatch, number: int, said: bool
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(number, "full")

    monkeypatch.setattr("sys.stdout", Full())
    with pytest.raises(OutputFailed) as failed:
        flush_output()
    assert bool(ending_of(failed.value).detail) is said


def test_an_interrupt_ends_with_130(run: Run, server: FakeServer) -> None:
    server.requests = _Interrupting()
    assert is_refused(run("supplies"), 130)


class _Interrupting(list[httpx2.Request]):
    def append(self, request: httpx2.Request, /) -> None:
        raise KeyboardInterrupt
