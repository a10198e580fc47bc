"""A server whose limits of connections are small: `python -m tests.system.bounded_server JSON`."""

import asyncio
import json
import logging
import sys
import time
from contextlib import suppress

from starlab_api import ServerSettings, program
from starlab_api.repeats import CountingHandler
from starlab_api.settings import ConnectionLimits


def main() -> None:
    """Serve a board that is away, until a signal comes."""
    asked = json.loads(sys.argv[1])
    limits = ConnectionLimits(**asked.pop("connections", {}))
    settings = ServerSettings(boards=("udp://127.0.0.1:9",), connections=limits, **asked)
    log = CountingHandler(sys.stderr, time.monotonic, window_s=1.0)
    logging.basicConfig(level=logging.INFO, handlers=[log])
    with suppress(KeyboardInterrupt):
        asyncio.run(program._serve("127.0.0.1", 0, settings, log, trusted=False))
    logging.shutdown()


if __name__ == "__main__":
    main()
