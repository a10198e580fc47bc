"""One emulator process on several cables: the same board, the same session rules, on each."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.veth import mac_of, veth_pair

from starlab_host import Chip, HandshakeRefused, connect
from starlab_host.discovery import discover
from starlab_host.links import open_link
from starlab_host.session.session import Session
from starlab_spec.wire.transactions import read_memory

COMMAND = [sys.executable, "-m", "starlab_sim", "--seed", "5", "--exit-with-parent"]


@contextmanager
def emulator(*options: str) -> Iterator[dict[str, Any]]:
    """What a running emulator has announced."""
    with subprocess.Popen(
        [*COMMAND, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(10) == 0


def read_and_learn(url: str) -> tuple[NDArray[Any], ...]:
    """Some work that needs long messages both ways."""
    pixels = np.random.default_rng(0).integers(0, 256, (50, 98), dtype=np.uint8)
    with connect(url) as board:
        board.emulator(seed=5)
    with connect(url) as board:
        chip = Chip(board)
        return chip.read_conductance_uS(1), chip.train_step(
            pixels, labels=np.arange(50) % 10
        ).outputs


def test_the_same_work_gives_the_same_on_every_cable() -> None:
    with veth_pair() as (here, there), emulator("--port", "0", "--pty", "--eth", there) as board:
        udp, theirs, serial = board["links"]
        assert theirs == f"eth://{there}/{mac_of(there).hex(':')}"
        ethernet = theirs.replace(there, here)
        expected = read_and_learn(udp)
        for url in (ethernet, serial):
            for found, wanted in zip(read_and_learn(url), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)
        (found_board,) = discover([f"eth://{here}"], wait_s=0.3)
        assert found_board.urls == (ethernet,)
        assert found_board.identity["serial"] == board["serial"]


def test_a_board_on_a_serial_line_alone_says_where_it_is() -> None:
    with emulator("--pty") as board:
        assert re.fullmatch(r"serial:///dev/pts/\d+", board["listening"])
        assert board["links"] == [board["listening"]]
        with connect(f"{board['listening']}?baud=115200") as connected:
            assert connected.is_up()
            assert connected.read_memory(0, 3000) == bytes(3000)


def test_a_board_in_use_by_one_cable_is_in_use_by_all() -> None:
    with emulator("--port", "0", "--pty") as board:
        udp, serial = board["links"]
        with connect(serial, client_name="bench", lease_epoch=3):
            with pytest.raises(HandshakeRefused, match="in use by 'bench'"):
                connect(udp, lease_epoch=3)
            with connect(udp, lease_epoch=4) as connected:
                assert connected.is_up()


@pytest.mark.parametrize(("mtu_bytes", "payload_bytes"), [(9000, 8896), (1500, 1408)])
def test_jumbo_frames_are_used_where_both_ends_take_them(
    mtu_bytes: int, payload_bytes: int
) -> None:
    """A host that could send them, and a board behind an interface that may not receive them."""
    with (
        veth_pair(9000, other_mtu_bytes=mtu_bytes) as (here, there),
        emulator("--eth", there) as board,
    ):
        link = open_link(board["listening"].replace(there, here))
        assert link.payload_bytes == 8896
        with Session.open(link, client_name="bench") as session:
            assert session.granted.payload_bytes == payload_bytes
            (result,) = session.execute([read_memory(0, 100_000)])
            assert result.data == bytes(100_000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--eth", "nowhere0"], "cannot listen on interface nowhere0: No such device"),
        (["--eth", "lo", "--host", "198.51.100.77"], "cannot listen on 198.51.100.77 port 5716: "),
    ],
)
def test_a_cable_that_is_not_there_ends_the_program(options: list[str], message: str) -> None:
    ended = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"starlab-chip: {message}")
    assert len(ended.stderr.splitlines()) == 1
