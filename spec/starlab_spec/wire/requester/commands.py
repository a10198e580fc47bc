"""The host's commands without a reply: which may go out, be asked for again, or are in doubt.

Sends nothing: it puts commands into a `SendWindow`.
"""

from collections import deque
from typing import Final

from starlab_spec.wire.congestion import MAX_TRIES, RTO_CAP_S
from starlab_spec.wire.errors import PayloadError
from starlab_spec.wire.frames import (
    BoardState,
    BoardStatus,
    FrameFlag,
    FrameType,
    HelloAck,
    longest_message_bytes,
)
from starlab_spec.wire.requester.events import Command
from starlab_spec.wire.sending import SendWindow

_BUSY_RETRY_S: Final = 0.01
"""First pause before a command that the board had no room for is sent again; doubles."""
_ASKINGS_MAX: Final = 150
"""How often one reply is asked for, whatever else gets through meanwhile: five minutes."""
_HARMLESS: Final = int(FrameFlag.READ_ONLY | FrameFlag.DRY_RUN)


class CommandLedger:
    """The commands of one session, from their submission to their reply.

    Attributes:
        next_message: Message id of the next command.
        outstanding: Commands without a reply, by message id, in order.
        retry_at: When `send_again` wants to be called; None if never.
        deliveries: How many commands have arrived in full.
        asked_in_vain: How often the board was asked since a part of any reply came last.
    """

    def __init__(self, send: SendWindow, answer: HelloAck) -> None:
        self.next_message = answer.next_message_id
        self.outstanding: dict[int, Command] = {}
        self.retry_at: float | None = None
        self.deliveries = 0
        self.asked_in_vain = 0
        self._send = send
        self._window = answer.window
        self._payload_bytes = answer.payload_bytes
        self._waiting: deque[Command] = deque()

    def submit(
        self, payload: bytes, now: float, *, flags: int, urgent: bool, again: int = 0
    ) -> int:
        """Send a command.

        Args:
            payload: As `starlab_spec.wire.transactions.encode_transactions` makes it.
            now: The time, in seconds.
            flags: READ_ONLY, DRY_RUN.
            urgent: It goes before everything that waits to be sent, and does not wait for room.
            again: Message id of a command of a resumed session, below `next_message_id`: the board
                has executed it, and only its reply is wanted.

        Returns:
            The message id.

        Raises:
            PayloadError: The command is too long for one message.
        """
        if len(payload) > (limit := longest_message_bytes(self._payload_bytes)):
            raise PayloadError(f"command of {len(payload)} bytes is above the {limit}-byte limit")
        message_id = again or self.next_message
        if not again:
            self.next_message += 1
        command = Command(message_id, payload, flags, now)
        self.outstanding[message_id] = command
        if urgent:
            self._queue(command, first=True)
        elif self._waiting or not self._is_admitted(command):
            self._waiting.append(command)
        else:
            self._queue(command)
        return message_id

    def replied(self, message_id: int) -> Command:
        """A command has its reply."""
        command = self.outstanding.pop(message_id)
        if self._waiting:
            self._admit()
        return command

    def delivered(self, message_ids: list[int]) -> None:
        """The board has acknowledged all frames of these commands."""
        self.deliveries += len(message_ids)
        for message_id in message_ids:
            command = self.outstanding.get(message_id)
            if command is not None:
                command.delivered = True

    def part_came(self, command: Command | None, now: float) -> None:
        """A part of a reply came; None if nobody waits for that reply any more."""
        self.asked_in_vain = 0
        if command is not None:
            command.part_came_at = now

    def put_off(self, command: Command, now: float) -> None:
        """The board had no room for a command: send it again later."""
        command.delivered = False
        command.askings += 1
        self.asked_in_vain += 1
        command.asked_at = now + min(_BUSY_RETRY_S * 2**command.askings, RTO_CAP_S)
        self._schedule()

    def send_again(self, now: float) -> None:
        """Send commands again that were put off long enough."""
        if self.retry_at is None or now < self.retry_at:
            return
        for command in self._put_off():
            if command.asked_at <= now:
                self._queue(command)
                command.asked_at = now + RTO_CAP_S
        self._schedule()

    def ask_again(self, status: BoardStatus, now: float) -> None:
        """Ask for the oldest reply, which the board must have sent, by sending its command again.

        The board knows the command by its message id and repeats the reply alone.
        """
        command = next(iter(self.outstanding.values()), None)
        if command is None or not command.delivered or _is_to_come(command.message_id, status):
            return
        pause_s = self._send.round_trip.timeout_s(command.askings)
        since = max(command.submitted_at, command.asked_at, command.part_came_at)
        if now >= since + pause_s:
            command.askings += 1
            self.asked_in_vain += 1
            command.asked_at = now
            self._queue(command)

    def missing(self) -> Command | None:
        """The command whose reply was asked for so often in vain that it will not come."""
        command = next(iter(self.outstanding.values()), None)
        if command is None:
            return None
        hopeless = self.asked_in_vain > MAX_TRIES or command.askings > _ASKINGS_MAX
        return command if hopeless else None

    def in_doubt(self) -> list[Command]:
        """As `Requester.in_doubt`."""
        unsent = {command.message_id for command in self._waiting}
        return [
            command
            for command in self.outstanding.values()
            if not command.flags & _HARMLESS
            and command.message_id not in unsent
            and (command.delivered or not self._send.holds_back(command.message_id))
        ]

    def _admit(self) -> None:
        """Queue waiting commands as far as the board takes them."""
        while self._waiting and self._is_admitted(self._waiting[0]):
            self._queue(self._waiting.popleft())

    def _is_admitted(self, command: Command) -> bool:
        """Whether the board is sure to hold a command until its turn comes."""
        return command.message_id - next(iter(self.outstanding)) < self._window

    def _queue(self, command: Command, *, first: bool = False) -> None:
        self._send.queue(
            FrameType.COMMAND,
            command.message_id,
            command.payload,
            flags=command.flags,
            prompt=first,
            first=first,
            tracked=True,
        )

    def _put_off(self) -> list[Command]:
        return [c for c in self.outstanding.values() if c.askings and not c.delivered]

    def _schedule(self) -> None:
        self.retry_at = min((command.asked_at for command in self._put_off()), default=None)


def _is_to_come(message_id: int, status: BoardStatus) -> bool:
    """Whether the board still executes a command, or something before it."""
    executing = status.executing_message_id
    if executing:
        return executing <= message_id
    # of an earlier session
    return status.state is BoardState.EXECUTING and status.next_message_id <= message_id
