"""Host and board on two machines: namespaces joined by a cable, good or as tc's netem makes it."""

from pathlib import Path

import numpy as np
import pytest
from tests.namespaces import BOARD, BROADCAST, joined
from tests.system import journaled_host
from tests.system.board_process import BoardProcess
from tests.system.journaled_host import Plan
from tests.system.soak import counts_of

from starlab_host import Journal
from starlab_host.discovery import discover
from starlab_host.links import open_link
from starlab_host.session.session import Session
from starlab_spec.wire.transactions import read_memory, write_memory

EVERYWHERE = ("--host", "0.0.0.0", "--seed", "7", "--device", "linear")


def apply_plan(url: str, folder: Path, plan: Plan, batch: int) -> None:
    """Have a host apply all of a plan, on a link that never breaks for good."""
    with Journal(folder / "journal") as journal:
        *_, last = journaled_host.run(url, journal, plan, batch=batch, patience_s=20)
    assert last == {"event": "finished", "settled": plan.pulses, "in_doubt": ()}


@pytest.mark.parametrize(("mtu_bytes", "payload_bytes"), [(1500, 1408), (9000, 8896)])
def test_nothing_is_ever_fragmented_whatever_the_cable_takes(
    mtu_bytes: int, payload_bytes: int
) -> None:
    data = np.random.default_rng(1).bytes(1_000_000)
    with joined(mtu_bytes) as (host, board):
        with board:
            process = BoardProcess(*EVERYWHERE)
        with process, host:
            link = open_link(f"udp://{BOARD}:{process.address[1]}")
            with Session.open(link, client_name="namespace") as session:
                assert session.granted.payload_bytes == payload_bytes
                session.execute([write_memory(0, data)])
                (result,) = session.execute([read_memory(0, len(data))])
        assert result.data == data
        assert host.counter("FragCreates") == board.counter("FragCreates") == 0


def test_a_board_on_another_machine_is_found_by_broadcast() -> None:
    with joined() as (host, board):
        with board:
            process = BoardProcess(*EVERYWHERE)
        port = process.address[1]
        with process, host:
            (found,) = discover([f"udp://{BROADCAST}:{port}"], wait_s=1.0)
            assert found.urls == (f"udp://{BOARD}:{port}",)
            assert found.identity["serial"] == "EMU-00000007"
            with Session.open(open_link(found.urls[0]), client_name="namespace") as session:
                assert session.identity["serial"] == "EMU-00000007"


@pytest.mark.parametrize(
    ("netem", "pulses"),
    [
        ("", 400),
        ("loss 5% duplicate 5%", 400),
        ("delay 50ms", 100),
        ("delay 50ms reorder 25% 50% loss 2%", 100),
        ("delay 5ms 4ms corrupt 1%", 200),
    ],
)
def test_every_pulse_is_applied_once_over_a_cable_that(
    netem: str, pulses: int, tmp_path: Path
) -> None:
    plan = Plan(seed=3, pulses=pulses)
    with joined(netem=netem) as (host, board):
        with board:
            process = BoardProcess(*EVERYWHERE)
        with process:
            with host:
                apply_plan(f"udp://{BOARD}:{process.address[1]}", tmp_path, plan, batch=4)
            with board:
                counts, lifetime = counts_of(process)
    assert lifetime == pulses
    assert np.array_equal(counts, plan.counts().sum(axis=0))
