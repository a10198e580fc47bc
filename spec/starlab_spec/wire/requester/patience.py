"""When a host stops waiting, and why: nothing is heard, or what is heard is not what is missing.

Ends nothing: the requester does. An execution may take as long as it likes, as the board tells of
it; what is bounded is how often the same is tried without anything getting through.
"""

from starlab_spec.wire.requester.commands import CommandLedger
from starlab_spec.wire.requester.events import EndReason
from starlab_spec.wire.requester.keepalive import Keepalive
from starlab_spec.wire.sending import SendWindow

Verdict = tuple[EndReason, str]
"""Why the session is to end, and what is known of it, for people."""


class Patience:
    """Of one session with its board."""

    def __init__(self, send: SendWindow, keepalive: Keepalive, ledger: CommandLedger) -> None:
        self._send = send
        self._keepalive = keepalive
        self._ledger = ledger
        self._deliveries = -1
        """Commands that had arrived when the oldest frame was first tried once more."""

    def before_asking(self) -> Verdict | None:
        """Whether to end the session instead of asking for the status once more."""
        keepalive, timeouts = self._keepalive, self._send.timeouts
        if keepalive.exhausted:
            return EndReason.UNANSWERED, keepalive.what_was_tried(timeouts)
        if keepalive.in_vain:
            return (
                EndReason.SWALLOWED,
                f"frames come, but {keepalive.owed} STATUS_REQUEST were answered by no STATUS",
            )
        return None

    def after_status(self) -> Verdict | None:
        """Whether to end the session although the board has told how it is."""
        if not self._send.exhausted:
            return None
        if self._deliveries != self._ledger.deliveries:
            self._deliveries = self._ledger.deliveries
            return None
        return (
            EndReason.SWALLOWED,
            f"the board answers STATUS_REQUEST, but in {self._send.timeouts} timeouts "
            "no frame of the command got through",
        )

    def after_asking(self) -> Verdict | None:
        """Whether to end the session as the oldest reply was asked for often enough."""
        missing = self._ledger.missing()
        if missing is None:
            return None
        return (
            EndReason.SWALLOWED,
            f"the board answers STATUS_REQUEST, but asked {missing.askings - 1} times for its "
            f"reply to message {missing.message_id} it got none through",
        )
