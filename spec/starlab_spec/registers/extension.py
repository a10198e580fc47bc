"""Our registers from 0x100 up [O]: identity, learning, batches, faults, counters.

Learning wakes up in settings that suit the published converters (8 and 5 bits): no output
activation, targets of 100 and -40, and thresholds found by search (docs/learning.md).
"""

from typing import Final

from starlab_spec.registers.fields import Access, Field, Register

IDENTITY_WORD: Final = 0x53544C52
"""What register IDENTITY of a board with the extension block holds: "STLR"."""


def _word(
    address: int,
    name: str,
    doc: str,
    *,
    reset: int = 0,
    high: int = 31,
    signed: bool = False,
    read_only: bool = False,
) -> Register:
    access = Access.READ_ONLY if read_only else Access.READ_WRITE
    field = Field("value", high, 0, doc, signed)
    return Register(address, name, (field,), field.bits(reset), access, published=False)


def _counter(address: int, name: str, doc: str) -> list[Register]:
    return [
        _word(address, f"{name}_HIGH", f"{doc}: upper word", read_only=True),
        _word(address + 4, f"{name}_LOW", f"{doc}: lower word", read_only=True),
    ]


COUNTERS: Final[tuple[tuple[str, str], ...]] = (
    ("ARRAY1_SET_PULSES", "SET pulses on cells of array 1"),
    ("ARRAY1_RESET_PULSES", "RESET pulses on cells of array 1"),
    ("ARRAY1_FORM_PULSES", "FORM pulses on cells of array 1"),
    ("ARRAY2_SET_PULSES", "SET pulses on cells of array 2"),
    ("ARRAY2_RESET_PULSES", "RESET pulses on cells of array 2"),
    ("ARRAY2_FORM_PULSES", "FORM pulses on cells of array 2"),
    ("FORM_OPERATIONS", "FORM operations: rows addressed"),
    ("SET_OPERATIONS", "SET operations: rows addressed"),
    ("RESET_OPERATIONS", "RESET operations: rows addressed"),
    ("READ_OPERATIONS", "READ operations: rows addressed"),
    ("INFERENCE_OPERATIONS", "samples inferred"),
    ("TRAINING_OPERATIONS", "samples learned"),
    ("EMULATED_TICKS", "emulated time in clock cycles of 50 ns"),
    ("ENERGY_FJ", "energy spent, in femtojoule; emulated boards only"),
    *(
        (f"ARRAY{array}_{kind}_{unit}", f"{what} of {kind} pulses on array {array}, {words}")
        for unit, what, words in (
            ("FJ", "energy", "in femtojoule; emulated boards only"),
            ("TICKS", "time", "in clock cycles of 50 ns"),
        )
        for array in (1, 2)
        for kind in ("SET", "RESET", "FORM")
    ),
    ("READ_CELLS_FJ", "energy of cells being read, in femtojoule; emulated boards only"),
    ("READ_CONVERTERS_FJ", "energy of converters, in femtojoule; emulated boards only"),
    ("READ_LINES_FJ", "energy of driving lines for reading, in femtojoule; emulated boards only"),
    ("READ_TICKS", "time of READ, in clock cycles of 50 ns"),
    ("FORWARD_TICKS", "time of multiplications, learning included, in clock cycles of 50 ns"),
    ("BACKWARD_TICKS", "time of driving errors back, in clock cycles of 50 ns"),
)
"""64-bit counters of the extension block, from 0x200 up, upper word first."""


def extension_registers() -> list[Register]:
    """The extension block, by rising address."""
    registers = [
        _word(0x100, "IDENTITY", 'identity word "STLR"', reset=IDENTITY_WORD, read_only=True),
        _word(0x104, "FIRMWARE", "firmware: major << 16 | minor << 8 | patch", read_only=True),
        _word(0x108, "BOOT_ID", "boot id, new at each start", read_only=True),
        Register(
            0x10C,
            "CAPABILITIES",
            (Field("emulated", 0, 0, "1: an emulated board"),),
            access=Access.READ_ONLY,
            published=False,
        ),
        *(
            Register(
                0x10C + 4 * number,
                f"GEOMETRY{number}",
                (
                    Field("outputs", 15, 0, f"signed weights per row of array {number}"),
                    Field("inputs", 31, 16, f"rows of array {number}"),
                ),
                access=Access.READ_ONLY,
                published=False,
            )
            for number in (1, 2)
        ),
        *(
            _word(
                0x120 + 4 * i,
                f"DEVICE_MODEL{i}",
                f"device model, ASCII, zero-padded: characters {4 * i}..{4 * i + 3}",
                read_only=True,
            )
            for i in range(8)
        ),
        _word(0x140, "TH", "Th: output error threshold, in output codes", reset=56, high=16),
        _word(0x144, "TH1", "Th1: hidden error threshold, in nS", reset=2500),
        Register(
            0x148,
            "C1",
            (
                Field("value", 15, 0, "absolute: pulse counts; relative: thousandths of max(Y1)"),
                Field("relative", 31, 31, "1: relative to max(Y1)"),
            ),
            reset=0x8000_0000 | 250,
            published=False,
        ),
        _word(
            0x14C,
            "C2",
            "C2: ReLU: output codes; sigmoid, tanh: thousandths of the derivative's maximum",
            high=16,
        ),
        _word(0x150, "ACTIVATION", "output: 0 none, 1 ReLU, 2 sigmoid, 3 tanh", high=1),
        _word(
            0x154,
            "ACTIVATION_SCALE",
            "s of y2 = A * f(z / s), in output codes, at least 1",
            reset=64,
            high=16,
        ),
        _word(
            0x158,
            "ACTIVATION_AMPLITUDE",
            "A of y2 = A * f(z / s), in output codes",
            reset=100,
            high=15,
        ),
        _word(0x15C, "SCHEME", "0 cyclic (stellar1), 1 non-cyclic (stellar2)", high=0),
        _word(0x160, "PHASE", "next phase of the cyclic scheme: 0 SET, 1 RESET", high=0),
        Register(
            0x164,
            "LAYERS",
            (
                Field("array1", 0, 0, "1: batch training updates array 1"),
                Field("array2", 1, 1, "1: batch training updates array 2"),
            ),
            reset=0b11,
            published=False,
        ),
        Register(
            0x168,
            "UPDATE_PULSES",
            (
                Field("array1", 3, 0, "pulses per update of a selected cell of array 1, 1..15"),
                Field("array2", 11, 8, "pulses per update of a selected cell of array 2, 1..15"),
            ),
            reset=0x0101,
            published=False,
        ),
        _word(0x180, "BATCH_FIRST", "index of the first sample of a batch"),
        _word(0x184, "BATCH_COUNT", "number of samples of a batch"),
        _word(0x188, "BATCH_DONE", "samples that the last batch operation did", read_only=True),
        _word(0x18C, "TARGET_MODE", "0: one label byte per sample; 1: ten signed words", high=0),
        _word(0x190, "TARGET_ADDRESS", "memory address of the labels or targets of sample 0"),
        _word(0x194, "TARGET_ON", "target of the labelled class", reset=100, high=16, signed=True),
        _word(0x198, "TARGET_OFF", "target of the other classes", reset=-40, high=16, signed=True),
        _word(0x19C, "RESULT_ADDRESS", "memory address of the first result record"),
        Register(
            0x1A0,
            "RESULT_FORMAT",
            (Field("hidden", 0, 0, "1: records end with the 100 hidden pulse counts"),),
            published=False,
        ),
        Register(
            0x1A4,
            "MASK_KIND",
            (Field("kind", 1, 0, "pulse of PULSE_MASK: 0 SET, 1 RESET, 2 FORM"),),
            published=False,
        ),
        _word(0x1A8, "MASK_ADDRESS", "memory address of the mask of PULSE_MASK"),
        _word(0x1AC, "READ_ADDRESS", "memory address that READ_ARRAY writes to"),
        Register(
            0x1C0,
            "FAULTS",
            (
                Field("over_current", 0, 0, "latched: a generator's current limit tripped"),
                Field("over_voltage", 1, 1, "latched: a rail left the safe operating area"),
                Field("illegal_operation", 2, 2, "latched: an operation that must not run"),
                Field("emergency_stop", 3, 3, "latched: stopped by a person"),
            ),
            access=Access.READ_ONLY,
            published=False,
        ),
        Register(
            0x1C4,
            "FAULT_SET",
            (Field("emergency_stop", 3, 3, "write 1: latch it; drivers go off at once"),),
            published=False,
        ),
        Register(
            0x1C8,
            "FAULT_CLEAR",
            (Field("mask", 3, 0, "write 1 to clear the latch of that bit; drivers stay off"),),
            published=False,
        ),
    ]
    for index, (name, doc) in enumerate(COUNTERS):
        registers += _counter(0x200 + 8 * index, name, doc)
    return registers
