"""Handshake and farewell as the host says them: HELLO until it is answered, BYE likewise.

A host that wants jumbo frames asks for an ANNOUNCE as long as they are. Only if that comes back
does the way carry them, there and back, and only then does HELLO ask for them. A host that has lost
frames on this way before asks likewise for what it wants, and for less as long as nobody answers.
Sends nothing: it makes the datagrams.
"""

import random
from dataclasses import replace
from typing import Final

from starlab_spec.wire.codec import decode_hello_ack, encode_frame, encode_hello
from starlab_spec.wire.congestion import MAX_TRIES, RTO_INITIAL_S, RoundTrip
from starlab_spec.wire.frames import (
    JUMBO_PAYLOAD_BYTES,
    MAX_PAYLOAD_BYTES,
    Feature,
    Frame,
    FrameType,
    Hello,
    HelloAck,
)
from starlab_spec.wire.requester.terms import check_terms

PROBE_TRIES: Final = 3
"""Probes without an answer before a host makes do with smaller payloads [O]."""
BYE_TRIES: Final = 3
PAYLOAD_STEPS: Final = (MAX_PAYLOAD_BYTES, 1024, 512, 256, 128)
"""Payloads to make do with where larger ones do not get through."""


def smaller_payload(payload_bytes: int) -> int:
    """The next smaller payload to make do with; the least one again if there is none."""
    return next((step for step in PAYLOAD_STEPS if step < payload_bytes), PAYLOAD_STEPS[-1])


class Greeting:
    """The handshake, seen from the host.

    Args:
        hello: What to ask for.
        rng: For the nonce and for jitter.
        wary: Larger frames may not get through: prove that the payload does, or take a smaller one.

    Attributes:
        first_sequence: Sequence number that the host's first command will have.
        tries: How often HELLO was said.
        said_at: When it was last said.
        retry_at: When to say something again, or give up.
        resumes: Whether it takes up an earlier session.
    """

    def __init__(self, hello: Hello, rng: random.Random, *, wary: bool = False) -> None:
        self.tries = 0
        self.said_at = 0.0
        self.retry_at = 0.0
        self.resumes = bool(hello.resume_session)
        self._hello = replace(hello, payload_bytes=min(hello.payload_bytes, JUMBO_PAYLOAD_BYTES))
        self._wary = wary
        self._probing = self._is_to_be_proven()
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

    def _is_to_be_proven(self) -> bool:
        payload_bytes = self._hello.payload_bytes
        return payload_bytes > (PAYLOAD_STEPS[-1] if self._wary else MAX_PAYLOAD_BYTES)

    def say(self, now: float) -> bytes:
        """What to send now: a probe, or HELLO."""
        if self._probing and self._probes == PROBE_TRIES:
            self._probes = 0
            smaller = smaller_payload(self._hello.payload_bytes)
            self._hello = replace(self._hello, payload_bytes=smaller)
            self._probing = self._is_to_be_proven()
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
        if not self._probing or frame.message != self._nonce:
            return False
        jumbo = self._hello.payload_bytes > MAX_PAYLOAD_BYTES
        whole = len(frame.payload) == self._hello.payload_bytes
        if jumbo and whole:
            self._hello = replace(self._hello, features=self._hello.features | Feature.JUMBO)
        # a board that answers short does not echo: of usual payloads that says nothing
        self._probing = jumbo and not whole
        return not self._probing

    def answer_in(self, frame: Frame) -> HelloAck | None:
        """The answer that a HELLO_ACK brings; None if it is not meant for this HELLO.

        Raises:
            PayloadError: Its terms are not acceptable.
        """
        if not self.is_answered_by(frame):
            return None
        answer = decode_hello_ack(frame.payload)
        check_terms(self._hello, frame, answer)
        return answer

    def declines(self, frame: Frame) -> list[bytes]:
        """How to tell a board that its terms are not accepted; not if somebody may resume."""
        if self.resumes:
            return []
        return [encode_frame(Frame(FrameType.RESET, session=frame.session, boot=frame.boot))]

    def is_answered_by(self, frame: Frame) -> bool:
        """Whether a HELLO_ACK or NAK is meant for this HELLO."""
        return frame.message == self._nonce and not self._probing


class Farewell:
    """The end of a session, seen from the host.

    Attributes:
        again_at: When to say BYE again, or give up.
    """

    def __init__(self) -> None:
        self.again_at = 0.0
        self._tries = 0

    @property
    def exhausted(self) -> bool:
        """Whether it was said often enough."""
        return self._tries >= BYE_TRIES

    def said(self, now: float) -> None:
        """BYE goes out."""
        self._tries += 1
        self.again_at = now + RTO_INITIAL_S
