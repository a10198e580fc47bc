"""Writes what is generated from the product's own tables. States no fact itself.

`python -m docs.tables` writes the tables docs/registers.md, docs/supplies.md, docs/limits.md,
docs/energy.md, docs/effects.md, docs/protocol-frames.md, docs/protocol-states.md and the dissector
spec/starlab.lua; with `--check` it writes nothing, and exits with 1 if one of them is out of date.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from docs.words import (
    EFFECTS_HEAD,
    EMULATED_WORDS,
    ENERGY_HEAD,
    LIMITS_HEAD,
    PROTOCOL_HEAD,
    PUBLISHED_WORDS,
    REGISTERS_HEAD,
    STATES_HEAD,
    SUPPLIES_HEAD,
    SUPPLIES_TAIL,
)

from starlab.energy_report import ASSUMPTIONS
from starlab_sim.chip import CONSTANTS
from starlab_sim.devices import SoftBounds
from starlab_sim.effects import EFFECTS, parameters
from starlab_spec.operations import PulseKind
from starlab_spec.registers import REGISTERS, Access, Field, Register
from starlab_spec.safe_area import DRIVING_RAIL, SafeArea
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire.dissector.dissector import dissector
from starlab_spec.wire.fields import (
    EVENT_KINDS,
    FEATURES,
    FLAGS,
    HEADER,
    OPCODES,
    PAYLOADS,
    RESULT,
    SEQUENCED,
    STATES,
    STATUSES,
    TRANSACTION,
    TYPES,
    Named,
    Shape,
    WireField,
)
from starlab_spec.wire.frames import FrameType
from starlab_spec.wire.requester.events import MOVES, RequesterState
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.responder.board_session import BoardSession
from starlab_spec.wire.responder.responder import Responder
from starlab_spec.wire.responder.standing import MEANINGS

ROOT = Path(__file__).parents[1]


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    titles = list(titles)
    yield ""
    yield "| " + " | ".join(titles) + " |"
    yield "|" + "---|" * len(titles)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def field_text(field: Field) -> str:
    """Bits, name and meaning of a field."""
    bits = str(field.high) if field.width == 1 else f"{field.high}:{field.low}"
    sign = " (signed)" if field.signed else ""
    return f"{bits} `{field.name}` {field.doc}{sign}"


def register_row(register: Register) -> tuple[str, ...]:
    """One register as a row; its fields in one cell, a line each."""
    access = "read" if register.access is Access.READ_ONLY else "read, write"
    fields = "<br>".join(field_text(field) for field in register.fields)
    reset = f"`{register.reset:08X}`"
    return f"`0x{register.address:03X}`", f"`{register.name}`", access, reset, fields


def registers_page() -> str:
    """Contents of docs/registers.md."""
    titles = ("address", "register", "access", "reset", "bits, field, meaning")
    lines = [REGISTERS_HEAD.rstrip()]
    for heading, published in (("Published block", True), ("Extension block", False)):
        rows = (register_row(r) for r in REGISTERS if r.published is published)
        lines += ["", f"## {heading}", *table(titles, rows)]
    return "\n".join(lines) + "\n"


def supplies_page() -> str:
    """Contents of docs/supplies.md."""
    titles = ("index", "name", "chip select, register", "default", "code", "at that code", "safe")
    rows = (
        (
            str(channel.index),
            f"`{channel.name}`",
            f"{channel.chip_select}, {channel.register}",
            f"{channel.default:g} {channel.unit}",
            str(channel.default_code),
            f"{channel.nominal:.2f} {channel.unit}",
            f"{channel.low:g} .. {channel.high:g} {channel.unit}",
        )
        for channel in SUPPLIES
    )
    return "\n".join([SUPPLIES_HEAD.rstrip(), *table(titles, rows), "", SUPPLIES_TAIL])


def parameter_rows(settings: Any) -> Iterator[tuple[str, ...]]:
    """The parameters of an effect, one a row."""
    defaults = flat(asdict(settings()))
    for name, known in parameters(settings).items():
        bounds = ", ".join(known.choices) or f"{known.low:g} .. {known.high:g}"
        default = defaults[name]
        shown = default if isinstance(default, str) else f"{default:g}"
        yield f"`{name}`", known.doc, known.unit, shown, bounds, known.source


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values within values, by the names of both."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def effects_page() -> str:
    """Contents of docs/effects.md."""
    titles = ("parameter", "meaning", "unit", "default", "bounds", "source")
    lines = [EFFECTS_HEAD.rstrip()]
    for name, settings in EFFECTS.items():
        about = (settings.__doc__ or "").strip().split("\n")
        text = " ".join(line.strip() for line in about if line)
        lines += ["", f"## {name}", "", text, *table(titles, parameter_rows(settings))]
    about = (
        "No effect, but a device model (see [devices](devices.md)): its parameters, as"
        " `soft_bounds` of a model of the user's own takes them."
    )
    lines += ["", "## soft_bounds", "", about, *table(titles, parameter_rows(SoftBounds))]
    return "\n".join(lines) + "\n"


def energy_page() -> str:
    """Contents of docs/energy.md."""
    constants = (
        (f"`{name}`", f"{constant.value:g} {constant.unit}", constant.source, constant.enters)
        for name, constant in CONSTANTS.items()
    )
    assumptions = (
        (f"`{name}`", f"{assumption.value:.4g} {assumption.unit}", assumption.source)
        for name, assumption in ASSUMPTIONS.items()
    )
    lines = [
        ENERGY_HEAD.rstrip(),
        *("", "## What the emulated chip counts", "", EMULATED_WORDS.rstrip()),
        *table(("constant", "value", "source", "enters"), constants),
        *("", "## The published method", "", PUBLISHED_WORDS.rstrip()),
        *table(("name", "value", "source"), assumptions),
    ]
    return "\n".join(lines) + "\n"


def limits_page() -> str:
    """Contents of docs/limits.md."""
    area = SafeArea.shipped()
    titles = (
        *("array", "pulse", "rail", "width", "pulses of an operation on a cell"),
        *("energy of a pulse at 20 uS", "current of a cell", "of a row and polarity"),
    )
    rows = (
        (
            str(array),
            kind.name,
            f"`{DRIVING_RAIL[kind]}`",
            f"{limits.width_ns} ns",
            str(limits.pulses),
            f"{limits.energy_pj:g} pJ",
            f"{limits.cell_ua:g} uA",
            f"{limits.row_ma:g} mA",
        )
        for (array, kind), limits in area.pulses.items()
    )
    lines = [LIMITS_HEAD.rstrip(), *table(titles, rows), ""]
    for array, rate in area.rates.items():
        lines.append(
            f"Pulses of any kind on a cell of array {array} within any {rate.window_s:g} s of "
            f"emulated time: {rate.pulses}."
        )
    level, margin = area.forming_level_mv, area.trip_margin
    kinds = " and ".join(k.name for k in PulseKind if k is not PulseKind.FORM)
    lines += [
        "",
        f"From {level:g} mV on a pulse counts as forming; {kinds} must stay below it. A voltage",
        f"that is really {margin:.0%} above its safe range trips the over-voltage fault.",
    ]
    return "\n".join(lines) + "\n"


def layout_table(fields: Iterable[WireField]) -> Iterator[str]:
    """The fields of a header or payload, one a row."""
    rows, offset, before = [], 0, ""
    for field in fields:
        size = "rest"
        if field.size_bytes is not None:
            size = str(field.size_bytes)
        elif before == f"{field.name}_length":
            size = f"`{before}`"
        name = "-" if field.shape is Shape.ZERO else f"`{field.name}`"
        rows.append((str(offset), size, name, field.meaning))
        offset += field.size_bytes or 0
        before = field.name
    return table(("offset", "bytes", "field", "meaning"), rows)


def named_table(title: str, named: Iterable[Named], *, bits: bool = False) -> Iterator[str]:
    """Named values or, by their numbers, bits."""
    rows = (
        (str(n.value.bit_length() - 1 if bits else n.value), f"`{n.name}`", n.meaning)
        for n in named
    )
    return table((title, "name", "meaning"), rows)


def data_text(fields: Iterable[WireField]) -> str:
    """The data of a transaction or result in a cell."""
    texts = []
    for field in fields:
        size = "" if field.size_bytes is None else f" u{8 * field.size_bytes}"
        bits = "".join(f", bit {n.value.bit_length() - 1} `{n.name}`" for n in field.named)
        # the operations have their own register
        texts.append(f"`{field.name}`{size}{bits if len(field.named) < 3 else ''}: {field.meaning}")
    return "<br>".join(texts) or "-"


def protocol_page() -> str:
    """Contents of docs/protocol-frames.md."""
    types = (
        (str(kind.value), f"`{kind.name}`", "yes" if kind.value in SEQUENCED else "", kind.meaning)
        for kind in TYPES
    )
    opcodes = (
        (
            f"`0x{opcode.opcode:02X}`",
            f"`{opcode.opcode.name}`",
            opcode.place.value,
            data_text(opcode.request),
            data_text(opcode.result),
            opcode.meaning,
        )
        for opcode in OPCODES
    )
    lines = [
        PROTOCOL_HEAD.rstrip(),
        *("", "## Header", *layout_table(HEADER)),
        *("", "## Types", *table(("type", "name", "counted", "meaning"), types), ""),
        "Sequence numbers count the frames marked so; the others carry the next unused number.",
        *("", "## Flags", *named_table("bit", FLAGS, bits=True)),
        *("", "## Payloads"),
    ]
    for kind, layout in PAYLOADS.items():
        lines += ["", f"### {kind.name}", *layout_table(layout)]
    lines += [
        *("", "## Features", *named_table("bit", FEATURES, bits=True)),
        *("", "## States of the board", *named_table("state", STATES)),
        *("", "## Kinds of EVENT", *named_table("kind", EVENT_KINDS)),
        *("", "## Transactions: payload of COMMAND", *layout_table(TRANSACTION), ""),
        "Then the data, padded with zeros to a multiple of 4.",
        *("", "## Results: payload of REPLY", *layout_table(RESULT), ""),
        "Then the data, padded likewise; if the status is not OK, a message in UTF-8.",
        *("", "## Opcodes"),
        *table(("opcode", "name", "address", "data", "result data", "meaning"), opcodes),
        *("", "## Statuses", *named_table("status", STATUSES)),
    ]
    return "\n".join(lines) + "\n"


def meaning_of(action: Callable[..., None]) -> str:
    """The first sentence that an action says about itself."""
    return (action.__doc__ or "").partition("\n")[0]


def session_chart() -> Iterator[str]:
    """The host's session as a Mermaid diagram."""
    yield from ("", "```mermaid", "stateDiagram-v2")
    for state in RequesterState:
        yield f'    state "{state.name} ({state.value})" as {state.name}'
    yield f"    [*] --> {RequesterState.OPENING.name}"
    for state, moves in MOVES.items():
        for cause, target in moves.items():
            yield f"    {state.name} --> {target.name}: {cause.value}"
    yield from (f"    {RequesterState.CLOSED.name} --> [*]", "```")


def frames_table(title: str, actions: Mapping[int, Callable[..., None]]) -> Iterator[str]:
    """What is done with each type of frame that is taken in."""
    rows = ((f"`{FrameType(kind).name}`", meaning_of(action)) for kind, action in actions.items())
    return table((title, "what happens"), rows)


def states_page() -> str:
    """Contents of docs/protocol-states.md."""
    standings = (
        (f"`{standing.name}`", MEANINGS[standing], meaning_of(action))
        for standing, action in BoardSession.ACTIONS.items()
    )
    lines = [STATES_HEAD.rstrip(), *("", "## A session, seen from the host"), *session_chart()]
    for state, handlers in Requester.HANDLERS.items():
        if handlers:
            lines += ["", f"### {state.name}", *frames_table("frame", handlers)]
    lines += [
        *("", "All other frames are dropped and counted. Any frame of the session with another"),
        "boot id means that the board restarted.",
        *("", "## A board"),
        *frames_table("frame of its session", Responder.IN_SESSION),
        *frames_table("frame of no session", Responder.OUTSIDE),
        *("", "All other frames of its session are dropped and counted; frames of other sessions"),
        "are answered by NAK, at a limited rate.",
        *("", "## A command at the board"),
        *table(("standing", "where its message id stands", "what the board does"), standings),
        *(
            "",
            "A known message id with another request is answered ID_REUSED and ends the session;",
        ),
        "an ABORT stops what executes as soon as it is here, and keeps its place in the order.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the files, or with ``--check`` say which are out of date."""
    files = {
        "docs/registers.md": registers_page(),
        "docs/supplies.md": supplies_page(),
        "docs/limits.md": limits_page(),
        "docs/effects.md": effects_page(),
        "docs/energy.md": energy_page(),
        "docs/protocol-frames.md": protocol_page(),
        "docs/protocol-states.md": states_page(),
        "spec/starlab.lua": dissector(),
    }
    stale = [name for name, text in files.items() if not _holds(ROOT / name, text)]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"{name} is out of date: run `make docs-tables`", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(files[name], encoding="utf-8")
        print(f"wrote {name}")
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
