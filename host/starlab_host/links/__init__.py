"""Ways to a board: each carries datagrams and knows nothing of frames."""

from urllib.parse import urlsplit

from starlab_host.links.base import Link
from starlab_host.links.memory import MemoryLink, MemoryNetwork
from starlab_host.links.udp import UdpLink
from starlab_spec.wire import UDP_PORT

__all__ = ["Link", "MemoryLink", "MemoryNetwork", "UdpLink", "open_link"]


def open_link(url: str) -> Link:
    """A link by its URL: ``udp://host`` or ``udp://host:port``.

    Raises:
        ValueError: The URL has another form.
        OSError: The host is unknown or there is no way to it.
    """
    parts = urlsplit(url)
    if parts.scheme != "udp" or not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"board address {url!r} is not of the form udp://host[:port]")
    return UdpLink(parts.hostname, UDP_PORT if parts.port is None else parts.port)
