"""When a host asks for the board's status: at once if wanted, every second if idle, or in doubt.

Sends nothing: the requester does.
"""

from typing import Final

from starlab_spec.wire.congestion import RoundTrip
from starlab_spec.wire.frames import FIRST_CHALLENGE, KEEPALIVE_S

STATUS_TRIES: Final = 5
"""STATUS_REQUESTs without any answer before the link counts as lost."""
STATUS_OWED_MAX: Final = 16
"""STATUS_REQUESTs without a STATUS before it does, although other frames come."""


class Keepalive:
    """Counts requests for the status and times the next one.

    Attributes:
        unanswered: Requests since anything was heard of the board.
        owed: Requests since a STATUS came.
    """

    def __init__(self, round_trip: RoundTrip) -> None:
        self.unanswered = 0
        self.owed = 0
        self._round_trip = round_trip
        self._requests = 0
        self._again_at: float | None = None

    @property
    def exhausted(self) -> bool:
        """Whether the board was asked so often without any answer that it counts as lost."""
        return self.unanswered >= STATUS_TRIES

    @property
    def in_vain(self) -> bool:
        """Whether no STATUS gets through, although the board is heard of."""
        return self.owed >= STATUS_OWED_MAX

    def ask(self, now: float) -> int:
        """A request goes out; returns its number."""
        self.unanswered += 1
        self.owed += 1
        self._requests += 1
        self._again_at = now + self._round_trip.timeout_s(self.owed + 1)
        return self._requests

    def latest(self) -> int:
        """Number of the latest request: whoever asks later does not take its answer for theirs."""
        self._requests = max(self._requests, 1)
        return self._requests

    def is_challenge(self, number: int) -> bool:
        """Whether a STATUS of that number is of no request.

        The board has heard of this host from a new address, and asks whether it is there.
        """
        return number >= FIRST_CHALLENGE

    def answered(self, number: int) -> None:
        """A STATUS of that number has come; of number 0, nobody asked for it."""
        self.owed = 0
        if number:
            self._again_at = None

    def due(self, sent_at: float, *, in_doubt: bool) -> float:
        """When to ask next.

        Args:
            sent_at: When anything was last sent.
            in_doubt: Whether to ask without waiting for an idle second.
        """
        if self._again_at is not None:
            return self._again_at
        return sent_at if in_doubt else sent_at + KEEPALIVE_S

    def what_was_tried(self, timeouts: int) -> str:
        """What came to nothing before the link counted as lost, for people."""
        tries = f"{timeouts} timeouts of the oldest frame, " if timeouts else ""
        return f"{tries}{self.unanswered} STATUS_REQUEST unanswered"
