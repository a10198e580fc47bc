"""Products and inference against the data sheet's formulas, on the emulated board."""

import numpy as np
from tests.host.bench import Bench
from tests.host.chips import hidden_codes, images, output_codes, scatter

from starlab_spec.supplies import NOMINAL_READ_MV


def test_vmm_of_array_1_is_the_formula_of_the_data_sheet(bench: Bench) -> None:
    scatter(bench)
    pixels = images(200)
    vmm = bench.chip.vmm(1, pixels)
    g1 = bench.emulated.chip.conductance_uS(1).astype(float)
    expected = hidden_codes(g1, pixels)
    # a current within rounding of the edge between two codes may fall to either side
    assert np.abs(vmm.codes - expected).max() <= 1
    assert (vmm.codes != expected).mean() < 1e-3
    assert vmm.codes.max() > 100
    np.testing.assert_allclose(vmm.current_ua, vmm.codes * 300 * NOMINAL_READ_MV / 1000 / 255)


def test_vmm_of_array_2_is_accumulated_slot_by_slot(bench: Bench) -> None:
    scatter(bench)
    counts = np.random.default_rng(1).integers(0, 256, (20, 100))
    vmm = bench.chip.vmm(2, counts)
    g2 = bench.emulated.chip.conductance_uS(2).astype(float)
    expected = output_codes(g2, counts)
    assert np.abs(vmm.codes - expected).max() <= 2
    assert (vmm.codes != expected).mean() < 0.05
    np.testing.assert_allclose(vmm.current_ua, vmm.codes * 800 * NOMINAL_READ_MV / 1000 / 31)
    assert bench.board.read_register("SAMPLE_STRIDE") == 98


def test_fewer_bits_and_longer_integration_scale_the_current(bench: Bench) -> None:
    scatter(bench)
    pixels = images(20)
    fine = bench.chip.vmm(1, pixels)
    bench.chip.change_settings(adc_bits_1=6, integration_time_1_ns=50)
    coarse = bench.chip.vmm(1, pixels)
    assert coarse.codes.max() <= 63
    unclipped = fine.codes < 255
    step_ua = 2 * 300 * NOMINAL_READ_MV / 1000 / 63
    difference_ua = np.abs(coarse.current_ua - fine.current_ua)[unclipped]
    assert difference_ua.max() < 0.51 * step_ua + 0.2


def test_inference_is_both_layers_one_after_the_other(bench: Bench) -> None:
    scatter(bench)
    pixels = images(50)
    inference = bench.chip.infer(pixels, hidden=True)
    assert inference.hidden is not None
    np.testing.assert_array_equal(inference.hidden, bench.chip.vmm(1, pixels).codes)
    np.testing.assert_array_equal(inference.outputs, bench.chip.vmm(2, inference.hidden).codes)
    np.testing.assert_array_equal(inference.labels, inference.outputs.argmax(axis=1))
    plain = bench.chip.infer(np.packbits(pixels, axis=1))
    assert plain.hidden is None
    np.testing.assert_array_equal(plain.outputs, inference.outputs)


def test_inference_moves_no_cell_and_gives_no_pulse(bench: Bench) -> None:
    before = bench.emulated.chip.conductance_uS(1)
    bench.chip.infer(images(10))
    np.testing.assert_array_equal(bench.emulated.chip.conductance_uS(1), before)
    assert bench.pulses == 0


def test_an_empty_batch_is_an_empty_answer(bench: Bench) -> None:
    empty = np.zeros((0, 784), np.uint8)
    assert bench.chip.infer(empty, hidden=True).outputs.shape == (0, 10)
    assert bench.chip.vmm(1, empty).codes.shape == (0, 100)
    training = bench.chip.train_step(empty, labels=np.zeros(0, int))
    assert training.pulses.shape == (0, 2)
