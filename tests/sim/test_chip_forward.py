"""Forward path of the emulated chip, against the data sheet's formulas written out in numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from starlab_sim.chip import Chip, Converters, Rails
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.samples import pack_samples

READ_MV = 227.37  # (2762.98 - 2308.24) / 2: what codes 108 and 85 of VBL27 and VBL23 give
RAILS, CONVERTERS = Rails(), Converters()


def convert(current_ua: NDArray[np.float64], bits: int, full_scale_ua: float) -> NDArray[np.int64]:
    top = 2**bits - 1
    codes = np.clip(np.floor(current_ua * top / full_scale_ua + 0.5), 0, top)
    return np.asarray(codes, np.int64)


def pixels(seed: int, count: int, share: float = 0.13) -> NDArray[np.uint8]:
    return (np.random.default_rng(seed).random((count, 784)) < share).astype(np.uint8)


@pytest.fixture(scope="module")
def spread_chip() -> Chip:
    """Cells all over the window."""
    chip = Chip(seed=3)
    rng = np.random.default_rng(4)
    chip.set_conductance_uS(1, rng.uniform(2, 20, (2, 784, 100)))
    chip.set_conductance_uS(2, rng.uniform(2, 20, (2, 100, 10)))
    return chip


def test_the_published_rails_read_with_227_mv_and_no_mismatch() -> None:
    rails = Rails()
    assert rails.read_plus_mv == pytest.approx(READ_MV, abs=0.005)
    assert rails.read_minus_mv == pytest.approx(rails.read_plus_mv, abs=1e-9)


def test_the_nominal_full_scales_are_those_of_the_working_point() -> None:
    converters = Converters()
    assert converters.full_scale1_ua == pytest.approx(READ_MV * 1e-3 * 300, rel=1e-4)
    assert converters.full_scale2_ua == pytest.approx(READ_MV * 1e-3 * 800, rel=1e-4)


def test_a_longer_integration_or_a_smaller_bias_makes_the_full_scale_smaller() -> None:
    nominal = Converters()
    longer = Converters(integration1_ns=200)
    weaker = Converters(iref2_ua=nominal.iref2_ua / 4)
    assert longer.full_scale1_ua == pytest.approx(nominal.full_scale1_ua / 2)
    assert longer.full_scale2_ua == nominal.full_scale2_ua
    assert weaker.full_scale2_ua == pytest.approx(nominal.full_scale2_ua / 4)


def test_converters_have_one_to_eight_bits() -> None:
    with pytest.raises(LimitExceeded, match="bits1 9 bits is above the 8 bits limit"):
        Converters(bits1=9)
    with pytest.raises(LimitExceeded, match="bits2 0 bits is below the 1 bits limit"):
        Converters(bits2=0)


@pytest.mark.parametrize("array", [1, 2])
def test_a_read_code_is_a_tenth_of_a_microsiemens(spread_chip: Chip, array: int) -> None:
    codes = spread_chip.read(array, rails=RAILS, converters=CONVERTERS)
    assert np.abs(codes * 0.1 - spread_chip.conductance_uS(array)).max() <= 0.05 + 1e-5


def test_read_takes_rows_and_planes_of_its_caller(spread_chip: Chip) -> None:
    whole = spread_chip.read(1, rails=RAILS, converters=CONVERTERS)
    part = spread_chip.read(
        1, rows=range(700, 703), planes=(1,), rails=RAILS, converters=CONVERTERS
    )
    assert np.array_equal(part, whole[1:, 700:703])


def test_read_refuses_rows_beyond_the_array(spread_chip: Chip) -> None:
    with pytest.raises(LimitExceeded, match="row 100 is above the 99 limit"):
        spread_chip.read(2, rows=range(101), rails=RAILS, converters=CONVERTERS)


@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.integers(1, 8),
    share=st.floats(0, 1),
    clamp_mv=st.floats(-60, 0),
)
@settings(max_examples=30, deadline=None)
def test_array_1_multiplies_as_the_data_sheet_says(
    spread_chip: Chip, seed: int, bits: int, share: float, clamp_mv: float
) -> None:
    x = pixels(seed, 3, share)
    rails = Rails(clamp_offset_mv=clamp_mv)
    converters = Converters(bits1=bits)
    plus, minus = spread_chip.conductance_uS(1).astype(np.float64)
    clamp = rails.v25_mv + clamp_mv
    current_ua = (rails.bl27_mv - clamp) * 1e-3 * (x @ plus)
    current_ua -= (clamp - rails.bl23_mv) * 1e-3 * (x @ minus)
    expected = convert(current_ua, bits, converters.full_scale1_ua)
    codes = spread_chip.vmm(pack_samples(x), rails=rails, converters=converters)
    assert np.array_equal(codes, expected)


def test_a_mismatch_of_the_read_rails_is_an_offset_that_the_clamp_tunes_away() -> None:
    chip = Chip(formed=True, seed=1)
    chip.set_conductance_uS(1, np.full((2, 784, 100), 11.0))
    x = pack_samples(pixels(5, 1))
    assert not chip.vmm(x, rails=RAILS, converters=CONVERTERS).any()
    shifted = Rails(v25_mv=Rails().v25_mv - 19.8)
    assert chip.vmm(x, rails=shifted, converters=Converters()).min() > 10
    retuned = Rails(v25_mv=shifted.v25_mv, clamp_offset_mv=Rails().clamp_offset_mv + 19.8)
    assert not chip.vmm(x, rails=retuned, converters=Converters()).any()


@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.integers(1, 8),
    top=st.integers(1, 255),
    silent=st.floats(0, 1),
)
@settings(max_examples=30, deadline=None)
def test_array_2_adds_up_its_columns_slot_by_slot(
    spread_chip: Chip, seed: int, bits: int, top: int, silent: float
) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, top + 1, (2, 100)) * (rng.random((2, 100)) >= silent)
    rails, converters = Rails(), Converters(bits2=bits)
    cells_uS = spread_chip.conductance_uS(2).astype(np.float64)
    volts = (rails.bl27_mv - rails.v25_mv - rails.clamp_offset_mv) * 1e-3
    expected = np.zeros((2, 10), np.int64)
    for slot in range(1, top + 1):
        on = (counts >= slot).astype(np.float64)
        above, below = (
            convert(volts * (on @ plane), bits, converters.full_scale2_ua) for plane in cells_uS
        )
        expected += above - below
    outputs = spread_chip.vmm2(counts.astype(np.uint8), rails=rails, converters=converters)
    assert np.array_equal(outputs, expected)


def test_an_inference_is_array_1_and_then_array_2(spread_chip: Chip) -> None:
    samples = pack_samples(pixels(6, 20))
    inference = spread_chip.infer(samples, rails=RAILS, converters=CONVERTERS)
    assert np.array_equal(
        inference.hidden, spread_chip.vmm(samples, rails=RAILS, converters=CONVERTERS)
    )
    assert np.array_equal(
        inference.outputs, spread_chip.vmm2(inference.hidden, rails=RAILS, converters=CONVERTERS)
    )
    assert np.array_equal(inference.winners, inference.outputs.argmax(axis=1))


def test_the_greatest_possible_output_fits_17_bits() -> None:
    chip = Chip()
    cells_uS = np.full((2, 100, 10), 2.0)
    cells_uS[1] = 20.0
    chip.set_conductance_uS(2, cells_uS)
    outputs = chip.vmm2(
        np.full((1, 100), 255, np.uint8), rails=RAILS, converters=Converters(bits2=8)
    )
    # "-": 2000 uS, clipped to 255; "+": 200 uS, 63.75, rounded to 64
    assert outputs.tolist() == [[255 * (64 - 255)] * 10]
    assert outputs.min() >= -(2**16)


def test_a_sample_without_a_pixel_gives_nothing(spread_chip: Chip) -> None:
    inference = spread_chip.infer(np.zeros((1, 98), np.uint8), rails=RAILS, converters=CONVERTERS)
    assert not inference.hidden.any()
    assert not inference.outputs.any()


def test_no_sample_gives_empty_results(spread_chip: Chip) -> None:
    inference = spread_chip.infer(np.zeros((0, 98), np.uint8), rails=RAILS, converters=CONVERTERS)
    assert inference.hidden.shape == (0, 100)
    assert inference.outputs.shape == (0, 10)


def test_samples_of_another_width_are_refused(spread_chip: Chip) -> None:
    with pytest.raises(ShapeError, match=r"samples have shape \(1, 784\), expected \(n, 98\)"):
        spread_chip.vmm(np.zeros((1, 784), np.uint8), rails=RAILS, converters=CONVERTERS)


def test_samples_straight_from_received_bytes_are_taken(spread_chip: Chip) -> None:
    packed = pack_samples(pixels(7, 4))
    received = np.frombuffer(b"#" + packed.tobytes(), np.uint8, offset=1).reshape(4, 98)
    assert np.array_equal(
        spread_chip.vmm(received, rails=RAILS, converters=CONVERTERS),
        spread_chip.vmm(packed, rails=RAILS, converters=CONVERTERS),
    )
