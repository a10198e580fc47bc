"""Health check of the emulator's container: alive is what answers DISCOVER. Changes nothing."""

import socket

from starlab_spec.wire import UDP_PORT, Frame, FrameType, decode_frame, encode_frame

TIMEOUT_S = 3.0

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
    link.settimeout(TIMEOUT_S)
    link.connect(("127.0.0.1", UDP_PORT))
    link.send(encode_frame(Frame(FrameType.DISCOVER)))
    answer = decode_frame(link.recv(65536))
if answer.type != FrameType.ANNOUNCE:
    raise SystemExit(f"expected ANNOUNCE, got frame type {answer.type}")
