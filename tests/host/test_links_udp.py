"""What a UDP link finds out about its way, without sending anything."""

from contextlib import closing

import pytest
from tests.veth import veth_pair

from starlab_host.links import open_link


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_on_the_loopback_interface_jumbo_frames_are_worth_a_probe(host: str) -> None:
    try:
        link = open_link(f"udp://{host}")
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with closing(link):
        assert (link.payload_bytes, link.window) == (8896, 16)


@pytest.mark.parametrize(
    ("mtu_bytes", "payload_bytes", "window"),
    [
        # a tunnel: 1400 less 28 of IP and UDP and 36 of the frame
        (1400, 1336, 32),
        (1500, 1408, 32),
        # one byte less than a jumbo frame of 8932 needs
        (8959, 1408, 32),
        (9000, 8896, 16),
    ],
)
def test_payloads_are_as_large_as_the_way_takes_without_fragments(
    mtu_bytes: int, payload_bytes: int, window: int
) -> None:
    with (
        veth_pair(mtu_bytes, "198.51.100.1/24"),
        closing(open_link("udp://198.51.100.2")) as link,
    ):
        assert (link.payload_bytes, link.window) == (payload_bytes, window)
