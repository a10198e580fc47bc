"""Datagrams of all kinds against both ends: no crash, no change of state, bounded memory and log.

The quick forms see some ten thousand datagrams, the slow ones a million each.
"""

import gc
import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fuzzing import Fuzzer
from tests.lossy_proxy import BadWay, Faults, LossyProxy
from tests.system import wire_client as wire
from tests.system.board_process import BoardProcess
from tests.system.test_wire_blackbox import power_up, pulse_row
from tests.system.wire_client import WireClient

from starlab_host.links import open_link
from starlab_host.session.session import Session
from starlab_sim import Board, Specimen
from starlab_spec.registers import MAP_END
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import Hello
from starlab_spec.wire.requester.events import Replied, RequesterState
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.responder.execution import EnterSafe
from starlab_spec.wire.responder.responder import Responder

QUICK, SLOW = 20_000, 1_000_000
some = pytest.mark.parametrize(
    "count", [QUICK, pytest.param(SLOW, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
GROWTH_MAX_BYTES = 24 << 20
BURST = 50
"""So many datagrams fit into any socket's buffer while its process is waiting for a core."""
HOST, STRANGER = "host", "stranger"
SESSION, BOOT = 0x5E55_1011, 0xB007_1D00


def resident_bytes(pid: int) -> int:
    """Memory that a process has in use."""
    gc.collect()
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


class BoardUnderFire:
    """An emulated board with its protocol, in this process, and one host of it."""

    def __init__(self) -> None:
        self.board = Board(Specimen(seed=1), serial="EMU-1", rng=random.Random(1))
        self.responder: Responder[str] = Responder(self.board, rng=random.Random(2))
        self.now = 0.0
        self.sent: list[wire.Frame] = []
        self.strangers_told = 0
        hello = wire.encode(wire.HELLO, wire.hello_payload(features=0), message=7)
        (welcome,) = self.deliver(hello)
        self.session, self.boot = welcome.session, welcome.boot

    def deliver(self, datagram: bytes, peer: str = HOST) -> list[wire.Frame]:
        """Give the board a datagram; returns what it sends to its host."""
        self.responder.receive(datagram, peer, self.now)
        while (work := self.responder.take_work()) is not None:
            if isinstance(work, EnterSafe):
                self.board.enter_safe(work.reason)
            else:
                results = self.board.execute(work.transactions, dry_run=work.dry_run)
                self.responder.complete(work, results, self.now)
        out = self.responder.datagrams(self.now)
        self.strangers_told += sum(to == STRANGER for to, _ in out)
        return [wire.decode(datagram) for to, datagram in out if to == HOST]

    def frame(self, kind: int, payload: bytes = b"", **fields: int) -> bytes:
        """A frame of the session."""
        return wire.encode(kind, payload, session=self.session, boot=self.boot, **fields)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.responder.expire(self.now)

    def fingerprint(self) -> tuple[object, ...]:
        """All that a datagram could have changed."""
        reading = [tr.read_registers(0, MAP_END // 4), *(tr.get_supply(i) for i in range(22))]
        memory = self.board.execute([tr.read_memory(0, 1 << 20)])[0].data
        cells = (self.board.chip.conductance_uS(array).tobytes() for array in (1, 2))
        (status,) = (
            frame.payload
            for frame in self.deliver(self.frame(wire.STATUS_REQUEST))
            if frame.kind == wire.STATUS
        )
        return (
            status,
            *(result.data for result in self.board.execute(reading)),
            *(hashlib.sha256(part).digest() for part in (memory, *cells)),
        )


@some
def test_harmless_datagrams_change_nothing_at_a_board(count: int) -> None:
    fire = BoardUnderFire()
    supplies = [wire.set_supply(index, 30) for index in range(3)]
    first = fire.frame(wire.COMMAND, b"".join(supplies), flags=wire.LAST, message=1)
    assert [frame.kind for frame in fire.deliver(first)] == [wire.REPLY]
    fire.deliver(fire.frame(wire.STATUS_REQUEST, acknowledged=1))
    second = fire.frame(
        wire.COMMAND, wire.write_registers(0x1C, 7), flags=wire.LAST, message=2, sequence=1
    )
    good = [first, second, fire.frame(wire.ACK, bytes(24)), fire.frame(wire.BYE)]
    before, memory = fire.fingerprint(), resident_bytes(os.getpid())
    fuzzer = Fuzzer(good, fire.session, fire.boot, seed=count)
    for number, datagram in enumerate(fuzzer.harmless(count)):
        answers = fire.deliver(datagram, (HOST, STRANGER)[number % 2])
        assert not any(frame.kind in (wire.REPLY, wire.RESET) for frame in answers)
        fire.wait(1e-4)
        if number % 5000 == 4999:
            assert fire.fingerprint() == before
    assert fire.strangers_told <= 10 + 10 * fire.now
    assert resident_bytes(os.getpid()) < memory + GROWTH_MAX_BYTES
    assert fire.responder.frames_dropped >= count * 0.99
    (reply,) = fire.deliver(second)
    assert (reply.kind, reply.message) == (wire.REPLY, 2)


@some
def test_nonsense_within_a_session_moves_no_cell_and_wears_nothing_out(count: int) -> None:
    fire = BoardUnderFire()
    cells = fire.board.chip.conductance_uS(1).tobytes()
    memory = resident_bytes(os.getpid())
    for round_ in range(count // 1000):
        fuzzer = Fuzzer([b"-"], fire.session, fire.boot, seed=count + round_)
        for datagram in fuzzer.nonsense(1000):
            fire.deliver(datagram)
            fire.wait(1e-3)
        (welcome,) = (
            frame
            for frame in fire.deliver(
                wire.encode(wire.HELLO, wire.hello_payload(epoch=0xFFFFFFFF), message=round_ + 8)
            )
            if frame.kind == wire.HELLO_ACK
        )
        fire.session, fire.boot = welcome.session, welcome.boot
    assert fire.board.lifetime_pulses == 0
    assert fire.board.chip.conductance_uS(1).tobytes() == cells
    # what was written to its 128 MiB of memory stays there
    assert resident_bytes(os.getpid()) < memory + GROWTH_MAX_BYTES + (128 << 20)


def requester_with_commands() -> tuple[Requester, list[bytes]]:
    """A host with an open session and three commands without a reply, and what it has sent."""
    requester = Requester(Hello(client_name="under fire"), rng=random.Random(1))
    requester.open(0.0)
    (hello,) = map(wire.decode, requester.datagrams(0.0))
    fixed = bytes.fromhex(f"{SESSION:08x}{BOOT:08x}1000002005800000000000010000000000000000 0002")
    answer = wire.encode(
        wire.HELLO_ACK, fixed + b"{}", session=SESSION, boot=BOOT, message=hello.message
    )
    requester.receive(answer, 0.0)
    assert requester.state is RequesterState.OPEN
    for register in (1, 2, 3):
        requester.submit(wire.write_registers(0x1C, register), 0.0)
    requester.events()
    return requester, requester.datagrams(0.0)


def replies() -> Iterator[bytes]:
    for message in (1, 2, 3):
        yield wire.encode(
            wire.REPLY,
            bytes([0x02, wire.OK]) + bytes(10),
            flags=wire.LAST,
            session=SESSION,
            boot=BOOT,
            sequence=message - 1,
            message=message,
        )


@some
def test_harmless_datagrams_change_nothing_at_a_host(count: int) -> None:
    requester, sent = requester_with_commands()
    good = [*sent, *replies()]
    before = (requester.state, list(requester.outstanding), requester.last_status)
    memory = resident_bytes(os.getpid())
    dropped = requester.counters().frames_dropped
    for datagram in Fuzzer(good, SESSION, BOOT, seed=count).harmless(count):
        requester.receive(datagram, 0.0)
    assert requester.events() == []
    assert requester.datagrams(0.0) == []
    assert (requester.state, list(requester.outstanding), requester.last_status) == before
    assert requester.counters().frames_dropped == dropped + count
    assert resident_bytes(os.getpid()) < memory + GROWTH_MAX_BYTES
    for reply in replies():
        requester.receive(reply, 0.0)
    assert [event.message_id for event in requester.events() if isinstance(event, Replied)] == [
        *(1, 2, 3)
    ]


@some
def test_nonsense_within_a_session_never_makes_a_host_raise(count: int) -> None:
    memory = resident_bytes(os.getpid())
    for round_ in range(count // 1000):
        requester, _ = requester_with_commands()
        fuzzer = Fuzzer([b"-"], SESSION, BOOT, seed=count + round_)
        for number, datagram in enumerate(fuzzer.nonsense(1000)):
            now = number * 1e-3
            requester.receive(datagram, now)
            requester.expire(now)
            for frame in map(wire.decode, requester.datagrams(now)):
                assert frame.message <= 3 or frame.kind == wire.STATUS_REQUEST
            replied = [e.message_id for e in requester.events() if isinstance(e, Replied)]
            assert len(replied) <= 1
    assert resident_bytes(os.getpid()) < memory + GROWTH_MAX_BYTES


# ---- real processes


@some
def test_an_emulator_process_under_fire_lives_and_says_nothing(count: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with BoardProcess("--seed", "7", log=log) as board:
        client, stranger = WireClient(board.address), WireClient(board.address)
        client.hello()
        power_up(client, 1)
        client.command(2, *pulse_row(9, 0b101, 3))
        before = client.ask_status()
        good = client.command_frames(3, *pulse_row(9, 0b101, 3))
        memory = resident_bytes(board.pid)
        fuzzer = Fuzzer([*good, client.frame(wire.BYE)], client.session, client.boot, seed=count)
        for _ in range(count // BURST):
            for number, datagram in enumerate(fuzzer.harmless(BURST)):
                (client, stranger)[number % 2].send_raw(datagram)
            assert client.ask_status() == before
        assert resident_bytes(board.pid) < memory + GROWTH_MAX_BYTES
        client.send_raw(good[0])
        assert [result.status for result in client.reply(3).results] == [wire.OK] * 6
        assert client.ask_status().lifetime_pulses == before.lifetime_pulses + 6
        client.close()
        stranger.close()
    assert log.read_bytes() == b""


class NoisyWay(BadWay):
    """A good way, but with every datagram come many that are harmless."""

    def __init__(self, noise: int, seed: int) -> None:
        super().__init__(Faults(), "")
        self._noise = noise
        self._noise_seed = seed
        self._fuzzer: Fuzzer | None = None

    def carry(self, datagram: bytes, now: float) -> Iterator[tuple[float, bytes]]:
        session = int.from_bytes(datagram[8:12], "big")
        boot = int.from_bytes(datagram[12:16], "big")
        if session and self._fuzzer is None:
            self._fuzzer = Fuzzer([datagram], session, boot, self._noise_seed)
        if self._fuzzer is not None:
            for noise in self._fuzzer.harmless(self._noise):
                yield now, noise
        yield now, datagram


@some
def test_a_session_under_fire_goes_on_as_if_nothing_were(count: int) -> None:
    noise = 50
    with BoardProcess("--seed", "7") as board, LossyProxy(board.address) as proxy:
        proxy.to_board = NoisyWay(noise, seed=1)
        proxy.to_host = NoisyWay(noise, seed=2)
        url = "udp://{}:{}".format(*proxy.address)
        with Session.open(open_link(url), client_name="under fire") as session:
            for number in range(count // noise // 8):
                (result,) = session.execute([tr.write_registers(0x1C, [number])])
                assert result.status == tr.Status.OK
                (result,) = session.execute([tr.read_registers(0x1C)])
                assert tr.words(result) == (number,)
            assert session.statistics.counters.frames_dropped > 0
