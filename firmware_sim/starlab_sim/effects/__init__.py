"""Everything that a real board does and an ideal one does not, each to be switched on and off.

Settings alone: what they do is done by `starlab_sim.chip`, `starlab_sim.devices` and
`starlab_sim.supplies`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from starlab_sim.effects.devices import (
    CycleNoise,
    FormingStatistics,
    GateCompliance,
    ReadNoise,
    Retention,
    Spread,
    StuckCells,
    TelegraphNoise,
    Wear,
)
from starlab_sim.effects.generators import (
    ChannelErrors,
    ChannelNoise,
    CurrentLimit,
    LoadRegulation,
    Settling,
)
from starlab_sim.effects.parameters import Parameter, check, parameters, read
from starlab_sim.effects.wires import Array1Wires, Array2Wires, Wires
from starlab_sim.errors import Refused
from starlab_spec.wire.transactions import Status

__all__ = [
    "ALL",
    "EFFECTS",
    "NONE",
    "Array1Wires",
    "Array2Wires",
    "ChannelErrors",
    "ChannelNoise",
    "CurrentLimit",
    "CycleNoise",
    "Effects",
    "FormingStatistics",
    "GateCompliance",
    "LoadRegulation",
    "Parameter",
    "ReadNoise",
    "Retention",
    "Settling",
    "Spread",
    "StuckCells",
    "TelegraphNoise",
    "Wear",
    "Wires",
    "parameters",
]


@dataclass(frozen=True, slots=True)
class Effects:
    """Which effects are on, and how strong; None: off."""

    wires: Wires | None = None
    """Line resistance."""
    spread: Spread | None = None
    """Device-to-device spread."""
    cycle_noise: CycleNoise | None = None
    """Cycle-to-cycle noise."""
    stuck: StuckCells | None = None
    """Stuck cells."""
    forming: FormingStatistics | None = None
    """Forming with a yield and a voltage of each cell's own."""
    gate: GateCompliance | None = None
    """Gate voltage as compliance of SET."""
    wear: Wear | None = None
    """Endurance."""
    retention: Retention | None = None
    """Relaxation and drift."""
    read_noise: ReadNoise | None = None
    """Thermal and converter noise."""
    telegraph: TelegraphNoise | None = None
    """Random telegraph noise."""
    channel_errors: ChannelErrors | None = None
    """Gain errors and offsets of the generators."""
    settling: Settling | None = None
    """Settling of the generators."""
    channel_noise: ChannelNoise | None = None
    """Noise of the generators."""
    load_regulation: LoadRegulation | None = None
    """Sag of the generators under load."""
    current_limit: CurrentLimit | None = None
    """Current limit of the generators."""

    def __post_init__(self) -> None:
        """Refuse parameters out of bounds.

        Raises:
            LimitExceeded: Named ``effect.parameter``, in its unit.
        """
        for name in EFFECTS:
            one = getattr(self, name)
            if one is not None:
                check(name, one)

    @property
    def on(self) -> tuple[str, ...]:
        """The effects that are on, by name."""
        return tuple(name for name in EFFECTS if getattr(self, name) is not None)

    @property
    def output_ohm(self) -> float:
        """Output resistance of the generators; 0: they give the same under any load."""
        return 0.0 if self.load_regulation is None else self.load_regulation.output_ohm

    def json(self) -> dict[str, Any]:
        """As :meth:`read` takes it: the effects that are on, with all parameters."""
        return {name: asdict(getattr(self, name)) for name in self.on}

    @classmethod
    def read(cls, wanted: object) -> "Effects":
        """Effects as JSON or TOML name them.

        Args:
            wanted: "none", "all", or an object: an effect that is named is on, with the parameters
                that are given and the defaults of the others; true: all defaults; false: off.

        Raises:
            Refused: BAD_REQUEST: another form, an unknown effect or parameter, a wrong type.
            LimitExceeded: A number out of bounds.
        """
        if wanted == "none":
            return NONE
        if wanted == "all":
            return ALL
        if not isinstance(wanted, Mapping):
            raise Refused(
                Status.BAD_REQUEST, f'effects {wanted!r} are neither "none" nor "all" nor an object'
            )
        chosen: dict[str, Any] = {}
        for name, values in wanted.items():
            if name not in EFFECTS:
                raise Refused(
                    Status.BAD_REQUEST, f"unknown effect {name}; known: {', '.join(EFFECTS)}"
                )
            if values is not False:
                chosen[name] = read(name, EFFECTS[name], values)
        return cls(**chosen)

    @classmethod
    def load(cls, path: Path) -> "Effects":
        """Effects of a TOML file: a table an effect.

        Raises:
            OSError: The file cannot be read.
            tomllib.TOMLDecodeError: It is no TOML.
            Refused, LimitExceeded: As of :meth:`read`.
        """
        return cls.read(tomllib.loads(path.read_text(encoding="utf-8")))


def _effects() -> dict[str, Any]:
    hints = get_type_hints(Effects)
    return {one.name: get_args(hints[one.name])[0] for one in fields(Effects)}


EFFECTS: Final[Mapping[str, Any]] = _effects()
"""The settings of each effect, by its name."""
NONE: Final = Effects()
"""An ideal board."""
ALL: Final = Effects(**{name: settings() for name, settings in EFFECTS.items()})
"""All effects, with their defaults."""
