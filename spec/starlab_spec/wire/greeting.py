"""The handshake as the host says it: HELLO until it is answered, and a probe before it if need be.

A host that wants jumbo frames asks for an ANNOUNCE as long as they are. Only if that comes back
does the way carry them, there and back, and only then does HELLO ask for them. Sends nothing: it
makes the datagrams.
"""

import random
from dataclasses import replace
from typing import Final

from starlab_spec.wire.codec import encode_frame, encode_hello
from starlab_spec.wire.congestion import MAX_TRIES, RoundTrip
from starlab_spec.wire.frames import (
    JUMBO_PAYLOAD_BYTES,
    MAX_PAYLOAD_BYTES,
    Feature,
    Frame,
    FrameType,
    Hello,
)

PROBE_TRIES: Final = 3
"""Probes without an answer before a host makes do with payloads of 1408 bytes [O]."""


class Greeting:
    """The handshake, seen from the host.

    Attributes:
        first_sequence: Sequence number that the host's first command will have.
        tries: How often HELLO was said.
        said_at: When it was last said.
        retry_at: When to say something again, or give up.
        resumes: Whether it takes up an earlier session.
    """

    def __init__(self, hello: Hello, rng: random.Random) -> None:
        self.tries = 0
        self.said_at = 0.0
        self.retry_at = 0.0
        self.resumes = bool(hello.resume_session)
        self._hello = replace(hello, payload_bytes=min(hello.payload_bytes, JUMBO_PAYLOAD_BYTES))
        self._probing = hello.payload_bytes > MAX_PAYLOAD_BYTES
        self._probes = 0
        # the board tells a HELLO that came twice from a second wish by it
        self._nonce = rng.randrange(1, 1 << 32)
        # a resumed session continues under numbers that no frame still under way can have
        self.first_sequence = rng.getrandbits(32) if self.resumes else 0
        self._round_trip = RoundTrip(rng)

    @property
    def exhausted(self) -> bool:
        """Whether it was said often enough."""
        return self.tries >= MAX_TRIES

    def say(self, now: float) -> bytes:
        """What to send now: a probe, or HELLO."""
        if self._probing and self._probes == PROBE_TRIES:
            self._probing = False
            self._hello = replace(self._hello, payload_bytes=MAX_PAYLOAD_BYTES)
        return self._probe(now) if self._probing else self._say_hello(now)

    def _probe(self, now: float) -> bytes:
        self._probes += 1
        self.retry_at = now + self._round_trip.timeout_s()
        padding = bytes(self._hello.payload_bytes)
        return encode_frame(Frame(FrameType.DISCOVER, message=self._nonce, payload=padding))

    def _say_hello(self, now: float) -> bytes:
        self.tries += 1
        self.said_at = now
        self.retry_at = now + self._round_trip.timeout_s(self.tries - 1)
        return encode_frame(
            Frame(
                FrameType.HELLO,
                sequence=self.first_sequence,
                message=self._nonce,
                payload=encode_hello(self._hello),
            )
        )

    def is_proven_by(self, frame: Frame) -> bool:
        """Whether an ANNOUNCE is the probe come back, so that HELLO is due."""
        whole = len(frame.payload) == self._hello.payload_bytes
        if not (self._probing and whole and frame.message == self._nonce):
            return False
        self._probing = False
        self._hello = replace(self._hello, features=self._hello.features | Feature.JUMBO)
        return True

    def is_answered_by(self, frame: Frame) -> bool:
        """Whether a HELLO_ACK or NAK is meant for this HELLO."""
        return frame.message == self._nonce and not self._probing
