"""Ways to a board: each carries datagrams and knows nothing of frames."""

from collections.abc import Callable, Mapping
from typing import Final

from starlab_host.links.authors_tcp import AuthorsAddress, AuthorsLink, ConnectionGone
from starlab_host.links.base import Address, Link
from starlab_host.links.ethernet import EthernetAddress, EthernetLink
from starlab_host.links.memory import ExecutingBoard, MemoryAddress, MemoryLink, MemoryNetwork
from starlab_host.links.serial import SerialAddress, SerialLink
from starlab_host.links.udp import UdpAddress, UdpLink

__all__ = [
    "Address",
    "AuthorsAddress",
    "AuthorsLink",
    "ConnectionGone",
    "EthernetAddress",
    "EthernetLink",
    "Link",
    "MemoryAddress",
    "MemoryLink",
    "MemoryNetwork",
    "SerialAddress",
    "SerialLink",
    "UdpAddress",
    "UdpLink",
    "open_link",
    "parse_address",
]

_CABLES: Final[Mapping[str, Callable[[str], Address]]] = {
    "udp": UdpAddress.parse,
    "eth": EthernetAddress.parse,
    "serial": SerialAddress.parse,
    "authors-tcp": AuthorsAddress.parse,
}
_FORMS: Final = ", ".join(
    kind.FORM
    for kind in (UdpAddress, EthernetAddress, SerialAddress, AuthorsAddress, MemoryAddress)
)


def parse_address(url: str, boards: Mapping[str, ExecutingBoard] | None = None) -> Address:
    """The address of a board by its URL. Looks for nobody.

    Args:
        url: ``udp://host[:port]``, ``eth://interface/aa:bb:cc:dd:ee:ff``,
            ``serial://port[?baud=N]``, ``authors-tcp://host[:port]`` or ``memory:name``.
        boards: Boards of this process, by the names in ``memory:name``.

    Raises:
        ValueError: The URL has another form.
    """
    scheme = url.partition(":")[0]
    if scheme == "memory":
        return MemoryAddress.parse(url, boards or {})
    if scheme not in _CABLES:
        raise ValueError(f"board address {url!r} is of none of the forms {_FORMS}")
    return _CABLES[scheme](url)


def open_link(url: str, boards: Mapping[str, ExecutingBoard] | None = None) -> Link:
    """A link by its URL, as `parse_address` takes it.

    Raises:
        ValueError: The URL has another form.
        OSError: There is no way to this address.
    """
    return parse_address(url, boards).open()
