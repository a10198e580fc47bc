"""What a board answers to HELLO: the terms it grants, or what it refuses, by name and value.

Opens no session: the responder does, by the answer given here.
"""

import random
from dataclasses import dataclass
from typing import Generic

from starlab_spec.wire.frames import (
    FIRST_CHALLENGE,
    MAX_PAYLOAD_BYTES,
    MAX_WINDOW,
    MIN_PAYLOAD_BYTES,
    VERSION,
    Feature,
    Frame,
    FrameType,
    Hello,
    Nak,
)
from starlab_spec.wire.responder.board_session import BoardSession, Grant
from starlab_spec.wire.responder.restraint import Peer
from starlab_spec.wire.transactions import Status


@dataclass(slots=True)
class Holder(Generic[Peer]):
    """Who has the session, and since when it has been silent."""

    session: BoardSession
    peer: Peer
    """Where it is."""
    nonce: int
    """Message id of the HELLO that opened the session."""
    hello: bytes
    """Payload of that HELLO."""
    heard_at: float
    silent: bool = False
    """Whether its silence has been noted."""
    asked: tuple[Peer, int] | None = None
    """Another address that spoke in its name, and the number that whoever is there must repeat."""

    def owns(self, frame: Frame) -> bool:
        """Whether a frame is of this session; a host that knows no boot id yet sends 0."""
        session = self.session
        return frame.session == session.session_id and frame.boot in (session.boot_id, 0)

    def is_now_at(self, peer: Peer, frame: Frame) -> bool:
        """Whether a frame of the session from there shows that the host has moved; then it has."""
        if (peer, frame.message) != self.asked or frame.type != FrameType.STATUS_REQUEST:
            return False
        self.peer, self.asked = peer, None
        return True

    def question_for(self, peer: Peer, rng: random.Random) -> int:
        """The number that whoever is there must repeat to be taken for the host."""
        if self.asked is None or self.asked[0] != peer:
            self.asked = peer, rng.randrange(FIRST_CHALLENGE, 1 << 32)
        return self.asked[1]

    def was_opened_by(self, frame: Frame, peer: Peer) -> bool:
        """Whether a HELLO is the one that opened the session: its answer was lost, or is late."""
        same = (self.peer, self.nonce, self.hello) == (peer, frame.message, frame.payload)
        return same and (self.nonce != 0 or not self.session.has_commands)


def negotiate(hello: Hello, proven_bytes: int = 0) -> Grant | Nak:
    """The terms for a HELLO, or why there are none.

    A wanted window or payload above the board's is met by the board's own; below the least, the
    parameter is refused.

    Args:
        hello: What the host wants.
        proven_bytes: Payload of the longest probe of this host that was answered: jumbo frames up
            to that size are granted.
    """
    if not hello.minimum_version <= VERSION <= hello.maximum_version:
        wanted = f"{_version(hello.minimum_version)} to {_version(hello.maximum_version)}"
        return Nak(Status.UNSUPPORTED, f"version {wanted}: this board speaks {_version(VERSION)}")
    if hello.window < 1:
        return Nak(Status.RANGE, f"window {hello.window} is below 1 frame")
    if hello.payload_bytes < MIN_PAYLOAD_BYTES:
        return Nak(
            Status.RANGE,
            f"payload {hello.payload_bytes} bytes is below the {MIN_PAYLOAD_BYTES}-byte limit",
        )
    jumbo = hello.features & Feature.JUMBO and proven_bytes > MAX_PAYLOAD_BYTES
    return Grant(
        min(hello.window, MAX_WINDOW),
        min(hello.payload_bytes, proven_bytes if jumbo else MAX_PAYLOAD_BYTES),
        hello.features & (Feature.NEVER_SAFE | (Feature.JUMBO if jumbo else 0)),
    )


def refusal(
    hello: Hello,
    peer: Peer,
    holder: Holder[Peer] | None,
    newest_epoch: int,
    *,
    shared: bool,
) -> Nak | None:
    """Why a HELLO whose terms are good may not have the board; None if it may.

    A lease as new as that of the open session may take its place only if it comes from the same
    peer, or if the session has fallen silent. Where several hosts share the address of a peer, as
    they do on a serial line, it tells none from another. Epoch 0 is no lease: it passes as long as
    no lease is in use.
    """
    in_use = holder.session.lease_epoch if holder is not None and not holder.silent else 0
    newest = max(newest_epoch if hello.lease_epoch else 0, in_use)
    if hello.lease_epoch < newest:
        return Nak(
            Status.FENCED,
            f"lease epoch {hello.lease_epoch} is older than the newest seen, {newest}",
        )
    if hello.resume_session:
        if holder is None or holder.session.session_id != hello.resume_session:
            return Nak(
                Status.OUTCOME_UNKNOWN,
                f"session 0x{hello.resume_session:08X} to resume is not known: it ended, "
                "or the board restarted",
            )
        return None
    if (
        holder is not None
        and hello.lease_epoch == holder.session.lease_epoch
        and (shared or peer != holder.peer)
        and not holder.silent
    ):
        return Nak(
            Status.BUSY,
            f"in use by {holder.session.client_name!r} with the same lease epoch, "
            f"{hello.lease_epoch}",
        )
    return None


def _version(version: int) -> str:
    return f"{version >> 4}.{version & 15}"
