"""Where cables are plugged into the emulated board. Carries datagrams, knows no frame."""

from starlab_sim.ports.base import Junction, Port
from starlab_sim.ports.ethernet import EthernetPort
from starlab_sim.ports.pty import PtyPort
from starlab_sim.ports.udp import UdpPort

__all__ = ["EthernetPort", "Junction", "Port", "PtyPort", "UdpPort"]
