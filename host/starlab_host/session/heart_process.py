"""Sends a datagram again and again while its parent is held up: a program of its own.

It must start fast and depend on nothing: it imports nothing of this package. Its standard input is
a socket on which the parent says the newest datagram several times a second. While that goes on it
sends nothing. When the parent falls silent it sends the last datagram in its stead, but not for
ever: a host that hangs must be missed by the board. When the parent ends, so does this. It is no
child of the parent, whose children are its own business.
"""

import os
import signal
import socket
import sys
import time

_LONGEST_BYTES = 65536


def main(descriptor: int, every_s: float, at_most_s: float, parent: int, *packet: str) -> None:
    """Run until the parent ends.

    Args:
        descriptor: The link's socket, which the parent reads.
        every_s: How long the parent may be silent, and how often to send then.
        at_most_s: How long to send without a word of the parent.
        parent: Its process id.
        packet: Of a packet socket: interface, type and hardware address of where to send to.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the parent's
    link = socket.socket(fileno=descriptor)
    beats = socket.socket(fileno=0)
    beats.send(str(os.getpid()).encode())
    beats.settimeout(every_s)
    address = (packet[0], int(packet[1]), 0, 0, bytes.fromhex(packet[2])) if packet else None
    datagram, beaten_at = b"", 0.0
    while True:
        try:
            datagram = beats.recv(_LONGEST_BYTES)
            if not datagram:
                return
            beaten_at = time.monotonic()
            continue
        except TimeoutError:
            pass
        is_late = time.monotonic() - beaten_at > at_most_s
        if not datagram or is_late or _is_stopped(parent):
            continue
        try:
            link.send(datagram) if address is None else link.sendto(datagram, address)
        except OSError:
            pass  # lost, as a datagram may be


def _is_stopped(process: int) -> bool:
    """Whether somebody has stopped a process: it is not busy then, and the board must miss it."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in ("T", "t")
    except (OSError, IndexError):
        return False


if __name__ == "__main__":
    if os.fork():
        os._exit(0)
    _, link_, every_, at_most_, parent_, *packet_ = sys.argv
    main(int(link_), float(every_), float(at_most_), int(parent_), *packet_)
