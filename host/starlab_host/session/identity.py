"""What a board says of itself, asked for where it is short, and checked before it is used."""

from collections.abc import Mapping
from typing import Any, Final

from starlab_host.errors import BoardMisbehaves
from starlab_host.session.numbered import NumberedSession
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.wire.transactions import Status, identify, json_object

NEEDED: Final = frozenset({"serial", "firmware", "protocol", "boot_id", "geometry", "emulated"})
"""What a board must say of itself, in the handshake or when it is asked."""
_GEOMETRY: Final = {
    f"array{array.number}": [array.inputs, array.outputs] for array in (ARRAY1, ARRAY2)
}
_TEXT_MAX: Final = 255
_SHOWN: Final = 60
"""Characters that a message shows of a value."""
_U32: Final = (1 << 32) - 1
_KINDS: Final[Mapping[str, type]] = {
    "serial": str,
    "firmware": str,
    "protocol": str,
    "boot_id": int,
    "boots": int,
    "geometry": dict,
    "emulated": bool,
    "device_model": str,
    "effects": list,
    "memory_bytes": int,
    "in_use": bool,
}
_NAMES: Final = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


def whole_identity(session: NumberedSession) -> dict[str, Any]:
    """Who a board is; it is asked, unless it told all that is needed in the handshake.

    Raises:
        BoardMisbehaves: What it says of itself cannot be.
        LinkError: As :meth:`starlab_host.Session.execute`.
    """
    identity = session.identity
    if not NEEDED <= identity.keys():
        (result,) = session.execute([identify()], read_only=True)
        if result.status == Status.OK:
            identity = json_object(result)
    check_identity(identity, whole=True, boot_id=session.boot_id)
    return identity


def check_identity(identity: Mapping[str, Any], *, whole: bool, boot_id: int | None = None) -> None:
    """Refuse an identity that no board of this chip has.

    Args:
        identity: What the board says.
        whole: Whether it must tell all that is `NEEDED`; else the serial number will do.
        boot_id: What it said before; None: nothing.

    Raises:
        BoardMisbehaves: Naming what is missing or wrong.
    """
    for name in sorted(NEEDED) if whole else ["serial"]:
        if name not in identity:
            raise BoardMisbehaves(f"its identity has no {name}")
    for name, kind in _KINDS.items():
        if name in identity and type(identity[name]) is not kind:
            raise _wrong(name, identity[name], f"is not {_NAMES[kind]}")
    for name in ("serial", "firmware", "protocol", "device_model"):
        _check_text(name, identity.get(name, "-"))
    effects = identity.get("effects", [])
    if not all(isinstance(effect, str) for effect in effects):
        raise _wrong("effects", effects, "is not a list of texts")
    for effect in effects:
        _check_text("effects", effect)
    for name in ("boot_id", "boots", "memory_bytes"):
        if not 0 <= identity.get(name, 0) <= _U32:
            raise _wrong(name, identity[name], f"is not within 0 .. {_U32}")
    if identity.get("geometry", _GEOMETRY) != _GEOMETRY:
        raise _wrong("geometry", identity["geometry"], f"is not {_GEOMETRY}, that of the chip")
    if boot_id is not None and identity.get("boot_id", boot_id) != boot_id:
        raise _wrong("boot_id", identity["boot_id"], f"is not {boot_id}, that of the session")


def _check_text(name: str, text: str) -> None:
    if not text or not text.isprintable():
        raise _wrong(name, text, "is empty or not printable")
    if len(text) > _TEXT_MAX:
        raise _wrong(name, text, f"has {len(text)} characters, above the {_TEXT_MAX} limit")


def _wrong(name: str, value: object, problem: str) -> BoardMisbehaves:
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}..."
    return BoardMisbehaves(f"{name} {shown} of its identity {problem}")
