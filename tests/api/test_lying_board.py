"""A server with a board that lies beside an honest one: no 500, no hang, the other is served."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.conftest import Emulator
from tests.host.lying import with_payload

from starlab_api import ServerSettings, create_app
from starlab_sim import Board as EmulatedBoard
from starlab_sim import Specimen
from starlab_sim.ports import UdpPort
from starlab_sim.serving.server import BoardServer
from starlab_spec.wire import codec
from starlab_spec.wire.frames import FrameType
from starlab_spec.wire.transactions import Opcode, Result, Status, Transaction

Lie = Callable[[list[Result], Sequence[Transaction]], list[Result]]


class LyingBoard(EmulatedBoard):
    """An emulated board whose results may be changed before they are sent."""

    lie: Lie = staticmethod(lambda results, transactions: results)

    def execute(self, transactions: Sequence[Transaction], **options: Any) -> list[Result]:
        return self.lie(super().execute(transactions, **options), transactions)


class LyingPort(UdpPort):
    """A port that may change what it sends."""

    change: Callable[[bytes], bytes] = staticmethod(lambda datagram: datagram)

    def send(self, datagram: bytes, address: Any) -> None:
        super().send(self.change(datagram), address)


class Liar:
    """A board that lies, on a port of its own."""

    def __init__(self) -> None:
        self.board = LyingBoard(Specimen(seed=1), serial="liar", rng=random.Random(1))
        self.port = LyingPort("127.0.0.1", 0)
        self.url = self.port.url
        self.server = BoardServer(self.board, [self.port], rng=random.Random(2))
        self.thread = threading.Thread(target=self.server.serve, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.stop()
        self.thread.join()


@pytest.fixture
def liar() -> Iterator[Liar]:
    made = Liar()
    yield made
    made.stop()


def served(*urls: str) -> TestClient:
    app = create_app(ServerSettings(boards=urls))
    return TestClient(app, base_url="http://testserver/api/v1", raise_server_exceptions=False)


def hello_ack(**terms: Any) -> Callable[[bytes], bytes]:
    def change(datagram: bytes) -> bytes:
        if datagram[3] != FrameType.HELLO_ACK:
            return datagram
        answer = codec.decode_hello_ack(datagram[32:-4])
        fields = {name: getattr(answer, name) for name in answer.__slots__} | terms
        return with_payload(datagram, codec.encode_hello_ack(type(answer)(**fields)))

    return change


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Emulator]:
    """A board that is fine, and that no other test has a session with."""
    board = Emulator()
    yield board
    board.kill()


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"window": 0}, "window 0 is below the 1 limit"),
        ({"payload_bytes": 0}, "payload 0 is below the 32 limit"),
        ({"identity": {}}, "its identity has no serial"),
        ({"identity": {"serial": 7}}, "serial 7 of its identity is not text"),
        ({"version": 0x20}, "version 32 is above the 16 limit"),
        ({"session_id": 0}, "session id 0 is none"),
        ({"features": 0xFFFF}, "were not asked for"),
        ({"next_message_id": 9}, "next message id 9"),
    ],
)
def test_a_board_with_impossible_terms_is_away_with_the_reason_and_the_other_is_served(
    liar: Liar, neighbour: Emulator, terms: dict[str, Any], reason: str
) -> None:
    liar.port.change = hello_ack(**terms)
    with served(liar.url, neighbour.url) as client:
        away, good = client.get("/boards").json()
        assert away["state"] == "away"
        assert reason in away["problem"]
        assert good["state"] == "idle"
        refused = client.get("/boards/board0/counters")
        assert (refused.status_code, refused.json()["type"]) == (502, "board-misbehaves")
        assert client.get("/boards/board1/counters").status_code == 200


def cut(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    return [result._replace(data=b"") for result in results]


def longer(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    return [result._replace(data=result.data + bytes(4)) for result in results]


def fewer(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    return results[: max(1, len(results) - 1)]


def more(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    return [*results, *results]


def other_opcode(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    return [result._replace(opcode=result.opcode ^ 1) for result in results]


def all_ones(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    return [result._replace(data=b"\xff" * len(result.data)) for result in results]


def all_zero(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    return [result._replace(data=bytes(len(result.data))) for result in results]


def noise(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    rng = random.Random(len(transactions))
    return [result._replace(data=rng.randbytes(len(result.data))) for result in results]


def other_object(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    return [r._replace(data=b"{}") if r.opcode == Opcode.EMULATOR else r for r in results]


def unknown_status(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
    return [results[0]._replace(status=200, data=b"\xff\xfe")]


def refusing(status: int) -> Lie:
    def lie(results: list[Result], transactions: Sequence[Transaction]) -> list[Result]:
        return [results[0]._replace(status=status, data=b"VX 1.2.3 mV is above the 1,0 mV limit")]

    return lie


CALLS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "", None),
    ("GET", "/settings", None),
    ("PATCH", "/settings", {"threshold": 5}),
    ("GET", "/supplies", None),
    ("PATCH", "/supplies", {"VBLset": {"mv": 2000}}),
    ("GET", "/registers/0x40", None),
    ("GET", "/counters", None),
    ("GET", "/arrays/1/conductance", None),
    ("POST", "/arrays/1/pulse", {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}),
    ("POST", "/arrays/2/form", {"rows": [0]}),
    ("POST", "/snapshots", {"name": "one"}),
    ("POST", "/emulator", {"advance_s": 1}),
    ("POST", "/emergency-stop", None),
]
LIES: dict[str, Lie] = {
    lie.__name__: lie
    for lie in (
        cut,
        longer,
        fewer,
        more,
        other_opcode,
        all_ones,
        all_zero,
        noise,
        other_object,
        unknown_status,
    )
} | {f"status {status.name}": refusing(status) for status in Status if status}


@pytest.mark.parametrize(
    "name",
    [
        # the host asks again and again, as it must, for seconds a call
        pytest.param(name, marks=pytest.mark.slow) if name == "status IN_PROGRESS" else name
        for name in LIES
    ],
)
def test_no_reply_makes_the_server_fail(liar: Liar, name: str) -> None:
    with served(liar.url) as client:
        assert client.get("/boards/board0").json()["state"] != "away"
        liar.board.lie = LIES[name]
        for method, path, body in CALLS:
            answer = client.request(method, f"/boards/board0{path}", json=body)
            assert answer.status_code not in (404, 405, 500), (method, path, answer.text)
        liar.board.lie = LyingBoard.lie
        assert client.get("/boards/board0").json()["state"] != "away"
