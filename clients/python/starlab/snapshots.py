"""Snapshots of a board, as both clients see them. Keeps none: the server does."""

from typing import Literal

from starlab.bodies import Answer
from starlab.call import Call, board_path, checked, segment, send
from starlab.inputs import as_query
from starlab.sending import AsyncSend, Send
from starlab_contract import (
    SNAPSHOT_TYPE,
    RestoreReply,
    RestoreSnapshot,
    Snapshot,
    TakeSnapshot,
)


class Snapshots:
    """The snapshots of one board."""

    def __init__(self, board_id: str, send: Send) -> None:
        self._board_id = board_id
        self._send = send

    def save(
        self,
        name: str = "",
        *,
        kind: Literal["exact", "read"] | None = None,
        memory: bool = False,
    ) -> Snapshot:
        """Take a snapshot, which the server keeps.

        Args:
            name: What people call it.
            kind: ``exact``: all that an emulated board is, to the last bit. ``read``: conductances
                as they were read, settings, supplies. None: exact of an emulated board.
            memory: Whether an exact one holds the board's memory too.
        """
        return self._send(_save(self._board_id, name, kind, memory))

    def list(self) -> list[Snapshot]:
        """All of them, the oldest first."""
        return self._send(_list(self._board_id))

    def get(self, snapshot: str) -> Snapshot:
        """One of them, by its id."""
        return self._send(_get(self._board_id, snapshot))

    def restore(
        self, snapshot: str, *, tolerance_uS: float = 0.3, max_pulses: int = 2000
    ) -> RestoreReply:
        """Bring the board to what a snapshot holds.

        Args:
            snapshot: Its id.
            tolerance_uS: How near write-verify is to bring each cell, if it is not exact.
            max_pulses: Its cap for each cell, likewise.
        """
        return self._send(_restore(self._board_id, snapshot, tolerance_uS, max_pulses))

    def delete(self, snapshot: str) -> Snapshot:
        """Let the server keep it no longer."""
        return self._send(_delete(self._board_id, snapshot))

    def download(self, snapshot: str) -> bytes:
        """Its file."""
        return self._send(_download(self._board_id, snapshot))

    def upload(self, data: bytes, name: str = "") -> Snapshot:
        """Let the server keep a file that was downloaded."""
        return self._send(_upload(self._board_id, data, name))


class AsyncSnapshots:
    """The snapshots of one board; see :class:`Snapshots`."""

    def __init__(self, board_id: str, send: AsyncSend) -> None:
        self._board_id = board_id
        self._send = send

    async def save(
        self,
        name: str = "",
        *,
        kind: Literal["exact", "read"] | None = None,
        memory: bool = False,
    ) -> Snapshot:
        """Take a snapshot, which the server keeps."""
        return await self._send(_save(self._board_id, name, kind, memory))

    async def list(self) -> list[Snapshot]:
        """All of them, the oldest first."""
        return await self._send(_list(self._board_id))

    async def get(self, snapshot: str) -> Snapshot:
        """One of them, by its id."""
        return await self._send(_get(self._board_id, snapshot))

    async def restore(
        self, snapshot: str, *, tolerance_uS: float = 0.3, max_pulses: int = 2000
    ) -> RestoreReply:
        """Bring the board to what a snapshot holds."""
        return await self._send(_restore(self._board_id, snapshot, tolerance_uS, max_pulses))

    async def delete(self, snapshot: str) -> Snapshot:
        """Let the server keep it no longer."""
        return await self._send(_delete(self._board_id, snapshot))

    async def download(self, snapshot: str) -> bytes:
        """Its file."""
        return await self._send(_download(self._board_id, snapshot))

    async def upload(self, data: bytes, name: str = "") -> Snapshot:
        """Let the server keep a file that was downloaded."""
        return await self._send(_upload(self._board_id, data, name))


def _root(board_id: str) -> str:
    return f"{board_path(board_id)}/snapshots"


def _path(board_id: str, snapshot: str) -> str:
    return f"{_root(board_id)}/{segment('snapshot', snapshot)}"


def _snapshot(answer: Answer) -> Snapshot:
    return answer.model(Snapshot)


def _save(board_id: str, name: str, kind: str | None, memory: bool) -> Call[Snapshot]:
    body = checked(TakeSnapshot, {"name": name, "kind": kind, "memory": memory})
    return send("POST", _root(board_id), body, Snapshot)


def _list(board_id: str) -> Call[list[Snapshot]]:
    return Call("GET", _root(board_id), lambda answer: answer.models(Snapshot))


def _get(board_id: str, snapshot: str) -> Call[Snapshot]:
    return Call("GET", _path(board_id, snapshot), _snapshot)


def _restore(
    board_id: str, snapshot: str, tolerance_uS: float, max_pulses: int
) -> Call[RestoreReply]:
    values = {"tolerance_uS": tolerance_uS, "max_pulses": max_pulses}
    body = checked(RestoreSnapshot, values)
    return send("POST", f"{_path(board_id, snapshot)}/restore", body, RestoreReply)


def _delete(board_id: str, snapshot: str) -> Call[Snapshot]:
    return Call("DELETE", _path(board_id, snapshot), _snapshot)


def _download(board_id: str, snapshot: str) -> Call[bytes]:
    return Call("GET", f"{_path(board_id, snapshot)}/file", lambda answer: answer.content)


def _upload(board_id: str, data: bytes, name: str) -> Call[Snapshot]:
    return Call(
        "POST",
        f"{_root(board_id)}/file",
        _snapshot,
        as_query(name=name or None),
        data,
        {"content-type": SNAPSHOT_TYPE},
    )
