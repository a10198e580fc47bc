"""Why the emulated board refuses what it is asked. Never about links or frames.

    Refused         a transaction fails with a status of the wire protocol and a message
    PowerFailed     the power fails in the middle of an operation: nothing is answered
    StateUnusable   the file that is to keep the chip cannot

Beside it the board's modules raise the errors of `starlab_spec.errors`; at the front a
``LimitExceeded`` becomes status RANGE and any other ``SpecError`` becomes BAD_REQUEST.
"""

from starlab_spec.wire.transactions import Status


class Refused(Exception):
    """A transaction fails.

    Attributes:
        status: The status of its result.
    """

    def __init__(self, status: Status, message: str) -> None:
        self.status = status
        super().__init__(message)


class PowerFailed(Exception):
    """The power has failed, as was asked; the board comes up again, and knows of no command."""


class StateUnusable(Exception):
    """The file that is to keep the chip cannot be opened, is in use, or is something else."""
