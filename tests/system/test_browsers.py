"""What browsers send to a server as it is started, byte by byte: by whom it may be driven."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.system.test_api_process import ready, refusal, server

AWAY = ("--port", "0", "--board", "udp://127.0.0.1:9")
FORM = "/api/v1/boards/board0/arrays/1/form"


def exchange(url: str, head: str, body: str = "") -> tuple[int, dict[str, Any]]:
    """Status and document of the answer to a request; ``{at}`` is where the server listens."""
    at = urlsplit(url).netloc
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), 30) as connection:
        text = head.format(at=at).strip().replace("\n", "\r\n")
        length = f"\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall((text + length + body).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    status, _, document = answer.decode().partition("\r\n\r\n")
    return int(status.split()[1]), json.loads(document) if document else {}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of a board that is away: a call that gets through is answered 503."""
    with server(*AWAY, "--allowed-hosts", "bench.example,10.9.8.7") as process:
        yield ready(process)["listening"]


def browser(method: str, path: str, **headers: str) -> str:
    lines = [f"{method} {path} HTTP/1.1", "Host: {at}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += ["User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"]
    return "\n".join(lines)


FOREIGN = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (  # <form method=post>, submitted by itself
            browser(
                "POST",
                FORM,
                **FOREIGN,
                Content_Type="application/x-www-form-urlencoded",
                Sec_Fetch_Mode="navigate",
                Sec_Fetch_Dest="document",
            ),
            "a=1",
        ),
        (
            browser("POST", FORM, **FOREIGN, Content_Type="multipart/form-data; boundary=-x"),
            '---x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n---x--\r\n',
        ),
        (browser("POST", FORM, **FOREIGN, Content_Type="text/plain"), "{}"),
        # fetch(url, {method: "POST", mode: "no-cors"})
        (browser("POST", FORM, **FOREIGN, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="empty"), ""),
        # fetch(url, {method: "POST", mode: "no-cors", body: new Blob(["{}"])}): no Content-Type
        (browser("POST", FORM, **FOREIGN, Sec_Fetch_Mode="no-cors"), "{}"),
        (  # what goes before fetch(url, {method: "PATCH", headers: {"Content-Type": ...}})
            browser(
                "OPTIONS",
                FORM,
                **FOREIGN,
                Access_Control_Request_Method="PATCH",
                Access_Control_Request_Headers="content-type",
                Access_Control_Request_Private_Network="true",
            ),
            "",
        ),
        (browser("POST", FORM, **FOREIGN, Content_Type="application/json"), "{}"),
        # a sandboxed frame, a file, a page behind a redirect
        (browser("POST", FORM, Origin="null"), ""),
        # <img src=...>, and EventSource
        (
            browser(
                "GET",
                "/api/v1/boards",
                Sec_Fetch_Site="cross-site",
                Sec_Fetch_Mode="no-cors",
                Sec_Fetch_Dest="image",
            ),
            "",
        ),
        (browser("GET", "/api/v1/boards", **FOREIGN, Accept="text/event-stream"), ""),
        # another server of this machine is the same site, and yet somebody else
        (browser("POST", FORM, Origin="http://127.0.0.1:3000", Sec_Fetch_Site="same-site"), ""),
        (browser("POST", FORM, Origin="http://localhost", Sec_Fetch_Site="cross-site"), ""),
        # new WebSocket(url)
        (
            browser(
                "GET",
                "/api/v1/boards",
                Origin="https://evil.example",
                Connection="keep-alive, Upgrade",
                Upgrade="websocket",
                Sec_WebSocket_Version="13",
                Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
            ),
            "",
        ),
    ],
)
def test_a_page_of_somebody_else_is_refused(url: str, head: str, body: str) -> None:
    status, problem = exchange(url, head, body)
    assert status == 403
    assert problem.get("type", "foreign-origin") == "foreign-origin"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "0.0.0.0:{port}"])
def test_a_page_whose_name_was_bent_is_refused(url: str, host: str) -> None:
    host = host.format(port=urlsplit(url).port)
    head = f"POST {FORM} HTTP/1.1\nHost: {host}\nOrigin: http://{host}\nSec-Fetch-Site: same-origin"
    status, problem = exchange(url, head)
    assert (status, problem["type"], problem["value"]) == (403, "foreign-host", host)


@pytest.mark.parametrize("heads", ["", "\nHost: localhost\nHost: localhost"])
def test_a_request_has_one_host(url: str, heads: str) -> None:
    assert exchange(url, f"POST {FORM} HTTP/1.1{heads}")[0] == 403


@pytest.mark.parametrize(
    "host", ["bench.example", "10.9.8.7:80", "localhost", socket.gethostname()]
)
def test_its_own_page_under_each_of_its_names_is_served(url: str, host: str) -> None:
    head = f"POST {FORM} HTTP/1.1\nHost: {host}\nOrigin: http://{host}\nSec-Fetch-Site: same-origin"
    assert exchange(url, head)[0] == 503


def test_a_server_on_all_addresses_is_reached_by_what_it_announces() -> None:
    options = ("--host", "0.0.0.0", "--port", "0", "--board", "udp://127.0.0.1:9")
    environment = {"STARLAB_TRUST_NETWORK": "1", "STARLAB_ALLOWED_ORIGINS": "https://page.example"}
    with server(*options, **environment) as process:
        url = ready(process)["listening"].replace("0.0.0.0", "127.0.0.1")
        head = f"POST {FORM} HTTP/1.1\nHost: "
        assert exchange(url, head + f"0.0.0.0:{urlsplit(url).port}")[0] == 503
        assert exchange(url, head + "localhost:8000\nOrigin: https://page.example")[0] == 503
        assert exchange(url, head + "evil.example")[0] == 403


@pytest.mark.parametrize(
    "option", [["--allowed-hosts", "http://lab"], ["--allowed-origins", "a.example,null"]]
)
def test_a_host_or_origin_that_is_none_is_a_usage_error(option: list[str]) -> None:
    code, lines = refusal([*AWAY, *option])
    assert (code, len(lines)) == (2, 1)
