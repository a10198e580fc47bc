"""What the REST API can, the SDK and the command line can: one table, held to the document."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2
import numpy as np
import pytest
from typer.testing import CliRunner

from starlab import AsyncBoard, AsyncClient, AsyncSnapshots, Board, Client, Snapshots
from starlab.aio import AsyncArray
from starlab.board import Array
from starlab.cli.app import app

DOCUMENT: Final = json.loads((Path(__file__).parent / "openapi.json").read_text("utf-8"))
BOARD: Final = "/api/v1/boards/{board_id}"
CELLS: Final = ["--rows", "0", "--columns", "0", "--polarity", "+"]

CLIENTS: Final[dict[str, tuple[str, list[str]]]] = {
    "GET /healthz": ("Client.health", ["status"]),
    "GET /readyz": ("Client.readiness", ["status"]),
    "GET /api/v1/boards": ("Client.boards", ["boards"]),
    "POST /api/v1/boards/discover": ("Client.discover", ["boards", "--discover"]),
    f"GET {BOARD}": ("Board.info", ["boards", "emu0"]),
    f"GET {BOARD}/supplies": ("Board.supplies", ["supplies"]),
    f"PATCH {BOARD}/supplies": ("Board.set_supplies", ["supplies", "VBLset=2000mV"]),
    f"POST {BOARD}/supplies/balance": ("Board.balance", ["supplies", "--balance"]),
    f"POST {BOARD}/calibration": ("Board.calibrate", ["supplies", "--calibrate"]),
    f"GET {BOARD}/calibration": ("Board.calibration", ["calibration"]),
    f"DELETE {BOARD}/calibration": ("Board.remove_calibration", ["supplies", "--uncalibrate"]),
    f"GET {BOARD}/settings": ("Board.settings", ["settings"]),
    f"PATCH {BOARD}/settings": ("Board.change_settings", ["settings", "th=4"]),
    f"GET {BOARD}/limits": ("Board.limits", ["limits"]),
    f"GET {BOARD}/counters": ("Board.counters", ["counters"]),
    f"GET {BOARD}/registers/{{address}}": ("Board.read_register", ["registers", "0x4"]),
    f"PUT {BOARD}/registers/{{address}}": ("Board.write_register", ["registers", "0x4=1"]),
    f"POST {BOARD}/emergency-stop": ("Board.emergency_stop", ["stop", "emu0"]),
    f"DELETE {BOARD}/emergency-stop": ("Board.clear_emergency_stop", ["clear", "emu0"]),
    f"GET {BOARD}/in-doubt": ("Board.in_doubt", ["in-doubt"]),
    f"DELETE {BOARD}/in-doubt": ("Board.acknowledge", ["acknowledge", "--all"]),
    f"GET {BOARD}/journal": ("Board.journal", ["journal"]),
    f"POST {BOARD}/emulator": ("Board.emulator", ["advance", "1"]),
    f"POST {BOARD}/arrays/{{array}}/form": ("Array.form", ["form", "1"]),
    f"POST {BOARD}/arrays/{{array}}/level": ("Array.level", ["level"]),
    f"POST {BOARD}/arrays/{{array}}/pulse": ("Array.pulse", ["pulse", "1", "set", *CELLS]),
    f"POST {BOARD}/arrays/{{array}}/program": ("Array.program", ["program", "--weights", "W"]),
    f"GET {BOARD}/arrays/{{array}}/conductance": ("Array.conductance_uS", ["read", "1"]),
    f"POST {BOARD}/arrays/{{array}}/vmm": ("Array.vmm", ["vmm", "1"]),
    f"POST {BOARD}/infer": ("Board.infer", ["infer"]),
    f"POST {BOARD}/train-step": (
        "Board.train_step",
        ["train", "--as-it-is", "--limit", "1"],
    ),
    f"GET {BOARD}/snapshots": ("Snapshots.list", ["snapshot", "list"]),
    f"POST {BOARD}/snapshots": ("Snapshots.save", ["snapshot", "save"]),
    f"POST {BOARD}/snapshots/file": ("Snapshots.upload", ["snapshot", "upload", "W"]),
    f"GET {BOARD}/snapshots/{{sid}}": ("Snapshots.get", ["snapshot", "show", "S"]),
    f"DELETE {BOARD}/snapshots/{{sid}}": ("Snapshots.delete", ["snapshot", "delete", "S"]),
    f"GET {BOARD}/snapshots/{{sid}}/file": (
        "Snapshots.download",
        ["snapshot", "download", "S", "-o", "out"],
    ),
    f"POST {BOARD}/snapshots/{{sid}}/restore": ("Snapshots.restore", ["snapshot", "restore", "S"]),
}
"""By operation: what calls it in the SDK, and a command that does."""

NOT_FOR_CLIENTS: Final[dict[str, str]] = {}
"""Operations that neither has, and why."""


def operations() -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_in_the_table() -> None:
    assert set(operations()) == set(CLIENTS) | set(NOT_FOR_CLIENTS)


@pytest.mark.parametrize("operation", CLIENTS)
def test_both_clients_have_a_method_for_it(operation: str) -> None:
    kind, _, method = CLIENTS[operation][0].partition(".")
    plain: dict[str, type] = {
        "Client": Client, "Board": Board, "Array": Array, "Snapshots": Snapshots,
    }  # fmt: skip
    awaited: dict[str, type] = {
        "Client": AsyncClient, "Board": AsyncBoard, "Array": AsyncArray,
        "Snapshots": AsyncSnapshots,
    }  # fmt: skip
    assert callable(getattr(plain[kind], method))
    assert callable(getattr(awaited[kind], method))


def _example(schema: dict[str, Any]) -> Any:
    """Some value of a schema."""
    if "$ref" in schema:
        return _example(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _example(schema[key][0])
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            names = {name: _example(one) for name, one in schema.get("properties", {}).items()}
            return names if "properties" in schema else {}
        case "array" if "prefixItems" in schema:
            return [_example(one) for one in schema["prefixItems"]]
        case "array":
            return []
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "string" if schema.get("format") == "date-time":
            return "2024-02-29T12:00:00Z"
        case "string":
            return "text"
    return None


class Lab:
    """Answers each operation as the document says, and remembers which ones were called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        name = next(
            f"{request.method} {known}"
            for known in sorted(DOCUMENT["paths"], key=lambda known: known.count("{"))
            if request.method.lower() in DOCUMENT["paths"][known] and _fits(known, path)
        )
        self.called.append(name)
        answers = operations()[name]["responses"]
        status = next(code for code in answers if code.startswith("2"))
        content = answers[status].get("content", {})
        if "application/json" in content:
            return httpx2.Response(
                int(status), json=_example(content["application/json"]["schema"])
            )
        return httpx2.Response(int(status), content=b"file")


def _fits(known: str, path: str) -> bool:
    parts, given = known.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        part.startswith("{") or part == one for part, one in zip(parts, given, strict=True)
    )


@pytest.mark.parametrize("operation", CLIENTS)
def test_a_command_calls_it(
    operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Path("W").open("wb") as stream:
        np.save(stream, np.zeros((784, 100)))
    lab = Lab()
    connect = partial(Client, transport=httpx2.MockTransport(lab))
    for module in ("terminal", "boards", "status", "stopping"):
        monkeypatch.setattr(f"starlab.cli.{module}.Client", connect)
    monkeypatch.setenv("STARLAB_BOARD_ID", "emu0")
    result = CliRunner().invoke(app, [*CLIENTS[operation][1], "--json"])
    assert operation in lab.called, result.output
    bulk = operation.endswith(("conductance", "vmm", "infer", "train-step"))
    if not bulk:  # the document has no example of an array
        assert result.exit_code == 0, result.output
        json.loads(result.stdout.splitlines()[-1])
