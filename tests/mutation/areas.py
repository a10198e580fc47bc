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
    """Where the tests are that may notice; those that run the changed function are run."""
    interpreted: bool = False
    """Kernels: tests run without their compilation, so that it is seen what each runs."""

    def files(self, top: Path = TOP) -> Iterator[Path]:
        """Its modules."""
        for pattern in self.modules:
            yield from sorted(top.glob(pattern))


_SPEC: Final = "spec/starlab_spec"
_SIM: Final = "firmware_sim/starlab_sim"
_HOST: Final = "host/starlab_host"
_API: Final = "api/starlab_api"

AREAS: Final = (
    Area("data sheet", tuple(
        f"{_SPEC}/{name}.py" for name in ("safe_area", "supplies", "limits_file", "samples")
    )),
    Area("wire protocol", (f"{_SPEC}/wire/*.py",)),
    Area("host: exactly once", tuple(
        f"{_HOST}/{name}.py" for name in ("session", "journaled_session", "journal", "waiting")
    )),
    Area("host: safety", tuple(
        f"{_HOST}/{name}.py"
        for name in ("guard", "safety", "formed", "cells", "programming", "batches", "commands")
    )),
    Area("host: rails", tuple(
        f"{_HOST}/{name}.py" for name in ("calibration", "calibrating", "balance", "rails")
    )),
    Area("firmware", tuple(
        f"{_SIM}/{name}.py"
        for name in (
            "interlock", "board", "sequencer", "row_pulses", "batches", "over_current",
            "register_file", "state", "state_file", "kept_values", "conditions", "supplies/*",
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
        tuple(f"{_API}/{name}.py" for name in ("idempotency", "boards", "problems", "bodies")),
        tests=("tests/api",),
    ),
)  # fmt: skip
