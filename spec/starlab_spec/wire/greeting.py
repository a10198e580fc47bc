"""HELLO as the host says it: again and again under one nonce, until it is answered.

Sends nothing: it makes the datagrams.
"""

import random

from starlab_spec.wire.codec import encode_frame, encode_hello
from starlab_spec.wire.congestion import MAX_TRIES, RoundTrip
from starlab_spec.wire.frames import Frame, FrameType, Hello


class Greeting:
    """The handshake, seen from the host.

    Attributes:
        first_sequence: Sequence number that the host's first command will have.
        tries: How often HELLO was said.
        said_at: When it was last said.
        retry_at: When to say it again, or give up.
        resumes: Whether it takes up an earlier session.
    """

    def __init__(self, hello: Hello, rng: random.Random) -> None:
        self.tries = 0
        self.said_at = 0.0
        self.retry_at = 0.0
        self.resumes = bool(hello.resume_session)
        self._hello = hello
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
        """The HELLO to send now."""
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

    def is_answered_by(self, frame: Frame) -> bool:
        """Whether a HELLO_ACK or NAK is meant for this HELLO."""
        return frame.message == self._nonce
