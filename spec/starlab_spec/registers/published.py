"""The published registers 0x00..0xC8 [C]. ``?`` marks a meaning that only a name tells."""

from starlab_spec.registers.fields import Access, Field, Register


def _three(low_doc: str, mid_doc: str, high_doc: str, *, noun: str) -> tuple[Field, ...]:
    return (
        Field(f"set_{noun}", 7, 0, low_doc),
        Field(f"reset_{noun}", 15, 8, mid_doc),
        Field(f"form_{noun}", 23, 16, high_doc),
    )


def _periods(array: int) -> tuple[Field, ...]:
    doc = "{} pulse width of array " + str(array) + ": (n + 1) * 50 ns [R]"
    return _three(doc.format("SET"), doc.format("RESET"), doc.format("FORM"), noun="period")


def _numbers(array: int) -> tuple[Field, ...]:
    doc = "{} pulses of array " + str(array) + ": n + 1 [R]"
    return _three(doc.format("SET"), doc.format("RESET"), doc.format("FORM"), noun="number")


def _integrator(array: int) -> tuple[Field, ...]:
    return (
        Field("control", 7, 0, f"integrator control counter of array {array} ?"),
        Field("integration_time", 15, 8, f"Ti of array {array}: t / 50 ns - 1"),
        Field("transmit_delay", 19, 16, "transmit delay ?"),
        Field("wl_delay", 23, 20, "WL pulse delay ?"),
        Field("keep", 31, 24, "keep-integration counter ?"),
    )


def _tuning(array: int, plus: str, minus: str) -> tuple[Field, ...]:
    kind = "0 SET, 1 RESET [O: the values]"
    return (
        Field(
            f"{plus}_pulses", 3, 0, f"pulses a training step applies to {plus} cells, array {array}"
        ),
        Field(
            f"{minus}_pulses",
            11,
            8,
            f"pulses a training step applies to {minus} cells, array {array}",
        ),
        Field(f"{plus}_kind", 19, 16, f"kind of the pulses on {plus} cells: {kind}"),
        Field(f"{minus}_kind", 27, 24, f"kind of the pulses on {minus} cells: {kind}"),
    )


def published_registers() -> list[Register]:
    """Reset values are what the registers hold after the published start-up sequence [C]."""
    return [
        Register(
            0x00,
            "ADC",
            (
                Field("array1_bits", 2, 0, "AD1: array-1 ADC bits - 1"),
                Field("array2_bits", 6, 4, "AD2: array-2 ADC bits - 1"),
                Field("array1_delay", 20, 16, "programming delay counter, array 1 ?"),
                Field("array2_delay", 28, 24, "programming delay counter, array 2 ?"),
            ),
            reset=0x03030047,
        ),
        Register(0x04, "PERIOD1", _periods(1), reset=0x00FF0005),
        Register(0x08, "NUMBER1", _numbers(1), reset=0x00FF0000),
        Register(
            0x0C,
            "PERIOD2",
            (
                *_periods(2),
                Field("array1_group", 19, 16, "column group of array 1 ? (overlaps form_period)"),
                Field("array2_group", 21, 20, "column group of array 2 ? (overlaps form_period)"),
            ),
            reset=0x00FF0003,
        ),
        Register(0x10, "NUMBER2", _numbers(2), reset=0x003F0000),
        Register(
            0x14,
            "CELL",
            (
                Field("upper", 0, 0, "select the upper (+) cell of each 2T2R pair"),
                Field("lower", 8, 8, "select the lower (-) cell of each 2T2R pair"),
                Field("array1_zone", 19, 16, "weight zone address of array 1 ?"),
                Field("array2_zone", 25, 24, "weight zone address of array 2 ?"),
            ),
            reset=0x030F0101,
        ),
        Register(
            0x18,
            "ROW",
            (
                Field("row", 9, 0, "array 2: the row. Array 1: the two fields below"),
                Field("block", 1, 0, "array 1: 3 - row // 196"),
                Field("offset", 9, 2, "array 1: row % 196"),
            ),
            reset=0x00000063,
        ),
        Register(0x1C, "COLUMNS0", (Field("mask", 31, 0, "columns 0..31"),)),
        Register(0x20, "COLUMNS1", (Field("mask", 31, 0, "columns 32..63"),)),
        Register(0x24, "COLUMNS2", (Field("mask", 31, 0, "columns 64..95"),)),
        Register(0x28, "COLUMNS3", (Field("mask", 3, 0, "columns 96..99"),)),
        Register(
            0x2C,
            "MODE",
            (
                Field("array1", 0, 0, "array select: 1 = array 1, 0 = array 2"),
                Field("debug", 4, 4, "debug mode ?"),
                Field("y2_mode", 8, 8, "1: inference returns ten 17-bit outputs; 0: one-hot word"),
                Field("bp_keep", 23, 16, "backward path: keep counter ?"),
                Field("bp_compare", 25, 24, "backward path: compare counter ?"),
            ),
            reset=0x037F0100,
        ),
        Register(0x30, "INTEGRATOR1", _integrator(1), reset=0x0471011F),
        Register(0x34, "INTEGRATOR2", _integrator(2), reset=0x0071011F),
        Register(
            0x38,
            "OPERATION",
            (
                Field("form", 17, 17, "FORM"),
                Field("set", 18, 18, "SET"),
                Field("reset", 19, 19, "RESET"),
                Field("bp", 20, 20, "BP: one training step"),
                Field("inference", 21, 21, "INFERENCE"),
                Field("read", 22, 22, "READ"),
                Field("pulse_mask", 24, 24, "extension: pulse every cell of a mask in memory"),
                Field("read_array", 25, 25, "extension: read every cell into memory"),
                Field("batch_inference", 26, 26, "extension: infer samples of memory"),
                Field("batch_training", 27, 27, "extension: learn samples of memory"),
                Field("vmm2", 28, 28, "extension: multiply pulse counts of memory with array 2"),
            ),
            reset=0x00200000,
        ),
        Register(0x3C, "START", (Field("start", 3, 3, "1: run the operation of 0x38; 0: stop"),)),
        *(
            Register(
                0x40 + 4 * i,
                f"TARGET{i}",
                (Field("target", 16, 0, f"training target of output {i}", signed=True),),
            )
            for i in range(10)
        ),
        Register(
            0x68,
            "INFERENCE_RANGE",
            (
                Field("first", 15, 0, "first sample index of an inference"),
                Field("last", 31, 16, "last sample index of an inference"),
            ),
        ),
        Register(0x6C, "TRAINING_INDEX", (Field("index", 15, 0, "sample of a training step"),)),
        Register(0x70, "BP_MODE", (Field("mode", 3, 0, "BP debug mode ?"),), reset=1),
        Register(0x74, "BP_ARRAY1", _tuning(1, "upper", "lower")),
        Register(
            0x78,
            "BP_ARRAY2",
            # the published order is left, right: left columns are "-", right columns "+"
            _tuning(2, "left", "right"),
            reset=0x00000101,
        ),
        Register(
            0x7C,
            "BP_INFERENCE",
            (
                Field("number", 3, 0, "BP inference number ?"),
                Field("threshold", 15, 8, "inference threshold ?"),
                Field("y1_position", 23, 16, "Y1 save position ?"),
            ),
            reset=0x00FF0000,
        ),
        Register(
            0x80,
            "INTERRUPT",
            (Field("type", 23, 16, "interrupt flag type ?"),),
            access=Access.READ_ONLY,
        ),
        Register(
            0xC0,
            "ENABLE",
            (
                Field("address", 5, 5, "address enable ?"),
                Field("test", 8, 8, "test enable ?"),
            ),
            reset=0x00000120,
        ),
        Register(
            0xC4,
            "SAMPLE_ADDRESS",
            (Field("address", 31, 0, "memory address of the first sample"),),
            reset=0x01000000,
        ),
        Register(
            0xC8,
            "SAMPLE_STRIDE",
            (Field("bytes", 31, 0, "bytes per sample"),),
            reset=98,
        ),
    ]
