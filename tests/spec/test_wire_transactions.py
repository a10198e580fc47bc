"""Commands and replies as bytes: literal bytes, round trips, hostile input."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.errors import PayloadError, TransactionError
from starlab_spec.wire.transactions import Opcode, Result, Status, SupplyReading, Transaction

u8, u32 = st.integers(0, 255), st.integers(0, 0xFFFFFFFF)
data = st.binary(max_size=40)
some_transactions = st.lists(st.builds(Transaction, u8, u32, data, u8), min_size=1, max_size=8)
some_results = st.lists(st.builds(Result, u8, u8, u32, data), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("transaction", "literal"),
    [
        (tr.read_registers(0x40, 10), "01 00 0000 00000004 00000040 0000000a"),
        (tr.read_registers(0x40, 3, fixed=True), "01 01 0000 00000004 00000040 00000003"),
        (
            tr.write_registers(0x38, [0x40000], mask=0x7E0000),
            "02 00 0000 00000008 00000038 007e0000 00040000",
        ),
        (tr.read_memory(0x1000, 627200), "10 00 0000 00000004 00001000 00099200"),
        (tr.write_memory(0x1000, b"\1\2\3\4\5"), "11 00 0000 00000005 00001000 0102030405 000000"),
        (tr.get_supply(21), "20 00 0000 00000000 00000015"),
        (tr.set_supply(3, 200), "21 00 0000 00000004 00000003 000000c8"),
        (tr.start(1 << 18), "30 00 0000 00000004 00000000 00040000"),
        (tr.abort(), "31 00 0000 00000000 00000000"),
        (tr.identify(), "40 00 0000 00000000 00000000"),
        (tr.emulator({"a": 1}), "7f 00 0000 00000007 00000000 7b2261223a317d 00"),
    ],
)
def test_a_transaction_has_the_documented_bytes(transaction: Transaction, literal: str) -> None:
    assert tr.encode_transactions([transaction]) == bytes.fromhex(literal)
    assert tr.decode_transactions(bytes.fromhex(literal)) == [transaction]


def test_results_have_the_documented_bytes() -> None:
    results = [
        Result(Opcode.READ_REG, Status.OK, 0x40, bytes.fromhex("0000000100000002")),
        Result(Opcode.START, Status.ABORTED, 0, b"stopped"),
    ]
    literal = bytes.fromhex(
        "01 00 0000 00000008 00000040 00000001 00000002 30 0d 0000 00000007 00000000"
    )
    literal += b"stopped\0"
    assert tr.encode_results(results) == literal
    assert tr.decode_results(literal) == results
    assert tr.words(results[0]) == (1, 2)
    assert [result.message for result in results] == ["", "stopped"]


@given(some_transactions)
def test_transactions_survive_the_round_trip(transactions: list[Transaction]) -> None:
    payload = tr.encode_transactions(transactions)
    assert len(payload) % 4 == 0
    assert tr.decode_transactions(payload) == transactions


@given(some_results)
def test_results_survive_the_round_trip(results: list[Result]) -> None:
    assert tr.decode_results(tr.encode_results(results)) == results


@given(some_transactions, st.data())
def test_a_message_cut_short_is_refused_or_ends_between_transactions(
    transactions: list[Transaction], draw: st.DataObject
) -> None:
    payload = tr.encode_transactions(transactions)
    cut = payload[: draw.draw(st.integers(0, len(payload) - 1))]
    try:
        assert tr.decode_transactions(cut) == transactions[: len(tr.decode_transactions(cut))]
    except TransactionError:
        pass


@given(st.binary(max_size=100))
def test_noise_is_decoded_or_refused_never_crashed_on(noise: bytes) -> None:
    for decode in (tr.decode_transactions, tr.decode_results):
        try:
            decode(noise)
        except TransactionError:
            pass


@given(
    st.lists(st.builds(Transaction, u8, u32, st.binary(min_size=4, max_size=4), u8), min_size=1),
    st.data(),
)
def test_one_word_each_is_read_by_the_length_fields_whatever_they_are(
    transactions: list[Transaction], draw: st.DataObject
) -> None:
    payload = tr.encode_transactions(transactions)
    assert tr.decode_transactions(payload) == transactions
    place = draw.draw(st.integers(0, len(payload) - 1))
    payload = payload[:place] + bytes([draw.draw(st.integers(0, 16))]) + payload[place + 1 :]
    try:
        found = tr.decode_transactions(payload)
    except TransactionError:
        assert 2 <= place % 16 <= 7, "only the reserved field and the length can be wrong"
        return
    offset = 0
    for opcode, address, data, flags in found:
        head = struct.pack(">BBHII", opcode, flags, 0, len(data), address)
        assert payload[offset:].startswith(head + data)
        offset += 12 + len(data) + -len(data) % 4
    assert offset == len(payload)


def test_known_codes_come_back_as_names_and_unknown_ones_as_they_came() -> None:
    known, unknown = tr.decode_transactions(
        tr.encode_transactions([Transaction(0x30), Transaction(0x99)])
    )
    assert isinstance(known.opcode, Opcode)
    assert unknown.opcode == 0x99


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "^a message without any transaction$"),
        (bytes(8), "^transaction 0 is cut off at byte 8$"),
        (bytes(3) + b"\1" + bytes(8), "^transaction 0 uses the reserved field: 1$"),
        (
            bytes.fromhex("11000000 00000005 00000000 01020304"),
            "^transaction 0 has 5 bytes of data, cut off at byte 16$",
        ),
    ],
)
def test_a_refused_command_says_where_it_is_wrong(payload: bytes, message: str) -> None:
    with pytest.raises(TransactionError, match=message):
        tr.decode_transactions(payload)


def test_a_field_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TransactionError, match=r"^a field does not fit"):
        tr.encode_transactions([Transaction(Opcode.START, 1 << 32)])


def test_supply_readings_name_their_fields() -> None:
    result = Result(Opcode.GET_SUPPLY, Status.OK, 3, bytes.fromhex("000000c8 00124f80 00000001"))
    assert tr.supply_reading(result) == SupplyReading(200, 1_200_000, settled=True, fault=False)
    with pytest.raises(
        TransactionError, match=r"^2 words are not the 3 words of a supply reading$"
    ):
        tr.supply_reading(result._replace(data=bytes(8)))
    with pytest.raises(TransactionError, match=r"^5 bytes of result are not whole words$"):
        tr.words(result._replace(data=bytes(5)))


def test_json_results_are_objects() -> None:
    assert tr.json_object(Result(Opcode.IDENTIFY, 0, 0, b'{"serial":"S1"}')) == {"serial": "S1"}
    with pytest.raises(PayloadError):
        tr.json_object(Result(Opcode.IDENTIFY, 0, 0, b"\xff"))


def test_a_command_is_described_in_a_few_words() -> None:
    steps = [tr.write_registers(0x2C, [1]), tr.start(1 << 18), tr.abort()]
    assert tr.describe(steps) == "WRITE_REG 0x2C, START 0x40000, ABORT"
    assert tr.describe([tr.get_supply(1)] * 6) == ", ".join(["GET_SUPPLY 0x1"] * 4) + " and 2 more"
    assert tr.describe([Transaction(0x99, 0x10)]) == "opcode 0x99 0x10"
