"""Vectors of whole messages: transactions, results, and fragments put together."""

from collections.abc import Iterable, Iterator
from typing import Any

from tests.contract.vectors import wire_bytes as wb
from tests.contract.vectors.frames import SESSION, Vector

REQUESTS = (
    ("READ_REG", 0, 0x2C, wb.words(3)),
    ("READ_REG", 1, 0x38, wb.words(2)),
    ("WRITE_REG", 0, 0x14, wb.words(0x0000FFFF, 1, 2, 3)),
    ("READ_MEM", 0, 0x1000, wb.words(98)),
    ("WRITE_MEM", 0, 0x1000, b"five!"),
    ("GET_SUPPLY", 0, 6, b""),
    ("SET_SUPPLY", 0, 6, wb.words(80)),
    ("START", 0, 0, wb.words(1 << 18)),
    ("ABORT", 0, 0, b""),
    ("IDENTIFY", 0, 0, b""),
    ("EMULATOR", 0, 0, b'{"advance_s":3600}'),
)
RESULTS = (
    ("READ_REG", 0x2C, wb.words(1, 2, 3)),
    ("WRITE_REG", 0x14, b""),
    ("READ_MEM", 0x1000, bytes(range(98))),
    ("WRITE_MEM", 0x1000, b""),
    ("GET_SUPPLY", 6, wb.words(80, 1_245_000, 1)),
    ("SET_SUPPLY", 6, wb.words(80, 1_245_000, 0)),
    ("START", 0, wb.words(16, 40)),
    ("ABORT", 0, b""),
    ("IDENTIFY", 0, b'{"serial":"VECTOR-1"}'),
    ("EMULATOR", 0, b'{"emulated_time_s":3600.0}'),
)


def command_vectors() -> list[Vector]:
    """COMMAND payloads with their transactions, and what is none."""
    singles = [
        _command(f"{name}, flags {flags}, {len(data)} bytes of data", (name, flags, address, data))
        for name, flags, address, data in REQUESTS
    ]
    return [
        *singles,
        _command("all opcodes in one command", *REQUESTS),
        *_unreadable("transaction"),
    ]


def reply_vectors() -> list[Vector]:
    """REPLY payloads with their results, and what is none."""
    singles = [_reply(f"{name}, OK", (name, 0, address, data)) for name, address, data in RESULTS]
    failures = [
        _reply(f"START, {name}", ("START", number, 0, f"why: {name}".encode()))
        for number, name in enumerate(wb.STATUSES)
        if number
    ]
    stopped = _reply(
        "a reply that stops at the first failure",
        ("SET_SUPPLY", 0, 6, wb.words(80, 1_245_000, 1)),
        ("SET_SUPPLY", 9, 7, b"VSLreset 3300 mV is above the 2600 mV limit"),
    )
    return [*singles, *failures, stopped, *_unreadable("result")]


def fragment_vectors() -> list[Vector]:
    """Frames of one message in the order of arrival, and the message that they make."""
    content = bytes(n * n & 0xFF for n in range(290))
    whole = wb.item(wb.OPCODES["WRITE_MEM"], address=0x2000, data=content)
    parts = [whole[at : at + 128] for at in range(0, len(whole), 128)]
    count = len(parts)

    def arrives(*order: int) -> list[str]:
        return [
            wb.frame(
                "COMMAND",
                parts[index],
                flags=wb.LAST if index == count - 1 else 0,
                sequence=index,
                message=1,
                fragment=index,
                fragments=count,
                **SESSION,
            ).hex()
            for index in order
        ]

    stray = wb.frame("COMMAND", b"x", message=1, fragment=3, fragments=3, **SESSION).hex()
    other = wb.frame("COMMAND", b"x", message=1, fragment=1, fragments=4, **SESSION).hex()
    return [
        {"name": "in order", "datagrams": arrives(0, 1, 2), "message": whole.hex()},
        {"name": "backwards", "datagrams": arrives(2, 1, 0), "message": whole.hex()},
        {"name": "one twice", "datagrams": arrives(0, 0, 2, 1), "message": whole.hex()},
        {"name": "one missing", "datagrams": arrives(0, 2, 2), "message": None},
        {
            "name": "a fragment beyond the count is no part of it",
            "datagrams": [*arrives(0), stray, *arrives(1, 2)],
            "message": whole.hex(),
        },
        {
            "name": "a fragment of another count is no part of it",
            "datagrams": [*arrives(0), other, *arrives(1, 2)],
            "message": whole.hex(),
        },
    ]


def _payload(items: Iterable[tuple[str, int, int, bytes]]) -> str:
    return b"".join(
        wb.item(wb.OPCODES[opcode], second, address, data)
        for opcode, second, address, data in items
    ).hex()


def _command(name: str, *items: tuple[str, int, int, bytes]) -> Vector:
    return {
        "name": name,
        "payload": _payload(items),
        "transactions": [
            {"opcode": op, "flags": flags, "address": address, "data": data.hex()}
            for op, flags, address, data in items
        ],
    }


def _reply(name: str, *items: tuple[str, int, int, bytes]) -> Vector:
    return {
        "name": name,
        "payload": _payload(items),
        "results": [
            {"opcode": op, "status": wb.STATUSES[number], "address": address, "data": data.hex()}
            for op, number, address, data in items
        ],
    }


def _unreadable(what: str) -> Iterator[dict[str, Any]]:
    one = wb.item(0x11, 0, 0x1000, b"12345")
    for name, payload in (
        ("nothing at all", b""),
        (f"a {what} without its address", one[:8]),
        ("data cut off", one[:16]),
        ("padding cut off", one[:-1]),
        (f"a second {what} cut off", one + one[:4]),
        ("a length beyond the message", one[:4] + wb.words(0xFFFFFFFF) + one[8:]),
        ("the reserved field used", one[:2] + b"\0\1" + one[4:]),
    ):
        yield {"name": name, "payload": payload.hex(), f"{what}s": None}
