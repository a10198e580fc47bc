"""Looking for boards over REST."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from starlab_host.discovery import FoundBoard

DISCOVER = "http://testserver/api/v1/boards/discover"


def test_a_board_that_answers_is_listed_with_its_own_name(board: TestClient) -> None:
    told = board.get("").json()
    reply = board.post(DISCOVER, json={"addresses": [told["url"]], "wait_s": 0.2})
    names = ("id", "url", "serial", "boot_id", "geometry", "device_model", "effects", "emulated")
    assert reply.json() == [
        {
            **{name: told[name] for name in (*names, "firmware", "protocol")},
            "other_urls": [],
            "in_use": True,
        }
    ]


@pytest.mark.parametrize("body", [None, {}])
def test_without_an_address_all_networks_of_the_server_and_its_own_boards_are_asked(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, body: object
) -> None:
    asked: list[tuple[list[str], list[str], float]] = []

    def discover(addresses: list[str], *, also: list[str], wait_s: float) -> list[FoundBoard]:
        asked.append((addresses, also, wait_s))
        ways = ("udp://10.0.0.5:5716", "eth://e1/02:00:00:00:00:01")
        return [
            FoundBoard(ways, {"serial": "B7", "in_use": False}),
            FoundBoard(ways[:1], {"serial": ["no", "text"]}),
        ]

    monkeypatch.setattr("starlab_api.boards.discovering.discover", discover)
    content = None if body is None else json.dumps(body)
    headers = {} if body is None else {"content-type": "application/json"}
    good, malformed = client.post(DISCOVER, content=content, headers=headers).json()
    assert asked == [([], [client.get("").json()["url"]], 1.0)]
    assert (good["url"], good["other_urls"]) == (
        "udp://10.0.0.5:5716",
        ["eth://e1/02:00:00:00:00:01"],
    )
    assert (good["id"], good["serial"], good["in_use"]) == (None, "B7", False)
    assert (malformed["url"], malformed["serial"]) == ("udp://10.0.0.5:5716", None)


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        ({"addresses": ["serial:///dev/ttyUSB0"]}, "addresses", "of none of the forms udp://host"),
        ({"wait_s": 0}, "wait_s", "greater than 0"),
        ({"wait_s": 60}, "wait_s", "less than or equal to 30"),
        ({"adresses": []}, "adresses", "did you mean addresses?"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    client: TestClient, body: object, field: str, detail: str
) -> None:
    reply = client.post(DISCOVER, json=body)
    assert (reply.status_code, reply.json()["field"]) == (422, field)
    assert detail in reply.json()["detail"]


def test_an_address_to_which_there_is_no_way_is_a_board_away(client: TestClient) -> None:
    reply = client.post(DISCOVER, json={"addresses": ["eth://nowhere0"]})
    assert (reply.status_code, reply.json()["type"]) == (503, "board-away")
    assert reply.json()["detail"] == "there is no way to eth://nowhere0: No such device"


def test_those_who_look_for_boards_hold_up_nobody_and_share_one_answer(
    board: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    begun, answered = threading.Semaphore(0), threading.Event()

    def discover(addresses: list[str], *, also: list[str], wait_s: float) -> list[FoundBoard]:
        asked.append(wait_s)
        begun.release()
        assert answered.wait(250.0)
        return []

    monkeypatch.setattr("starlab_api.boards.discovering.discover", discover)
    with ThreadPoolExecutor(100) as pool:
        others = [{"wait_s": 1 + number / 100} for number in range(10)]
        bodies = [{"wait_s": 20.0}] * 40 + others
        looking = [pool.submit(board.post, DISCOVER, json=body) for body in bodies]
        for _ in range(4):
            begun.acquire()
        assert board.get("").json()["state"] == "idle"
        assert board.get("/counters").is_success
        assert not any(each.done() for each in looking)
        answered.set()
        assert all(each.result().json() == [] for each in looking)
    assert asked.count(20.0) < 40
    assert set(asked) == {20.0, *(body["wait_s"] for body in others)}
