"""What is known of the way to one board, from one connection to the next. Sends nothing.

A way may swallow all frames above some length, or of one length, and let the others through: a
tunnel, a jumbo network with a small hop, a broken interface. Sessions on it end although the board
answers; the next one makes do with smaller payloads.
"""

from starlab_spec.wire.frames import HelloAck
from starlab_spec.wire.requester.events import Ended, EndReason
from starlab_spec.wire.requester.greeting import smaller_payload


class PathMemory:
    """Payloads that suit the way to one board. Whoever connects to it again keeps it."""

    def __init__(self) -> None:
        self._full: int | None = None
        self._below: int | None = None
        self._wary = False

    @property
    def wary(self) -> bool:
        """Whether payloads have to be proven before they are relied on."""
        return self._wary

    def wanted(self, payload_bytes: int) -> int:
        """The payload to ask for.

        Args:
            payload_bytes: What would be asked for if nothing were known.
        """
        self._full = payload_bytes
        return payload_bytes if self._below is None else min(self._below, payload_bytes)

    def reduced_from(self, payload_bytes: int) -> int | None:
        """What a payload would be without what is known; None: just so."""
        full = self._full
        return full if self._wary and full is not None and full > payload_bytes else None

    def ended(self, ended: Ended, granted: HelloAck | None, stuck_bytes: int | None = None) -> None:
        """A session is over. Unless frames were swallowed, the full payload is tried again.

        Args:
            ended: How.
            granted: Its terms; None if it was never open.
            stuck_bytes: Length of the message that did not get through, if it is known: frames of
                just one length may be swallowed, so it is to come in several.
        """
        if granted is not None:
            swallowed = ended.reason is EndReason.SWALLOWED
            self._wary |= swallowed
            tried = min(granted.payload_bytes, stuck_bytes or granted.payload_bytes)
            self._below = smaller_payload(tried) if swallowed else None
