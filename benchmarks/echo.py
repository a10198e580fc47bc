"""A bare UDP echo, the floor under every round trip; prints its port. Never ends by itself."""

import socket

if __name__ == "__main__":
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        print(server.getsockname()[1], flush=True)
        while True:
            server.sendto(*server.recvfrom(65536))
