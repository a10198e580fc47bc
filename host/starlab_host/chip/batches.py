"""Batches of any size as commands of bounded size. Knows neither samples nor records."""

import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_host.board.board import Board
from starlab_host.board.commands import samples_per_command
from starlab_host.errors import (
    Aborted,
    BoardRefused,
    Compliance,
    LinkError,
    LinkLost,
    OutcomeUnknown,
)
from starlab_spec.wire.transactions import Opcode, Transaction

_STOPPED: Final = re.compile(r"stopped after (\d{1,9}) of \d{1,9} samples")
"""What a board says of a batch that it stopped. It is of that very batch, while the register of
samples done is of the last one, which may be that of a call beside this one."""


def run_batch(
    board: Board,
    count: int,
    record: np.dtype[np.void],
    command: Callable[[slice], Sequence[Transaction]],
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.void]:
    """Run a batch operation on all samples, in order, a command for each part of them.

    Args:
        board: Where.
        count: Number of samples.
        record: What the operation leaves for each of them.
        command: The transactions for some of the samples; its last result holds their records.
        on_progress: Told of samples done, during a command as well.

    Returns:
        Shape (count,).

    Raises:
        BoardRefused: With ``done``, the number of samples that were finished. After a
            :class:`Compliance` the next one has had the pulses that its message names; after any
            other none.
        OutcomeUnknown, LinkLost: The message says which samples were finished.
    """
    tell = board.reporting("samples", on_progress)
    board.reporting("samples")(0, count)
    records = np.empty(count, record)
    step = samples_per_command(record)
    for first in range(0, count, step):
        part = slice(first, min(first + step, count))
        try:
            results = board.execute(command(part), on_progress=_shifted(tell, first, count))
        except BoardRefused as error:
            done, rest = first, ""
            told = _STOPPED.search(error.message) if isinstance(error, Aborted) else None
            if told is not None:
                done += int(told[1])
            elif isinstance(error, Aborted | Compliance) and error.opcode == Opcode.START:
                done += board.read_register("BATCH_DONE")
                rest = f", sample {done} in part" if isinstance(error, Compliance) else ""
            board.reporting("samples")(done, count)
            message = error.message
            if told is None or part.stop - part.start < count:
                message += f"; {done} of {count} samples are done{rest}"
            raise type(error)(error.status, message, opcode=error.opcode, done=done) from error
        except OutcomeUnknown as error:
            board.reporting("samples")(first, count)
            message = f"samples {first}..{part.stop - 1} of {count} are in doubt, those before done"
            raise OutcomeUnknown(
                f"{message}: {error}", error.commands, pulses=error.pulses
            ) from error
        except LinkError as error:
            board.reporting("samples")(first, count)
            raise LinkLost(f"{first} of {count} samples are done: {error}") from error
        records[part] = np.frombuffer(results[-1].data, record)
        tell(part.stop, count)
    return records


def _shifted(
    tell: Callable[[int, int], None], first: int, count: int
) -> Callable[[int, int], None]:
    """A report on a part as a report on the whole batch."""

    def report(done: int, _: int) -> None:
        tell(first + done, count)

    return report
