"""The emulator as a program: its state file and its faults, seen by a client of another make."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.system import wire_client as wire
from tests.system.board_process import BoardProcess
from tests.system.test_wire_blackbox import power_up, pulse_row
from tests.system.wire_client import WireClient

from starlab_sim.__main__ import main


@contextmanager
def session(board: BoardProcess) -> Iterator[WireClient]:
    """A session on a board whose supplies are up; messages go on from 2."""
    client = WireClient(board.address)
    client.hello()
    power_up(client, 1)
    yield client
    client.close()


def pulse_counts(
    client: WireClient, message: int
) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint32]]":
    """Pulses that each cell of array 1 has had."""
    reply = client.command(
        message,
        wire.emulator(pulse_counts={"array": 1, "address": 0}),
        wire.read_memory(0, 4 * 2 * 784 * 100),
    )
    return np.frombuffer(reply.results[1].data, ">u4").reshape(2, 784, 100)


def test_a_killed_board_comes_back_with_its_cells_and_its_past(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = str(tmp_path / "chip")
    with BoardProcess("--state", state, "--seed", "7") as board:
        with session(board) as client:
            client.command(2, *pulse_row(9, 0b101, 30))
            reading = [*pulse_row(9, 0b101, 1)[:4], wire.start(1 << 22)]
            read = client.command(3, *reading).results[-1].words
            before, boot = client.ask_status().lifetime_pulses, client.boot
            assert before == 60
        board.kill()
        board.start()
        assert board.announced["serial"] == "EMU-00000007"
        with session(board) as client:
            assert client.boot != boot
            assert client.ask_status().lifetime_pulses == before
            assert client.command(2, *reading).results[-1].words == read
            counts = pulse_counts(client, 3)
            assert np.argwhere(counts).tolist() == [[0, 9, 0], [0, 9, 2]]
            assert counts[0, 9, 0] == 30
        assert main(["--port", "0", "--state", state]) == 4
    said = f"starlab-chip: cannot keep the chip: {state} is in use by another emulator\n"
    assert capsys.readouterr() == ("", said)


def test_a_board_may_have_faults_from_its_start() -> None:
    faults = {"latches": ["over_current"], "network": {"delay_s": 0.02}, "restart_after_pulses": 1}
    with BoardProcess("--faults", json.dumps(faults)) as board:
        client = WireClient(board.address)
        client.hello()
        assert client.ask_status().faults == 1
        client.command(1, wire.write_registers(0x1C8, 0b1111))
        power_up(client, 2)
        boot = client.boot
        client.send_raw(client.command_frames(3, *pulse_row(9, 0b101, 30))[0])
        ended = client.receive_kind(wire.RESET, wire.REPLY)
        assert (ended.kind, ended.boot == boot) == (wire.RESET, False)
        assert client.hello().lifetime_pulses == 60
        client.close()


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ('{"network": {"loss": 2}}', "network loss 2 is above the 0.3 limit"),
        ('{"fire": 1}', "unknown fault 'fire'; known: latches, network, "),
        ("[]", "a JSON object was expected"),
        ("{", "not JSON in UTF-8: "),
    ],
)
def test_faults_that_are_not_understood_are_a_usage_error(
    faults: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--faults", faults])
    assert ended.value.code == 2
    assert f"argument --faults: {said}" in capsys.readouterr().err


def test_a_boards_firmware_has_the_limits_of_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("pulses.array1.set = { pulses = 20, row_ma = 6 }\n")
    with BoardProcess("--limits", str(file)) as board, session(board) as client:
        refused = client.command(2, *pulse_row(9, 0b101, 30)).results[-1]
        assert refused.status == wire.INTERLOCK
        assert refused.data == b"SET pulses 30 on array 1 is above the 20 limit"
        client.command(3, *pulse_row(9, 0b101, 20))
        assert client.ask_status().lifetime_pulses == 40
    file.write_text("pulses.array1.set.pulses = 1000\n")
    with pytest.raises(SystemExit) as ended:
        main(["--limits", str(file)])
    assert ended.value.code == 2
    said = "pulses.array1.set.pulses 1000 pulses is above the 256 pulses limit"
    assert said in capsys.readouterr().err
