"""The Wireshark dissector, in Lua, made from the tables of fields, registers and supplies.

Gives text; writes no file. `make docs-tables` keeps spec/starlab.lua up to date with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from starlab_spec.registers import REGISTERS
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire.dissector.logic import HEAD, LOGIC
from starlab_spec.wire.fields import HEADER, OPCODES, PAYLOADS, RESULT, TRANSACTION, WireField
from starlab_spec.wire.frames import ETHERTYPE, MAGIC, UDP_PORT, VERSION, FrameType

_INDENT: Final = "  "


def dissector() -> str:
    """The whole Lua script."""
    tables = {
        "UDP_PORT": UDP_PORT,
        "ETHERTYPE": ETHERTYPE,
        "MAGIC": MAGIC,
        "VERSION": VERSION,
        "COMMAND": int(FrameType.COMMAND),
        "REPLY": int(FrameType.REPLY),
        "HEADER": _layout(HEADER),
        "PAYLOADS": {int(kind): _layout(layout) for kind, layout in PAYLOADS.items()},
        "TRANSACTION": _layout(TRANSACTION),
        "RESULT": _layout(RESULT),
        "OPCODES": {
            int(opcode.opcode): {
                "name": opcode.opcode.name,
                "place": opcode.place.value,
                "request": _layout(opcode.request),
                "result": _layout(opcode.result),
            }
            for opcode in OPCODES
        },
        "REGISTERS": {register.address: register.name for register in REGISTERS},
        "SUPPLIES": {channel.index: channel.name for channel in SUPPLIES},
    }
    parts = [HEAD, *(f"local {name} = {_lua(value)}\n" for name, value in tables.items()), LOGIC]
    return "".join(parts)


def _layout(fields: Iterable[WireField]) -> list[dict[str, object]]:
    entries, before = [], ""
    for field in fields:
        entry: dict[str, object] = {"name": field.name, "shape": field.shape.name}
        if field.size_bytes is not None:
            entry["size"] = field.size_bytes
        elif before == f"{field.name}_length":
            entry["counted"] = True
        entry["about"] = field.meaning
        if field.named:
            entry["named"] = [[named.value, named.name, named.meaning] for named in field.named]
        entries.append(entry)
        before = field.name
    return entries


def _lua(value: object, depth: int = 0) -> str:
    """A value as a Lua literal: on one line if it fits there, else an entry a line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value < 256 else f"0x{value:X}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, Mapping):
        entries = [_key(key) + " = " + _lua(item, depth + 1) for key, item in value.items()]
    elif isinstance(value, Sequence):
        entries = [_lua(item, depth + 1) for item in value]
    else:
        raise TypeError(f"{type(value).__name__} has no literal in Lua")
    line = "{" + ", ".join(entries) + "}"
    if "\n" not in line and len(line) + len(_INDENT) * depth < 100:
        return line
    inner = _INDENT * (depth + 1)
    return "{\n" + "".join(f"{inner}{entry},\n" for entry in entries) + _INDENT * depth + "}"


def _key(key: object) -> str:
    return key if isinstance(key, str) else f"[{_lua(key)}]"
