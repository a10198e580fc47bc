"""What a browser sends for a page that is not the server's own, and what a program sends."""

from collections.abc import Iterator, Mapping

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from tests.api.numpy_bodies import NPZ

from starlab_api import ServerSettings, create_app
from starlab_api.access.gate import host_name, origin

FORM = "application/x-www-form-urlencoded"
EVIL = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
LOCAL = {"origin": "http://testserver:3000", "sec-fetch-site": "same-site"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
PULSES = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+", "count": 5}


def pulses(board: TestClient) -> int:
    counted: int = board.get("/counters").json()["pulses"]["array1"]["set"]
    return counted


@pytest.mark.parametrize("page", [EVIL, {**EVIL, "origin": "null"}, LOCAL])
@pytest.mark.parametrize(
    ("media", "body"),
    [
        (FORM, b"kind=set"),
        (FORM, b""),
        ("text/plain", b'{"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}'),
        ("text/plain;charset=UTF-8", b'{"kind": "set"}'),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        (None, b'{"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}'),
        (None, b""),
        ("application/json", b'{"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}'),
    ],
)
def test_a_foreign_page_pulses_nothing(
    board: TestClient, page: Mapping[str, str], media: str | None, body: bytes
) -> None:
    headers = {**page, **({} if media is None else {"content-type": media})}
    reply = board.post("/arrays/1/pulse", content=body, headers=headers)
    assert (reply.status_code, reply.json()["type"]) == (403, "foreign-origin")
    assert (reply.json()["header"], reply.json()["value"]) == ("Origin", page["origin"])
    assert reply.json()["allowed"] == ["http://testserver"]
    assert "access-control-allow-origin" not in reply.headers
    assert pulses(board) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/emergency-stop"),
        ("DELETE", "/emergency-stop"),
        ("POST", "/arrays/1/form"),
        ("PATCH", "/settings"),
        ("PUT", "/registers/0x104"),
        ("GET", ""),
        ("HEAD", ""),
        ("OPTIONS", "/arrays/1/pulse"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        EVIL,
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {**LINK, "sec-fetch-dest": "iframe"},
        {**LINK, "sec-fetch-mode": "no-cors"},
        {"origin": "http://testserver", "sec-fetch-site": "cross-site"},
        {"origin": "https://testserver"},
        {"origin": "http://testserver:8000"},
        {"origin": "http://testserver.evil.example"},
        {"origin": "testserver"},
        {"origin": ""},
    ],
)
def test_no_method_is_for_foreign_pages(
    board: TestClient, method: str, path: str, headers: Mapping[str, str]
) -> None:
    reply = board.request(method, path, headers=headers)
    assert reply.status_code == 403
    assert board.get("").json()["faults"] == []


def test_a_link_may_be_followed_but_no_form_sent(board: TestClient) -> None:
    docs = board.get("http://testserver/docs", headers=LINK)
    assert docs.status_code == 200
    assert board.post("/emergency-stop", headers=LINK).status_code == 403
    assert board.get("").json()["faults"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://testserver", "sec-fetch-site": "same-origin"},
        {"origin": "HTTP://TESTSERVER:80"},
        {"origin": "http://testserver", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"host": "localhost:1234"},
        {"host": "127.0.0.1"},
        {"host": "[::1]:80", "origin": "http://[0:0::1]"},
        {"host": "LocalHost.:8000", "origin": "http://localhost:8000"},
    ],
)
def test_programs_and_the_own_pages_are_served(
    board: TestClient, headers: Mapping[str, str]
) -> None:
    reply = board.post("/arrays/1/pulse", json=PULSES, headers=headers)
    assert (reply.status_code, pulses(board)) == (200, 5)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.5:8000",
        "[2001:db8::1]",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "localhost:80x",
        "",
        "localhost, evil.example",
        "127.1",
        "\u0661.0.0.1",
    ],
)
def test_a_name_that_was_bent_to_this_server_is_refused(board: TestClient, host: str) -> None:
    # after rebinding a page is of the same origin as the address that it asks
    headers = {b"host": host.encode(), b"sec-fetch-site": b"same-origin"}
    reply = board.post("/emergency-stop", headers=headers)
    assert (reply.status_code, reply.json()["type"]) == (403, "foreign-host")
    assert reply.json()["header"] == "Host"
    assert {"localhost", "127.0.0.1", "[::1]"} <= set(reply.json()["allowed"])
    assert board.get("").json()["faults"] == []


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("host", ["localhost", "localhost"]),
        ("host", ["localhost", "evil.example"]),
        ("origin", ["http://testserver", "http://testserver"]),
        ("sec-fetch-site", ["none", "cross-site"]),
    ],
)
def test_a_header_that_comes_twice_vouches_for_nobody(
    board: TestClient, header: str, values: list[str]
) -> None:
    headers = [(header, value) for value in values]
    assert board.post("/arrays/1/pulse", json=PULSES, headers=headers).status_code == 403
    assert pulses(board) == 0


def test_a_refused_call_does_not_bind_its_key(board: TestClient) -> None:
    key = {"idempotency-key": "bound by nobody"}
    assert board.post("/arrays/1/pulse", json={}, headers={**key, **EVIL}).status_code == 403
    assert board.post("/arrays/1/pulse", json=PULSES, headers=key).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("media", [None, FORM, "text/plain", "multipart/form-data", "json"])
def test_a_body_says_what_it_is(board: TestClient, method: str, media: str | None) -> None:
    headers = {} if media is None else {"content-type": media}
    for content in (b"{}", iter([b"{}"])):
        reply = board.request(method, "/settings", content=content, headers=headers)
        assert (reply.status_code, reply.json()["type"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize("media", [FORM, "text/plain", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", ["/arrays/1/form", "/emergency-stop", "/supplies/balance"])
def test_an_empty_form_is_no_call_without_a_body(
    virgin_board: TestClient, path: str, media: str
) -> None:
    reply = virgin_board.post(path, content=b"", headers={"content-type": media})
    assert reply.status_code == 415
    assert virgin_board.get("").json()["faults"] == []


def test_a_web_socket_of_a_foreign_page_is_closed(board: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        board.websocket_connect("ws://testserver/ws", headers=EVIL),
    ):
        pass
    assert closed.value.code == 1008  # by policy, not as there is none


def test_every_answer_tells_browsers_to_be_careful(board: TestClient) -> None:
    for reply in (board.get("/counters"), board.get("/nothing"), board.get("", headers=EVIL)):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


def test_the_page_of_the_server_may_run_its_one_script() -> None:
    client = TestClient(create_app(ServerSettings(boards=("udp://127.0.0.1:9",))))
    policy = client.get("/docs").headers["content-security-policy"]
    assert policy.count("'sha256-") == 1
    assert "script-src 'self' 'sha256-" in policy


@pytest.fixture
def friendly() -> Iterator[TestClient]:
    """A server without a board that knows a name and a page more."""
    settings = ServerSettings(
        boards=("udp://127.0.0.1:9",),
        connect_timeout_s=0.1,
        allowed_hosts=("Bench.example.",),
        allowed_origins=("https://Page.example:443",),
    )
    with TestClient(create_app(settings), base_url="http://bench.example:8000") as client:
        yield client


def test_another_name_and_page_may_be_allowed(friendly: TestClient) -> None:
    page = {"origin": "https://page.example", "sec-fetch-site": "cross-site"}
    url = "/api/v1/boards/board0/arrays/1/form"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-lease"}
    before = friendly.options(url, headers={**page, **asked})
    assert before.headers["access-control-allow-origin"] == "https://page.example"
    reply = friendly.post(url, headers=page)
    assert (reply.status_code, reply.json()["type"]) == (503, "board-away")
    assert reply.headers["access-control-allow-origin"] == "https://page.example"
    for other in ("http://page.example", "https://page.example:8443", "https://a.page.example"):
        assert friendly.post(url, headers={**page, "origin": other}).status_code == 403


@pytest.mark.parametrize("text", ["", "*", "http://lab", "lab/", "a b", "lab:port", "[::1"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no host name or address"):
        host_name(text)


@pytest.mark.parametrize("text", ["", "*", "null", "lab.example", "https://lab/", "https://lab/x"])
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        origin(text)


def test_an_address_has_one_form() -> None:
    assert host_name("[::FFFF:127.0.0.1]:8000") == "127.0.0.1"
    assert host_name("[FE80::0:1%eth0]") == "fe80::1"
    assert origin("HTTPS://[::0:1]:443") == "https://[::1]"


def test_an_npz_is_taken_with_whatever_parameters_its_type_has(board: TestClient) -> None:
    reply = board.post(
        "/infer", content=b"", headers={"content-type": NPZ["content-type"] + "; v=1"}
    )
    assert reply.status_code == 422
