"""`python -m starlab_api`: serve the REST API. Takes options, says when it is ready, ends cleanly.

Every option can be given in the environment instead: `--trust-network` as
`STARLAB_TRUST_NETWORK=1`. Exit codes: 0 ended on request, 1 failed, 2 usage, 3 board, 4 refused.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
from fastapi import FastAPI

from starlab_api.access.connections import Connections, fitting, more_descriptors
from starlab_api.access.gate import Allowed, host_name
from starlab_api.app import create_app
from starlab_api.boards.embedded_emulator import EmulatorFailed
from starlab_api.data_folder import DataInUse
from starlab_api.options import USAGE, parse_options
from starlab_api.repeats import CountingHandler, OneLine
from starlab_api.settings import EmulatorSettings, Limits, ServerSettings
from starlab_host import JournalError
from starlab_host.capture import PcapWriter
from starlab_host.links import AuthorsAddress, parse_address
from starlab_spec.errors import SpecError
from starlab_spec.safe_area import SafeArea

DONE: Final = 0
FAILED: Final = 1
BOARD: Final = 3
REFUSED: Final = 4
_DRAIN_S: Final = 3
"""How long calls under way may go on after a signal; then they are aborted."""
_GIVE_UP_S: Final = 8
"""How long they may take to end in all."""
_BACKLOG: Final = 1024
"""Connections that the system keeps until they are accepted."""
LARGEST_LIMITS_BYTES: Final = 1 << 20


class _Stop(Exception):
    """Ends the program with one line and an exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes.

    Returns:
        The exit code.
    """
    log = CountingHandler(sys.stderr, time.monotonic)
    form = "%(levelname)s %(name)s: %(message)s"
    log.setFormatter(OneLine(form))
    logging.basicConfig(level=logging.WARNING, handlers=[log])
    logging.getLogger("starlab_host").setLevel(logging.INFO)  # sessions with boards, and their ends
    try:
        options = parse_options(arguments, os.environ)
        settings = _settings(options)
        asyncio.run(_serve(options.host, options.port, settings, log, options.trust_network))
    except _Stop as stop:
        print(f"starlab-api: {stop}", file=sys.stderr)
        return stop.code
    except KeyboardInterrupt:  # before the server took over the signal
        return DONE
    return DONE


async def _serve(
    host: str, port: int, settings: ServerSettings, log: CountingHandler, trusted: bool
) -> None:
    listener = _listen(host, port, trusted=trusted)
    with listener:
        app = create_app(settings)
        limits = fitting(settings.connections, more_descriptors())
        try:
            async with app.router.lifespan_context(app):
                config = uvicorn.Config(
                    app,
                    http=cast(Any, Connections(limits).protocol),
                    ws="none",
                    lifespan="off",
                    backlog=limits.accepted,
                    timeout_keep_alive=limits.idle_s,
                    log_config=None,
                    access_log=False,
                    timeout_graceful_shutdown=_GIVE_UP_S,
                )
                await _Server(config, app, log).serve([listener])
        except EmulatorFailed as error:
            raise _Stop(USAGE if error.was_usage else BOARD, str(error)) from error
        except (DataInUse, JournalError) as error:
            raise _Stop(FAILED, str(error)) from error


class _Server(uvicorn.Server):
    """Says where it listens, and leaves signals to the event loop."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, log: CountingHandler) -> None:
        super().__init__(config)
        self._app = app
        self._log = log

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then say so in one line of JSON on standard output."""
        await super().startup(sockets)
        assert sockets is not None  # noqa: S101 - the caller's own
        sockets[0].listen(_BACKLOG)  # asyncio takes as many in one turn as it is told to queue
        address, port = sockets[0].getsockname()[:2]
        url = f"http://{f'[{address}]' if ':' in address else address}:{port}"
        ready = {
            "listening": url,
            "docs": f"{url}/docs",
            "boards": [slot.id for slot in self._app.state.boards],
            "pid": os.getpid(),
        }
        try:
            _announce(ready)
        except OSError as error:
            raise _Stop(FAILED, f"cannot say where it listens: {error.strerror}") from error

    async def on_tick(self, counter: int) -> bool:
        """Now and then, also say what the log has only counted."""
        self._log.tell()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let calls under way end, first by themselves, then by aborting what they run."""
        aborting = asyncio.create_task(self._abort_later())
        await super().shutdown(sockets)
        aborting.cancel()

    async def _abort_later(self) -> None:
        await asyncio.sleep(_DRAIN_S)
        await asyncio.gather(*(slot.abort() for slot in self._app.state.boards))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT; raised again, they would keep the boards from being closed."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def _announce(line: dict[str, Any]) -> None:
    """Say in one line of JSON where it listens.

    Raises:
        OSError: Standard output does not take it.
    """
    try:
        print(json.dumps(line), flush=True)
    except OSError:
        # the interpreter would try what is left once more, and complain
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _listen(host: str, port: int, *, trusted: bool) -> socket.socket:
    """A listening socket, on the loopback interface unless the network is trusted."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, OverflowError, UnicodeError) as error:
        raise _Stop(USAGE, f"no such address: {host} port {port} ({error})") from error
    if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback and not trusted:
        raise _Stop(
            REFUSED,
            f"{host} is not a loopback address, and without tokens anybody who reaches it could "
            "drive the boards; set STARLAB_TRUST_NETWORK=1 if that is meant",
        )
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _Stop(FAILED, f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def _settings(options: argparse.Namespace) -> ServerSettings:
    if options.data is not None:
        try:
            options.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _Stop(USAGE, f"cannot use --data {options.data}: {error.strerror}") from error
    if options.capture is not None:
        try:
            PcapWriter.append_to(options.capture).close()
        except OSError as error:
            what = f"cannot use --capture {options.capture}: {error.strerror}"
            raise _Stop(USAGE, what) from error
        except ValueError as error:
            raise _Stop(USAGE, str(error)) from error
    for url in options.board:
        try:
            address = parse_address(url)  # whether it is there is seen at each call
        except ValueError as error:
            raise _Stop(USAGE, str(error)) from error
        if options.capture is not None and isinstance(address, AuthorsAddress):
            raise _Stop(USAGE, f"{url} cannot be captured: no frames travel there")
    try:
        Allowed.of(options.allowed_hosts, options.allowed_origins)
    except ValueError as error:
        raise _Stop(USAGE, str(error)) from error
    files = _limits_files(options.limits)
    return ServerSettings(
        boards=tuple(options.board),
        emulator=EmulatorSettings(
            options.seed,
            options.device,
            options.virgin,
            options.effects,
            files.get(f"EMU-{options.seed:08X}", files.get("")),
            options.state,
        ),
        limits=_limits(files),
        data=options.data,
        capture=options.capture,
        allowed_hosts=(*options.allowed_hosts, *_own_names(options.host)),
        allowed_origins=tuple(options.allowed_origins),
    )


def _own_names(host: str) -> list[str]:
    """What this machine is called: what it was told to listen on, and its name, also in short."""
    machine = socket.gethostname()
    names = []
    for name in (host, machine, machine.partition(".")[0]):
        with contextlib.suppress(ValueError):  # a name that no URL can hold
            names.append(host_name(f"[{name}]" if ":" in name else name))
    return names


def _limits_files(texts: Sequence[str]) -> Mapping[str, Path]:
    """The files of ``SERIAL=FILE`` by serial number, and that of ``FILE`` by none."""
    files = {}
    for text in texts:
        serial, _, name = text.partition("=") if "=" in text else ("", "", text)
        files[serial] = Path(name)
    return files


def _start_of(path: Path) -> bytes:
    """A file, or so much of one that never ends that it cannot be a limits file."""
    with path.open("rb") as stream:
        return stream.read(LARGEST_LIMITS_BYTES)


def _limits(files: Mapping[str, Path]) -> Limits:
    """The areas of the files."""
    areas = {}
    for serial, path in files.items():
        text = f"{serial}={path}" if serial else str(path)
        try:
            areas[serial] = SafeArea.parse(_start_of(path))
        except OSError as error:
            raise _Stop(USAGE, f"cannot use --limits {text}: {error.strerror}") from error
        except SpecError as error:
            raise _Stop(USAGE, f"cannot use --limits {text}: {error}") from error
    others = areas.pop("", SafeArea.shipped())
    return Limits(others, areas)
