"""The energy of a training by the published method, against hand calculation."""

import pytest

from starlab.energy_report import ASSUMPTIONS, Work, energy_report

WORK = Work(set_pulses=(300, 20), reset_pulses=(100, 10), steps=7, adc_bits_1=8, adc_bits_2=5)


def test_tuning_is_pulses_times_their_mean_energy() -> None:
    set1, reset1, set2, reset2, *_ = energy_report(WORK).lines
    assert set1.energy_j == pytest.approx(300 * 2.209**2 * 11e-6 * 300e-9)
    assert set2.energy_j == pytest.approx(20 * 2.209**2 * 11e-6 * 200e-9)
    assert reset1.energy_j == pytest.approx(10 * reset2.energy_j)
    assert reset2.energy_j == pytest.approx(10 * 1.6**2 * 11e-6 * 50e-9)


def test_reading_is_conversions_times_that_of_one_of_so_many_bits() -> None:
    *_, array1, array2 = energy_report(WORK).lines
    assert (array1.count, array2.count) == (700, 7 * 20 * 255)
    assert array1.energy_j == pytest.approx(700 * 5e-12)
    assert array2.energy_j == pytest.approx(7 * 20 * 255 * 5e-12 / 8)


def test_the_lines_add_up_to_the_chip() -> None:
    report = energy_report(WORK)
    assert report.chip_j == pytest.approx(sum(line.count * line.each_j for line in report.lines))
    assert report.json()["chip_j"] == report.chip_j


def test_a_processor_does_two_operations_a_weight_forward_back_and_for_the_update() -> None:
    forward, back, update = 784 * 100 + 100 * 10, 100 * 10, 784 * 100 + 100 * 10
    assert WORK.layers == (1, 2)
    assert WORK.processor_operations == 7 * 2 * (forward + back + update)
    alone = Work((0, 20), (0, 10), steps=1, adc_bits_1=8, adc_bits_2=5)
    assert alone.layers == (2,)
    assert alone.processor_operations == 2 * (forward + 100 * 10)


def test_the_ratio_is_that_of_both_energies_and_gives_the_published_one_at_its_efficiency() -> None:
    report = energy_report(WORK)
    assert report.operations_per_j == pytest.approx(18 * 2.3e9 * 32 / 145)
    assert report.ratio == pytest.approx(report.chip_j / report.processor_j)
    rate = report.published_at_operations_per_j
    assert rate is not None
    assert report.chip_j * 35 == pytest.approx(report.processor_operations / rate)


def test_who_learned_nothing_gets_no_ratio() -> None:
    report = energy_report(Work((0, 0), (0, 0), steps=0, adc_bits_1=8, adc_bits_2=5))
    assert (report.chip_j, report.ratio, report.published_at_operations_per_j) == (0, None, None)


def test_every_assumption_says_where_it_comes_from() -> None:
    for assumption in ASSUMPTIONS.values():
        assert any(word in assumption.source for word in ("[", "assumption", "data sheet"))
