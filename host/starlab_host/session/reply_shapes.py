"""What the reply to a command looks like, as far as the command tells. Sends nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlab_spec.operations import Operation
from starlab_spec.samples import ONE_HOT_BYTES, Y2_BLOCK_BYTES
from starlab_spec.supplies import CODE_MAX
from starlab_spec.wire.codec import decode_json
from starlab_spec.wire.errors import PayloadError, TransactionError
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.transactions import Opcode, Result, Transaction, describe

_HEAD_BYTES: Final = 12
"""Opcode, status, reserved, length and address of a result."""
_READING_BYTES: Final = 12
_WORD_BYTES: Final = 4
_NOTHING: Final = frozenset({Opcode.WRITE_REG, Opcode.WRITE_MEM, Opcode.ABORT})
_RETURN_NOTHING: Final = frozenset({Operation.FORM, Operation.SET, Operation.RESET})
_EXTENSIONS: Final = frozenset(
    {
        Operation.PULSE_MASK,
        Operation.READ_ARRAY,
        Operation.BATCH_INFERENCE,
        Operation.BATCH_TRAINING,
        Operation.VMM2,
    }
)
_WIRES_COUNTS: Final = ("solutions", "most_steps")
_WIRES_RESIDUAL: Final = "greatest_residual"
_COUNT_MAX: Final = (1 << 64) - 1
_SHOWN: Final = 60
"""Characters that a message shows of a value."""
_SUPPLY: Final = frozenset({Opcode.GET_SUPPLY, Opcode.SET_SUPPLY})


def data_bytes(transaction: Transaction) -> int | None:
    """Length of the data of a good result; None where the transaction alone does not tell."""
    opcode, _, data, _ = transaction
    if opcode in _NOTHING:
        return 0
    if opcode in _SUPPLY:
        return _READING_BYTES
    if opcode == Opcode.READ_MEM:
        return int.from_bytes(data, "big")
    if opcode == Opcode.READ_REG:
        return _WORD_BYTES * int.from_bytes(data, "big")
    return None


def check_results(
    transactions: Sequence[Transaction], results: Sequence[Result], *, dry_run: bool = False
) -> None:
    """Refuse results that are no answer to these transactions.

    Args:
        transactions: What was asked.
        results: What was answered: one for each up to the first that failed.
        dry_run: It was a rehearsal: good results need not have data.

    Raises:
        TransactionError: Naming the result, and what is wrong with it.
    """
    last = len(results) - 1
    if last >= len(transactions):
        raise TransactionError(f"{last + 1} results to {len(transactions)} transactions")
    for number, (result, asked) in enumerate(zip(results, transactions, strict=False)):
        if result[0] != asked[0]:
            raise TransactionError(
                f"result {number} has opcode 0x{result[0]:02X}, asked was 0x{asked[0]:02X}"
            )
        if result[1]:
            if number != last:
                raise TransactionError(f"result {number} failed, and {last - number} follow it")
        elif not dry_run:
            _check_data(number, asked, result[3])
    if last + 1 < len(transactions) and not results[last][1]:
        raise TransactionError(
            f"{last + 1} results, all of them good, to {len(transactions)} transactions"
        )


def _check_data(number: int, asked: Transaction, data: bytes) -> None:
    size, wanted = len(data), data_bytes(asked)
    opcode = asked[0]
    if wanted is None:
        fits = _ANY_FITS.get(opcode, _is_operation_result)(asked, data)
    else:
        fits = size == wanted
    if not fits:
        of = f", asked were {wanted}" if wanted is not None else ""
        raise TransactionError(f"result {number} ({describe([asked])}) has {size} bytes{of}")
    if opcode in _SUPPLY:
        code = int.from_bytes(data[:_WORD_BYTES], "big")
        if code > CODE_MAX:
            raise TransactionError(f"supply {asked[1]} has code {code}, above the {CODE_MAX} limit")


def _is_json(asked: Transaction, data: bytes) -> bool:
    """Whether it is a JSON object; raises `PayloadError` with the reason otherwise."""
    return isinstance(decode_json(data), dict)


def _is_emulator_answer(asked: Transaction, data: bytes) -> bool:
    """Whether it tells the emulated time, and what wires took where it does; raises as above."""
    answer = decode_json(data)
    time_s, wires = answer.get("emulated_time_s"), answer.get("wires", {})
    if not (_is_count(time_s) or (isinstance(time_s, float) and time_s >= 0)):
        raise PayloadError(f"emulated_time_s {time_s!r:.{_SHOWN}} is no time")
    if not isinstance(wires, dict) or not all(map(_is_wires_account, wires.values())):
        raise PayloadError(f"wires {wires!r:.{_SHOWN}} is no account of nodal solutions")
    return True


def _is_wires_account(told: Any) -> bool:
    return (
        isinstance(told, dict)
        and all(_is_count(told.get(name)) for name in _WIRES_COUNTS)
        and (_is_count(told.get(_WIRES_RESIDUAL)) or isinstance(told.get(_WIRES_RESIDUAL), float))
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _COUNT_MAX


def _is_operation_result(asked: Transaction, data: bytes) -> bool:
    """Whether the length is one that the operation of a START can return."""
    if asked[0] != Opcode.START:
        return True  # of an opcode that is not known here
    size, operation = len(data), int.from_bytes(asked[2], "big")
    if operation in _RETURN_NOTHING:
        return not size
    if operation == Operation.READ:
        return size % _WORD_BYTES == 0
    if operation == Operation.BP:
        return size == Y2_BLOCK_BYTES
    if operation == Operation.INFERENCE:
        return size == Y2_BLOCK_BYTES or size % ONE_HOT_BYTES == 0
    return operation not in _EXTENSIONS or size == 2 * _WORD_BYTES


_ANY_FITS: Final[Mapping[int, Callable[[Transaction, bytes], bool]]] = {
    Opcode.IDENTIFY: _is_json,
    Opcode.EMULATOR: _is_emulator_answer,
}


def message_bytes(requester: Requester, asked: Mapping[int, Sequence[Transaction]]) -> int | None:
    """Length of the message that keeps the oldest command waiting; None if it is not known.

    Args:
        requester: The session's state machine.
        asked: What each outstanding command asks.
    """
    command = next(iter(requester.outstanding.values()), None)
    if command is None:
        return None
    if not command.delivered:
        return len(command.payload)
    sizes = [data_bytes(transaction) for transaction in asked.get(command.message_id, ())]
    known = [_HEAD_BYTES + size + -size % _WORD_BYTES for size in sizes if size is not None]
    return sum(known) if sizes and len(known) == len(sizes) else None
