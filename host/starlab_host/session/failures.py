"""What to tell a caller when a session is over before the reply has come. Decides nothing else."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlab_host.errors import (
    BoardAway,
    BoardMisbehaves,
    HandshakeRefused,
    LinkError,
    LinkLost,
    OutcomeUnknown,
    SessionEnded,
    StarlabHostError,
)
from starlab_host.session.reply_shapes import check_results
from starlab_host.session.waiting import Call
from starlab_spec.foreign_text import shown_text
from starlab_spec.wire.errors import WireError
from starlab_spec.wire.frames import BoardStatus, FrameFlag
from starlab_spec.wire.requester.events import Ended, EndReason
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.transactions import (
    Result,
    Transaction,
    decode_results,
    describe,
    status_of,
)

_LOST: Final = frozenset({EndReason.UNANSWERED, EndReason.SWALLOWED})


def no_session(ended: Ended) -> LinkError:
    """The error for a handshake that came to nothing."""
    detail = shown_text(ended.detail)
    if ended.reason is EndReason.REFUSED:
        return HandshakeRefused(status_of(ended.status), detail)
    if ended.reason is EndReason.MISBEHAVED:
        return BoardMisbehaves(detail)
    return BoardAway(f"nobody answers: {detail}")


def failure_of(
    ended: Ended,
    requester: Requester,
    message_id: int | None,
    commands: Mapping[int, Sequence[Transaction]],
    now: float,
) -> StarlabHostError:
    """The error for one caller of a session that is over.

    Args:
        ended: How it ended.
        requester: The session's state machine, as the end left it.
        message_id: The caller's command; None for a caller who waits for something else.
        commands: What each outstanding command asked.
        now: The time, in seconds.

    Returns:
        `OutcomeUnknown`, with all commands in doubt, if the caller's command is one of them;
        otherwise the `LinkError` that fits.
    """
    doubtful = [
        (command.message_id, describe(commands.get(command.message_id, ())))
        for command in requester.in_doubt()
    ]
    cause = _cause(ended, requester.last_status)
    if message_id is not None and message_id in requester.outstanding:
        cause = f"{_what_is_missing(requester, message_id, commands, now)}: {cause}"
    if any(number == message_id for number, _ in doubtful):
        return OutcomeUnknown(f"{cause}. It may have been executed: read back", doubtful)
    if ended.reason is EndReason.MISBEHAVED:
        return BoardMisbehaves(shown_text(ended.detail))
    if ended.reason in _LOST:
        return LinkLost(cause)
    return SessionEnded(cause, status_of(ended.status))


def results_of(call: Call, message_id: int, reply: bytes) -> list[Result]:
    """The results in the reply to a command.

    Raises:
        BoardMisbehaves: It is no reply to this command, which changes nothing.
        OutcomeUnknown: It is none, and what was executed cannot be told.
    """
    dry_run = bool(call.flags & FrameFlag.DRY_RUN)
    try:
        results = decode_results(reply)
        check_results(call.transactions, results, dry_run=dry_run)
    except WireError as error:
        problem = BoardMisbehaves(f"reply to message {message_id}: {error}")
        if dry_run or call.flags & FrameFlag.READ_ONLY:
            raise problem from error
        raise OutcomeUnknown(
            f"{problem}. It may have been executed: read back",
            [(message_id, describe(call.transactions))],
        ) from error
    return results


def _cause(ended: Ended, status: BoardStatus | None) -> str:
    cause = ended.reason.value
    if ended.detail:
        cause += f" ({shown_text(ended.detail)})"
    if ended.reason in _LOST and status is not None:
        cause += (
            f"; last status: {status.state.name}, next message {status.next_message_id}, "
            f"executing {status.executing_message_id or 'none'}"
        )
    return cause


def _what_is_missing(
    requester: Requester,
    message_id: int,
    commands: Mapping[int, Sequence[Transaction]],
    now: float,
) -> str:
    command = requester.outstanding[message_id]
    elapsed_s = now - command.submitted_at
    missing = (
        "the request arrived, the reply is missing"
        if command.delivered
        else "the request was not acknowledged"
    )
    what = describe(commands.get(message_id, ()))
    return f"message {message_id} ({what}) has no reply after {elapsed_s:.1f} s, {missing}"
