"""Right requests for every call of the API, and what becomes of them in hostile hands.

Each leaf and each key of each body is replaced in turn, each parameter of a query, each part of a
path, and some headers. Nothing of it may be a failure of the server.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import numpy as np
from tests.api.numpy_bodies import NPY, NPZ, npy, npz

JSON = {"content-type": "application/json"}
BOARD = "/api/v1/boards/{board_id}"


@dataclass(frozen=True)
class Right:
    """A request that is answered as it wishes."""

    method: str
    template: str
    """Path, as the OpenAPI document has it."""
    body: Any = None
    """JSON, or arrays by name."""
    query: Mapping[str, str] = field(default_factory=dict)
    media: str = "json"
    """"json", "npy", "npz" or "file"; the last is as it is."""
    path: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    """How it is answered."""


@dataclass(frozen=True)
class Request:
    """What is sent."""

    about: str
    method: str
    url: str
    content: bytes | None
    headers: Mapping[str, str]


class Raw(str):
    """A text of JSON that no value stands for."""


BITS = [[1, 0] * 392]
MASK = np.zeros((2, 100, 10), np.uint8)
MASK[0, 3, 4] = 1
ARRAY2 = {"array": "2"}
PULSE = {"kind": "set", "count": 1, "width_ns": 100}
SETTINGS = {"th": 30, "th1_uS": 0.5, "c1": 0.25, "c1_relative": True, "scheme": "cyclic"}
HOW = {"tolerance_uS": "0.5", "max_pulses": "3", "method": "open-loop", "scale_uS": "1"}
DEVICE = {
    "name": "mine",
    "set": {"mean_uS": [0.5, 0.1], "std_uS": [0, 0]},
    "reset": {"mean_uS": [0.1, 0.5], "std_uS": [0, 0]},
}
FAULTS = {"latches": [], "network": {"loss": 0, "delay_s": 0, "seed": 1}, "stall_s": 0}

RIGHT = (
    Right("POST", "/api/v1/boards/discover", {"addresses": ["udp://127.0.0.1"], "wait_s": 0.01}),
    Right("PUT", f"{BOARD}/registers/{{address}}", {"value": 3, "mask": 7}),
    Right("PATCH", f"{BOARD}/settings", {**SETTINGS, "target_on": 3, "output_activation": "relu"}),
    Right("PATCH", f"{BOARD}/supplies", {"VBLset": {"mv": 2209}, "Iref_integ": {"ua": 10}}),
    Right("POST", f"{BOARD}/supplies/balance", {"readings": 1}),
    Right("POST", f"{BOARD}/calibration", {"points": 3, "readings": 2}),
    Right("DELETE", f"{BOARD}/calibration"),
    Right("POST", f"{BOARD}/emergency-stop"),
    Right("DELETE", f"{BOARD}/emergency-stop"),
    Right("POST", f"{BOARD}/emulator", {"advance_s": 1, "faults": FAULTS, "restart": True}),
    Right("POST", f"{BOARD}/emulator", {"seed": 1, "virgin": False, "device_model": DEVICE}),
    Right("POST", f"{BOARD}/emulator", {"faults": [], "effects": {"read_noise": True}}),
    Right("POST", f"{BOARD}/arrays/{{array}}/form", {"rows": [0, 2], "columns": "0:3,5"}),
    Right("POST", f"{BOARD}/arrays/{{array}}/level", {"tolerance_codes": 10, "readings": 8}),
    Right(
        "POST",
        f"{BOARD}/arrays/{{array}}/pulse",
        {**PULSE, "rows": [0, 2], "columns": "0:3,5", "polarity": "+"},
    ),
    Right("POST", f"{BOARD}/arrays/{{array}}/pulse", {**PULSE, "mask": MASK.tolist()}, path=ARRAY2),
    Right(
        "POST",
        f"{BOARD}/arrays/{{array}}/pulse",
        {"mask": MASK},
        {name: str(value) for name, value in PULSE.items()},
        "npy",
        ARRAY2,
    ),
    Right(
        "POST",
        f"{BOARD}/arrays/{{array}}/program",
        {"weights": np.zeros((100, 10)).tolist(), "tolerance_uS": 9.5, "max_pulses": 2},
        path=ARRAY2,
    ),
    Right(
        "POST",
        f"{BOARD}/arrays/{{array}}/program",
        {"conductance_uS": np.full((2, 100, 10), 11.0)},
        HOW,
        "npz",
        ARRAY2,
    ),
    Right("POST", f"{BOARD}/arrays/{{array}}/vmm", {"inputs": BITS}),
    Right("POST", f"{BOARD}/arrays/{{array}}/vmm", {"inputs": np.ones((1, 784))}, {}, "npy"),
    Right("POST", f"{BOARD}/infer", {"inputs": BITS, "hidden": True}),
    Right("POST", f"{BOARD}/infer", {"inputs": np.ones((1, 784))}, {"hidden": "true"}, "npz"),
    Right(
        "POST",
        f"{BOARD}/train-step",
        {"inputs": BITS, "labels": [3], "layers": [1, 2], "settings": SETTINGS},
    ),
    Right(
        "POST",
        f"{BOARD}/train-step",
        {"inputs": np.ones((1, 784)), "targets": np.zeros((1, 10)), "th": np.array(30)},
        {"layers": "1,2", "c1": "0.25", "scheme": "cyclic"},
        "npz",
    ),
    Right("POST", f"{BOARD}/snapshots", {"name": "n", "kind": "read", "memory": False}, status=201),
    Right("POST", f"{BOARD}/snapshots/file", b"none", {"name": "n"}, "file", status=422),
    Right("POST", f"{BOARD}/snapshots/{{sid}}/restore", {"tolerance_uS": 0.3, "max_pulses": 2000}),
    Right("DELETE", f"{BOARD}/snapshots/{{sid}}"),
    Right("DELETE", f"{BOARD}/in-doubt", query={"entry": "1"}, status=422),
    Right("GET", "/api/v1/boards"),
    Right("GET", BOARD),
    Right("GET", f"{BOARD}/arrays/{{array}}/conductance", query={"rows": "0:2", "columns": "3"}),
    Right("GET", f"{BOARD}/journal", query={"newest": "3"}),
    Right("GET", f"{BOARD}/registers/{{address}}"),
    Right("GET", f"{BOARD}/snapshots/{{sid}}/file"),
    Right("GET", f"{BOARD}/snapshots/{{sid}}"),
)
"""Of GET, those that take something."""

LASTING = ("loss", "delay_s", "stall_s", "restart_after_pulses")
"""What is right of them would be felt by all that follows."""
DEEP = "[" * 500 + "]" * 500
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 5e-324, 1 << 31, 1 << 63, 1 << 64, -(1 << 70),
    "", " ", "x", "1", "1_0", "\u0663", "\0", "a\u202eb", "\U0001f600", "x" * 20_000, "true", "nan",
    "../../etc", "0:784,0:784", "1e400", [], {}, [None], [[]], [{}], {"": 0}, {"x": {"x": None}},
    [[1], [1, 2]], [0] * 2000, ["\0"] * 30,
    Raw("NaN"), Raw("-Infinity"), Raw("1e400"), Raw("-1e-400"), Raw("-0"), Raw("9" * 400),
    Raw("-" + "9" * 400), Raw("9" * 5000), Raw("0." + "3" * 5000), Raw("1e99999999999999999999"),
    Raw('"\\ud800"'), Raw('"x\\udfff"'), Raw('["\\ud800"]'), Raw('{"\\ud800": 1}'), Raw(DEEP),
    Raw('{"a": 1, "a": 2}'), Raw("{'a': 1}"), Raw("01"), Raw("\ufeff1"), Raw("\u0663"), Raw("nul"),
)  # fmt: skip
TEXTS = (
    "", " ", "x", "-1", "0", "1", "1.5", "1e400", "-0", "nan", "inf", "null", "true", "1_0", "+1",
    "0x1", "0x" + "f" * 400, "9" * 19, "9" * 20, "9" * 400, "9" * 5000, "\u0663", "\0", "a\nb", "é",
    "{}", "[]", "[1]", "1,1", "0:784,0:784", ":", ",", "../x", "x" * 5000, "\U0001f600",
)  # fmt: skip
ENCODED = ("%00", "%ff", "%ed%a0%80", "%2e%2e%2f", "%", "%zz", "%25", "a%0ab")
"""Texts that cannot be written otherwise."""
KEYS = (Raw('"\\ud800"'), "", "x" * 20_000, "\0", "__class__", "x.y", "\U0001f600")
BODIES: tuple[Callable[[bytes], bytes], ...] = (
    lambda right: b"",
    lambda right: b" ",
    lambda right: b"null",
    lambda right: b"[]",
    lambda right: b"[" + right + b"]",
    lambda right: b'"x"',
    lambda right: b"1",
    lambda right: right[:-1],
    lambda right: right + right,
    lambda right: b"\xef\xbb\xbf" + right,
    lambda right: right.decode().encode("utf-16"),
    lambda right: right.decode().encode("utf-32-be"),
    lambda right: right.replace(b'"', b'"\xff', 1),
    lambda right: right.replace(b'"', b'"\xed\xa0\x80', 1),
    lambda right: b"\0" + right,
    lambda right: b"[" * 100_000,
    lambda right: b'{"a":' * 20_000,
    lambda right: DEEP.encode(),
)
HEADERS: tuple[tuple[str, str], ...] = (
    *(("idempotency-key", text) for text in ("", " ", "\xff\xfe", "k" * 5000, "\x01", "{}", "a,b")),
    *(("accept", text) for text in ("", ",", "*/*;q=nan", "*/*;q=1e400", "x;q=", "\xe9", "*;q=-1")),
    *(("content-type", text) for text in ("", "application/json; charset=utf-16", "\xff", "x/")),
    *(("content-length", text) for text in ("\xb2", "-1", "9" * 400, "x")),
)  # fmt: skip
ARRAYS: tuple[Any, ...] = (
    np.array(np.nan), np.array("x"), np.array("\ud800"), np.array([["x"]]), np.zeros(0),
    np.zeros((0, 784)), np.zeros((0, 0, 0)), np.full((1, 784), np.nan), np.full((1, 784), np.inf),
    np.full((1, 784), 2), np.full((1, 784), -0.0), np.zeros((1, 784), ">f8"), np.array(1 << 63),
    np.full((2, 100, 10), np.nan), np.full((100, 10), 1e308), np.full((100, 10), 1e300, "f16"),
    np.full((2, 100, 10), np.iinfo("u8").max), np.ones(784, "f2"), np.zeros((1, 98), np.uint8),
    np.zeros((1,) * 32), np.array(True), np.zeros((1, 10), "i1"), np.full((1, 10), 2**40),
)  # fmt: skip


def dump(value: Any) -> bytes:
    """JSON of a value, raw texts in it as they are."""
    if isinstance(value, Raw):
        text = str(value)
    elif isinstance(value, dict):
        items = (f"{dump(k).decode()}: {dump(v).decode()}" for k, v in value.items())
        text = f"{{{', '.join(items)}}}"
    elif isinstance(value, list):
        text = f"[{', '.join(dump(item).decode() for item in value)}]"
    else:
        text = json.dumps(value)
    return text.encode()


def changed(value: Any) -> Iterator[tuple[str, Any]]:
    """A value with one of its leaves, lists or keys replaced, in all ways."""
    for hostile in VALUES:
        yield f"={dump(hostile)[:40].decode()}", hostile
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in LASTING:
                continue
            rest = {key: other for key, other in value.items() if key != name}
            yield f".{name} left out", rest
            yield f".{name} twice", {**value, Raw(json.dumps(name)): inner}
            for key in KEYS:
                yield f".{name} as {key[:10]!r}", {**rest, key: inner}
            for about, other in changed(inner):
                yield f".{name}{about}", {**value, name: other}
    if isinstance(value, list) and value:
        for about, other in changed(value[0]) if len(value) < 50 else [("=text", "x")]:
            yield f"[0]{about}", [other, *value[1:]]


def url_of(right: Right, path: Mapping[str, str], query: str | None = None) -> str:
    """Where a request goes."""
    where = right.template.format(**{**path, **right.path})
    if query is None:
        query = "&".join(f"{name}={quote(text)}" for name, text in right.query.items())
    return f"{where}?{query}" if query else where


def content_of(right: Right) -> tuple[bytes | None, Mapping[str, str]]:
    """Body and headers of a request."""
    if right.body is None:
        return None, {}
    if right.media == "json":
        return dump(right.body), JSON
    if right.media == "npy":
        return npy(next(iter(right.body.values()))), NPY
    if right.media == "npz":
        return npz(**right.body), NPZ
    return right.body, {"content-type": "application/x-starlab-snapshot"}


def mutations(right: Right, path: Mapping[str, str]) -> Iterator[Request]:
    """All that becomes of a right request.

    Args:
        right: The request.
        path: What its path names, by the names of the template.
    """
    content, headers = content_of(right)
    name = f"{right.method} {right.template.removeprefix(BOARD)} {right.media}"

    def request(about: str, url: str | None = None, **others: Any) -> Request:
        right_one = Request(
            f"{name} {about}", right.method, url or url_of(right, path), content, headers
        )
        return replace(right_one, **others)

    for where in path:
        for text in (*map(quote, TEXTS), *ENCODED):
            if f"{{{where}}}" in right.template and text not in ("", "../x"):
                bad = replace(right, path={**right.path, where: text})
                yield request(f"{{{where}}}={text[:40]}", url_of(bad, path))
    for parameter in (*right.query, "settings", "rows", "x" * 3000):
        for text in (*map(quote, TEXTS), *ENCODED):
            rest = "&".join(f"{k}={quote(v)}" for k, v in right.query.items() if k != parameter)
            query = f"{rest}&{parameter}={text}"
            yield request(f"?{parameter[:9]}={text[:40]}", url_of(right, path, query))
        twice = f"{parameter}=1&{parameter}=2&{parameter}"
        yield request(f"?{parameter[:9]} twice", url_of(right, path, twice))
    for header, text in HEADERS:
        given = {**headers, header: text}
        yield request(f"{header}: {text[:20]!r}", headers=given)
    if content is None:
        yield request("a body", content=b"{}", headers=JSON)
        return
    for number, body in enumerate(BODIES):
        if right.media == "json":
            yield request(f"body {number}", content=body(content))
        yield request(f"body {number} as npz", content=body(b'"x"'), headers=NPZ)
        yield request(f"body {number} as npy", content=body(b'"x"'), headers=NPY)
    if right.media == "json":
        for about, value in changed(right.body):
            yield request(f"body{about}", content=dump(value))
    if right.media in ("npy", "npz"):
        yield from _arrays(right, request)


def _arrays(right: Right, request: Callable[..., Request]) -> Iterator[Request]:
    for number, array in enumerate(ARRAYS):
        if right.media == "npy":
            yield request(f"array {number}", content=npy(array))
            continue
        for name in (*right.body, *right.query, "x", "settings", "../x", ""):
            stream = io.BytesIO()
            np.savez_compressed(stream, allow_pickle=False, **{**right.body, name: array})
            yield request(f"{name} as array {number}", content=stream.getvalue())
