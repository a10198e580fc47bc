"""How both clients use httpx2: options, requests, answers, failures. Holds no connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2

from starlab.bodies import Answer
from starlab.call import Call
from starlab.errors import (
    ClientClosed,
    InvalidInput,
    OutcomeUnknown,
    ServerAway,
    ServerFailed,
    StarlabError,
)

DEFAULT_URL: Final = "http://127.0.0.1:8000"
CONNECT_TIMEOUT_S: Final = 5.0
_KEEP_IDLE_S: Final = 2.0
"""An idle connection is dropped before a server does it (5 s is usual): a request that meets the
closing end would be lost with its outcome unknown."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def client_options(url: str, timeout_s: float | None, connect_timeout_s: float) -> dict[str, Any]:
    """Arguments of an httpx2 client.

    Args:
        url: Root of the server.
        timeout_s: Longest silence while waiting for an answer; None waits for ever.
        connect_timeout_s: Longest wait for a connection.

    Raises:
        InvalidInput: ``url`` is none.
    """
    try:
        parts = urlsplit(url)
        is_root = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        is_root = is_root and not parts.query and not parts.fragment
        httpx2.URL(url).host.encode("idna")
    # a port is none, brackets do not match, a part of a name is empty or too long, ...
    except (ValueError, httpx2.InvalidURL):
        is_root = False
    if not is_root:
        raise InvalidInput(f"{url!r} is no URL of a server, such as {DEFAULT_URL}")
    return {
        "base_url": url,
        "timeout": httpx2.Timeout(timeout_s, connect=connect_timeout_s),
        "limits": httpx2.Limits(keepalive_expiry=_KEEP_IDLE_S),
        # no proxy leads to this very machine
        "trust_env": parts.hostname not in _LOOPBACK,
    }


@contextmanager
def environment_checked() -> Iterator[None]:
    """Make what the environment says of proxies and certificates, and what is wrong, an error.

    Raises:
        InvalidInput: No client can be made of it.
    """
    try:
        yield
    except (ValueError, OSError, httpx2.InvalidURL) as error:
        raise error_of_environment(error) from error


def error_of_environment(error: Exception) -> InvalidInput:
    """The error for proxies or certificates of the environment that are none.

    A proxy whose name is none shows only when it is asked: as a `UnicodeError`.
    """
    return InvalidInput(
        "the environment's proxies or certificates (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, "
        f"SSL_CERT_FILE, SSL_CERT_DIR) cannot be used: {error}"
    )


def request_arguments(call: Call[Any], request_id: str) -> dict[str, Any]:
    """Arguments of an httpx2 request.

    Args:
        call: What to ask.
        request_id: What it is called: the server tells by it whose call runs.
    """
    return {
        "method": call.method,
        "url": call.path,
        "params": list(call.query) or None,
        "content": call.content,
        "headers": {"x-request-id": request_id, **call.headers},
    }


def answer_of(response: httpx2.Response, call: Call[Any]) -> Answer:
    """The answer to a call, in a response whose body has been read.

    Raises:
        StarlabError: It reports a problem.
    """
    content_type = response.headers.get("content-type", "").partition(";")[0].strip()
    answer = Answer(response.status_code, response.content, content_type)
    if response.status_code not in call.answers:
        answer.raise_for_problem()
    return answer


class RequestIds:
    """Names for the calls of one client, which no other client uses.

    Attributes:
        client: What all of them begin with.
        unanswered: The one that was given last, until its answer is there.
    """

    def __init__(self) -> None:
        self.client = uuid4().hex
        self.unanswered: str | None = None
        self._numbers = count(1)

    def begin(self) -> str:
        """A name for the next call."""
        self.unanswered = f"{self.client}-{next(self._numbers)}"
        return self.unanswered

    def end(self, request_id: str) -> None:
        """The answer to a call has come."""
        if self.unanswered == request_id:
            self.unanswered = None


def error_of_closing(error: Exception, call: Call[Any], url: str) -> StarlabError:
    """The error for a call whose client was closed, before it or while it was under way."""
    if "Cannot send a request" in str(error):
        return ClientClosed("the client is closed; nothing was sent")
    return error_of_transport(httpx2.ReadError(str(error)), call, url)


def error_of_transport(error: httpx2.RequestError, call: Call[Any], url: str) -> StarlabError:
    """What it means that no answer came."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
        return ServerAway(f"no server answers at {url}: {reason}")
    what = f"{call.method} {call.path}: the server did not answer: {reason}"
    if call.changes:
        return OutcomeUnknown(f"{what}; it may have been executed", {"commands": [call.path]})
    return ServerFailed(what)
