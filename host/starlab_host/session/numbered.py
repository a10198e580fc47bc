"""What is needed of a session, by who needs it. Opens none."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from starlab_host.session.statistics import LinkStatistics
from starlab_host.session.waiting import BeforeSending, Progress, Stop, Stopped
from starlab_spec.wire.frames import BoardStatus, HelloAck
from starlab_spec.wire.transactions import Result, Transaction


class CommandSession(Protocol):
    """What a board needs of its session; :class:`starlab_host.Session` is one."""

    @property
    def identity(self) -> dict[str, Any]:
        """Who the board says it is."""

    @property
    def boot_id(self) -> int:
        """Drawn anew at each start of the board."""

    @property
    def statistics(self) -> LinkStatistics:
        """How the link has done so far."""

    @property
    def is_closed(self) -> bool:
        """Whether the session is over."""

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        read_only: bool = False,
        dry_run: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> list[Result]:
        """Run a command to its reply; failed results are returned, the first one last."""

    def abort(self) -> None:
        """Stop what runs and what waits."""

    def emergency_stop(self, timeout_s: float) -> Stopped:
        """Stop it, drivers off, latched; StopUnconfirmed where the board does not say so."""

    def status(self) -> BoardStatus:
        """How the board is, beside the commands."""

    def close(self) -> None:
        """End the session."""


class NumberedSession(CommandSession, Protocol):
    """What is needed of a session; :class:`starlab_host.Session` is one."""

    @property
    def granted(self) -> HelloAck:
        """The terms of the session."""

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        read_only: bool = False,
        dry_run: bool = False,
        again: int = 0,
        before_sending: BeforeSending | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> list[Result]:
        """Execute a command on the board and wait for its reply.

        Args:
            transactions: What to do, in order; all of it in one command.
            read_only: It changes nothing; a board refuses it if it does.
            dry_run: Check it against every limit, execute nothing.
            again: Message id under which the board has executed it: only the reply is wanted.
            before_sending: Called on this thread with the message id and the payload, and again
                if an urgent command takes the id meanwhile. What it raises keeps the command here.
            on_progress: Called on this thread with the news of a command that takes long.
            stop: Stops this command at its next safe point, and no other one: its last result is
                then ABORTED, unless it ended by itself just then.

        Returns:
            One result for each transaction, up to the first that failed.

        Raises:
            LinkError: It was surely not executed, or only reads.
            OutcomeUnknown: It may have been executed; nothing is sent again.
            WireError: It does not fit into one message.
        """
