"""Looking at what travels on a link: capture files, and the frames as scapy layers.

For tests and for people who look for a fault; no part of driving a board. Importing this package
imports no scapy: that takes its time, and only :mod:`starlab_host.capture.layers` needs it.
"""

from starlab_host.capture.link import CapturingLink, captured
from starlab_host.capture.pcap import Captured, PcapWriter, read_pcap

__all__ = ["Captured", "CapturingLink", "PcapWriter", "captured", "read_pcap"]
