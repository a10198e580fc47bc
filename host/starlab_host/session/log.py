"""What a session writes into the log: that it is open, and how and with what totals it ended.

The logger is `starlab_host.session.session`. Writes nothing about single commands.
"""

import logging

from starlab_host.links.path_memory import PathMemory
from starlab_host.session.statistics import RoundTrips, statistics_of
from starlab_spec.foreign_text import shown_text
from starlab_spec.wire.frames import HelloAck
from starlab_spec.wire.requester.events import Ended, EndReason
from starlab_spec.wire.requester.requester import Requester

_LOG = logging.getLogger("starlab_host.session")


def log_opened(granted: HelloAck, path: PathMemory) -> None:
    """INFO: the terms of a session that is open now; WARNING where its payload is reduced."""
    _LOG.info(
        "session 0x%08X open: board %s, boot id 0x%08X, window %d frames, payload %d bytes, "
        "next message %d",
        granted.session_id,
        shown_text(str(granted.identity.get("serial", "without a serial number"))),
        granted.boot_id,
        granted.window,
        granted.payload_bytes,
        granted.next_message_id,
    )
    full = path.reduced_from(granted.payload_bytes)
    if full is not None:
        _LOG.warning(
            "session 0x%08X: payload reduced from %d to %d bytes, as larger frames did not get "
            "through",
            granted.session_id,
            full,
            granted.payload_bytes,
        )


def log_ended(ended: Ended, requester: Requester, trips: RoundTrips, path: PathMemory) -> None:
    """INFO for a session that was closed here, WARNING for any other end; none if none was open."""
    if requester.answer is None:
        return
    expected = ended.reason is EndReason.CLOSED
    _LOG.log(
        logging.INFO if expected else logging.WARNING,
        "session 0x%08X over: %s%s; %s",
        requester.answer.session_id,
        ended.reason.value,
        f" ({shown_text(ended.detail)})" if ended.detail else "",
        statistics_of(trips, requester, path, ended),
    )
