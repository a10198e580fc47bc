"""What pulses and voltages depend on, by area, and the tests that each is judged by."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Area:
    """Modules that one score is told of."""

    name: str
    modules: tuple[str, ...]
    """Patterns of files, from the top of the checkout."""
    tests: tuple[str, ...] = ("tests/spec", "tests/contract", "tests/sim", "tests/host")
    """Folders, or patterns of files, of the tests that may notice; those are run that run the
    changed function."""
    interpreted: bool = False
    """Kernels: tests run without their compilation, so that it is seen what each runs."""

    def files(self, top: Path = TOP) -> Iterator[Path]:
        """Its modules."""
        for pattern in self.modules:
            found = sorted(top.glob(pattern))
            if not found:
                raise FileNotFoundError(f"{self.name}: {pattern} names no module")
            yield from found

    def test_files(self, top: Path = TOP) -> Iterator[Path]:
        """Where its tests stand."""
        for tests in self.tests:
            folder = top / tests
            yield from sorted(folder.rglob("test_*.py") if folder.is_dir() else top.glob(tests))


_SPEC: Final = "spec/starlab_spec"
_SIM: Final = "firmware_sim/starlab_sim"
_HOST: Final = "host/starlab_host"
_API: Final = "api/starlab_api"
_SDK: Final = "clients/python/starlab"

AREAS: Final = (
    Area("data sheet", tuple(
        f"{_SPEC}/{name}.py" for name in ("safe_area", "supplies", "limits_file", "samples")
    )),
    Area(
        "wire protocol",
        tuple(f"{_SPEC}/wire/{name}" for name in (
            *("cobs.py", "codec.py", "congestion.py", "fields.py", "frames.py", "receiving.py"),
            *("sending.py", "transactions.py", "requester/*.py", "responder/*.py"),
        )),
        tests=("tests/spec", "tests/contract/test_wire_*.py", "tests/host/test_session*.py"),
    ),
    Area(
        "host: exactly once",
        (
            *(f"{_HOST}/session/{name}.py" for name in (
                *("session", "waiting", "outstanding", "stopping", "leading", "chip_changes"),
                *("failures", "reply_shapes", "idle_thread"),
            )),
            f"{_HOST}/journal/*.py",
            f"{_HOST}/files.py",
        ),
        tests=tuple(f"tests/host/test_{name}.py" for name in (
            *("session*", "waiting", "outstanding", "stopping", "leading", "emergency_stop"),
            *("chip_changes", "heart", "journal*", "durability", "crash_safety", "doubts"),
            *("files", "links_memory", "lying_boards", "link_statistics", "path_memory"),
        )),
    ),
    Area(
        "host: safety",
        tuple(
            f"{_HOST}/{name}.py"
            for name in (
                "safety", "board/board", "board/commands", "board/guard", "board/work",
                "chip/batches", "chip/cells", "chip/formed", "chip/programming",
            )
        ),
        tests=("tests/host",),
    ),
    Area(
        "host: rails",
        (f"{_HOST}/board/calibration.py", f"{_HOST}/board/rails.py", f"{_HOST}/trimming/*.py"),
        tests=("tests/host",),
    ),
    Area("firmware", tuple(
        f"{_SIM}/{name}.py"
        for name in (
            *(f"firmware/{name}" for name in (
                "interlock", "board", "sequencer", "row_pulses", "batches", "over_current",
                "register_file", "state", "conditions",
            )),
            "keeping/*", "supplies/*",
        )
    )),
    Area(
        "kernels",
        tuple(f"{_SIM}/chip/{name}.py" for name in ("kernels", "pulsing", "tuning")),
        tests=("tests/sim/kernels",),
        interpreted=True,
    ),
    Area(
        "detailed kernels",
        tuple(
            f"{_SIM}/chip/detailed/{name}.py"
            for name in ("forward", "pulsing", "training", "backward", "ageing")
        ),
        tests=("tests/sim/kernels",),
        interpreted=True,
    ),
    Area(
        "server",
        tuple(
            f"{_API}/{name}.py"
            for name in (
                "idempotency", "problems", "access/*", "boards/*", "bodies/*", "routes/arrays",
                "routes/calibration", "routes/emergency_stop", "routes/in_doubt",
                "routes/network", "routes/registers", "routes/settings", "routes/snapshots",
                "routes/supplies",
            )
        ),
        tests=("tests/api",),
    ),
    Area(
        "clients",
        tuple(
            f"{_SDK}/{name}.py"
            for name in (
                "board", "bodies", "call", "calls", "http", "inputs", "learning", "sending",
                "snapshots", "supply_calls", "training", "working_point",
            )
        ),
        tests=("tests/clients",),
    ),
)  # fmt: skip
