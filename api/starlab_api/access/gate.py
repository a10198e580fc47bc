"""Who may ask at all: no web page but the server's own. Reads no body, knows no board.

A browser sends whatever a page tells it to, also to this machine. It cannot be kept from that, but
it says by whom it was sent: by `Host` (a name that was bent to this address is none of ours), by
`Origin` and by `Sec-Fetch-Site`. Programs send neither of the last two.
"""

import ipaddress
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlab_api.problems import (
    ApiProblem,
    ForeignHost,
    ForeignOrigin,
    UnsupportedMediaType,
    problem_of,
    problem_response,
)
from starlab_contract import JSON_TYPE, NPY_TYPE, NPZ_TYPE, SNAPSHOT_TYPE

_log: Final = logging.getLogger(__name__)
_NAME: Final = r"\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.-]+"
_HOST: Final = re.compile(rf"({_NAME})(?::(\d{{1,5}}))?", re.ASCII)
_ORIGIN: Final = re.compile(rf"([a-z][a-z0-9+.-]*)://({_NAME})(?::(\d{{1,5}}))?", re.ASCII | re.I)
_PORTS: Final = {"http": "80", "https": "443"}
_SCHEMES: Final = {"ws": "http", "wss": "https"}
_KEPT: Final = 128
"""Headers whose meaning is kept: clients send the same again with every call."""
_READING: Final = frozenset({"GET", "HEAD"})
_OURS: Final = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of the server's own pages, and of what a person typed."""
_TAKEN: Final = (JSON_TYPE, NPY_TYPE, NPZ_TYPE, SNAPSHOT_TYPE)
"""No form is among them: these a page may send anywhere without asking first."""
_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What every answer tells a browser, unless the answer says otherwise itself."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Whom a server serves beside itself."""

    hosts: frozenset[str] = frozenset()
    """Names and addresses, as :func:`host_name` gives them."""
    origins: frozenset[str] = frozenset()
    """Pages, as :func:`origin` gives them."""

    @classmethod
    def of(cls, hosts: Iterable[str], origins: Iterable[str]) -> "Allowed":
        """What texts name.

        Raises:
            ValueError: One of them is no host, or no origin.
        """
        return cls(frozenset(map(host_name, hosts)), frozenset(map(origin, origins)))


class Gate:
    """ASGI middleware, the outermost: refuses foreign pages before anything is read or done."""

    def __init__(self, app: ASGIApp, *, allowed: Allowed) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_host(scope, headers)
            self._check_origin(scope, headers)
            if scope["type"] == "http":
                _check_media_type(scope, headers)
        except ApiProblem as refusal:
            _log.warning("refused %s: %s", scope.get("method", "websocket"), refusal)
            if scope["type"] == "websocket":  # the server answers 403
                await send({"type": "websocket.close", "code": 1008})
                return
            await problem_response(problem_of(refusal))(scope, receive, _telling(send))
            return
        await self._app(scope, receive, _telling(send))

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        given = headers.getlist("host")
        own = [] if scope.get("server") is None else [str(scope["server"][0])]
        try:
            name = host_name(given[0]) if len(given) == 1 else ""
        except ValueError:
            name = ""
        if name in self._allowed.hosts or _is_loopback(name):
            return
        if any(name == _address(address) for address in own):  # a literal cannot be bent
            return
        known = ["localhost", "127.0.0.1", "[::1]", *own, *sorted(self._allowed.hosts)]
        raise ForeignHost(", ".join(given), list(dict.fromkeys(known)))

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        own = _own_origin(scope, headers["host"])
        given = headers.getlist("origin")
        found = [_origin_or_none(text) for text in given]
        allowed = [own, *sorted(self._allowed.origins)]
        if len(given) > 1 or not all(one in allowed for one in found):
            raise ForeignOrigin("Origin", ", ".join(given), allowed)
        sites = headers.getlist("sec-fetch-site")
        if all(site in _OURS for site in sites):
            return
        if found and (found[0] in self._allowed.origins or sites == ["same-site"]):
            return
        if _is_navigation(scope, headers):  # somebody follows a link to us: it is only shown
            return
        raise ForeignOrigin("Sec-Fetch-Site", ", ".join(sites), sorted(_OURS))


@lru_cache(_KEPT)
def host_name(text: str) -> str:
    """The name or address of a `Host` header, without its port, in one form.

    Raises:
        ValueError: It is none.
    """
    parts = _HOST.fullmatch(text.strip())
    if parts is None:
        raise ValueError(f"{text!r} is no host name or address")
    return _address(parts[1])


@lru_cache(_KEPT)
def origin(text: str) -> str:
    """An origin in one form: lower case, without the port that its scheme implies.

    Raises:
        ValueError: It is none; `null` is none that anybody could be told by.
    """
    parts = _ORIGIN.fullmatch(text.strip())
    if parts is None:
        raise ValueError(f"{text!r} is no origin such as https://page.example:8080")
    scheme, name, port = parts[1].lower(), _address(parts[2]), parts[3]
    name = f"[{name}]" if ":" in name else name
    return f"{scheme}://{name}" + (f":{port}" if port and port != _PORTS.get(scheme) else "")


def _origin_or_none(text: str) -> str | None:
    try:
        return origin(text)
    except ValueError:
        return None


def _own_origin(scope: Scope, host: str) -> str:
    scheme = scope.get("scheme", "http")
    return origin(f"{_SCHEMES.get(scheme, scheme)}://{host}")


@lru_cache(_KEPT)
def _address(name: str) -> str:
    """A name in lower case, an address as it is usually written."""
    name = name.strip("[]").lower().removesuffix(".")
    try:
        address: Any = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name
    return str(getattr(address, "ipv4_mapped", None) or address)


@lru_cache(_KEPT)
def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    return (
        scope.get("method") in _READING
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _check_media_type(scope: Scope, headers: Headers) -> None:
    """Refuse a body that does not say what it is, and whatever a form can send."""
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if not has_body and scope["method"] in _READING:
        return
    given = ", ".join(headers.getlist("content-type"))
    media = given.partition(";")[0].strip().lower()
    if media not in _TAKEN and (has_body or given):
        raise UnsupportedMediaType(given, _TAKEN)


def _telling(send: Send) -> Send:
    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return tell
