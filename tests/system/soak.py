"""Host and board as processes with a bad network between them, both killed again and again.

At the end, every pulse of the plan was applied once, or is one of those that the host names as
being in doubt. Reads cells and journal only when the host has finished.
"""

import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.lossy_proxy import Faults, LossyProxy
from tests.system import journaled_host, wire_client
from tests.system.board_process import BoardProcess
from tests.system.journaled_host import Plan
from tests.system.wire_client import WireClient

from starlab_host import Journal

BAD_NETWORK = Faults(loss=0.05, duplication=0.05, reordering=0.1, corruption=0.01)
ROOT = Path(__file__).parents[2]


KILLED = ("host killed", "board killed")
ASLEEP = ("host asleep", "board asleep")


@dataclass
class Soak:
    """One soak: run it, then look at what it met.

    Attributes:
        folder: For the board's state, the journal and the host's words.
        pulses: Length of the plan.
        seed: Of the plan, the network, and what happens when.
        pauses_s: Something happens after a time between these, and again, until all is done.
        times: So often at most.
        what: May happen: some of `KILLED` and `ASLEEP`.
        orderly: These happen in turn, each after the host has connected. Otherwise any of them,
            and in the middle of another one's consequences.
        batches: Steps in one command: each host draws one of these.
        events: How often what happened, hosts said what, and the network did what.
    """

    folder: Path
    pulses: int
    seed: int
    pauses_s: tuple[float, float]
    times: float = math.inf
    what: tuple[str, ...] = (*KILLED, *KILLED, *ASLEEP)
    orderly: bool = False
    batches: tuple[int, ...] = (1, 4, 16, 17, 60)
    events: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Draw nothing yet."""
        self._rng = random.Random(self.seed)
        self._said_before = 0

    def run(self) -> None:
        """Let hosts apply the plan, one after the other, until one has finished; check it."""
        options = ("--state", str(self.folder / "chip"), "--device", "linear", "--seed", "1")
        with (
            BoardProcess(*options, log=self.folder / "board.log") as board,
            LossyProxy(
                board.address, to_board=BAD_NETWORK, to_host=BAD_NETWORK, seed=self.seed
            ) as proxy,
        ):
            url = "udp://{}:{}".format(*proxy.address)
            host = self._host(url)
            try:
                for happening in self._happenings():
                    if self._has_ended(host, happening):
                        break
                    self.events[happening] += 1
                    if happening == "host killed":
                        host.kill()
                        host.wait()
                        host = self._host(url)
                    elif happening == "board killed":
                        board.kill()
                        time.sleep(self._rng.uniform(0, 0.5))
                        board.start()
                    else:
                        pid = host.pid if happening == "host asleep" else board.pid
                        os.kill(pid, signal.SIGSTOP)
                        time.sleep(self._rng.uniform(0, 5))
                        os.kill(pid, signal.SIGCONT)
            finally:
                host.kill()
            assert host.returncode == 0, (self.folder / "host.log").read_text(encoding="utf-8")
            for way, tally in proxy.tallies().items():
                self.events.update({f"{what} {way}": many for what, many in tally.items()})
            self._count_words()
            self._check(board)

    def _happenings(self) -> Iterator[str]:
        """What happens, one after the other; empty once nothing does any more."""
        for number in itertools.count():
            if number >= self.times:
                yield ""
            elif self.orderly:
                yield self.what[number % len(self.what)]
            else:
                yield self._rng.choice(self.what)

    def _has_ended(self, host: "subprocess.Popen[bytes]", happening: str) -> bool:
        """Wait until something happens; whether the host has ended before."""
        while self.orderly and host.poll() is None and not self._connected():
            time.sleep(0.01)
        try:
            host.wait(self._rng.uniform(*self.pauses_s) if happening else None)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _connected(self) -> bool:
        """Whether the host that was started last has been."""
        return any(word["event"] == "connected" for word in self.words()[self._said_before :])

    def _host(self, url: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.system.journaled_host", "--board", url]
        command += ["--journal", str(self.folder / "journal"), "--seed", str(self.seed)]
        command += ["--pulses", str(self.pulses), "--batch", str(self._rng.choice(self.batches))]
        with (
            (self.folder / "host.out").open("ab") as out,
            (self.folder / "host.log").open("ab") as log,
        ):
            self._said_before = len(self.words())
            return subprocess.Popen(command, stdout=out, stderr=log, cwd=ROOT)

    def words(self) -> list[dict[str, Any]]:
        """All that the hosts have said; the last line of one that was killed may be cut."""
        said = []
        for line in (self.folder / "host.out").read_text(encoding="utf-8").splitlines():
            if line.endswith("}"):
                said.append(json.loads(line[line.rindex('{"event"') :]))
        return said

    def _count_words(self) -> None:
        for word in self.words():
            self.events[word["event"]] += 1
            self.events["resumed"] += word.get("resumed", False)
            for settled in ("executed", "not_sent", "unknown"):
                self.events[settled] += len(word.get(settled, ()))

    def _check(self, board: BoardProcess) -> None:
        """Each cell of the board has had the pulses of the plan, but for steps in doubt."""
        assert (self.folder / "board.log").read_bytes() == b""
        plan = Plan(self.seed, self.pulses)
        with Journal(self.folder / "journal") as journal:
            commands = [journaled_host.steps_of(entry) for entry in journal.in_doubt()]
        doubtful = [step for command in commands for step in command]
        last = self.words()[-1]
        assert last == {"event": "finished", "settled": self.pulses, "in_doubt": sorted(doubtful)}
        counts, lifetime = counts_of(board)
        extra = counts - (plan.counts() - plan.counts(doubtful)).sum(axis=0)
        assert extra.min() >= 0, "a pulse that the journal says was executed is missing"
        assert (extra <= plan.counts(doubtful).sum(axis=0)).all(), "a pulse came twice"
        applied = explained(plan, commands, extra)
        assert lifetime == counts.sum() == self.pulses - len(doubtful) + applied
        self.events["in doubt"] = len(doubtful)
        self.events["in doubt, applied"] = applied


def explained(plan: Plan, commands: Sequence[tuple[int, ...]], extra: NDArray[np.int64]) -> int:
    """Steps in doubt that were applied; of each command a leading part, which explains all pulses.

    Args:
        plan: What the steps are.
        commands: Those in doubt.
        extra: Pulses of each cell beyond those that are certain.
    """
    cells = [[int(plan.cells[step]) for step in command] for command in commands]
    doubtful = Counter(cell for command in cells for cell in command)
    left = Counter({int(cell): int(extra.flat[cell]) for cell in np.flatnonzero(extra)})
    lengths = []
    for command in cells:
        sure = (n for n, cell in enumerate(command) if doubtful[cell] == 1 and left[cell])
        lengths.append(max(sure, default=-1) + 1)
    for command, length in zip(cells, lengths, strict=True):
        left.subtract(command[:length])
    # what is left was applied to cells of several commands: whichever can explain it
    for number, command in enumerate(cells):
        while lengths[number] < len(command) and left[command[lengths[number]]] > 0:
            left[command[lengths[number]]] -= 1
            lengths[number] += 1
    assert not any(left.values()), "pulses that no command in doubt explains"
    return sum(lengths)


def counts_of(board: BoardProcess) -> tuple[NDArray[np.int64], int]:
    """Pulses of each cell of array 1, and of the board in its life."""
    client = WireClient(board.address)
    lifetime = client.hello(epoch=1).lifetime_pulses
    reply = client.command(
        1,
        wire_client.emulator(pulse_counts={"array": 1, "address": 0}),
        wire_client.read_memory(0, 4 * 2 * 784 * 100),
    )
    client.send_raw(client.frame(wire_client.BYE))
    client.close()
    counts = np.frombuffer(reply.results[1].data, ">u4").reshape(2, 784, 100)
    return counts.astype(np.int64), lifetime
