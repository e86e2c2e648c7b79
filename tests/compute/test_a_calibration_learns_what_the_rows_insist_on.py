"""The fit: factors move as far as rows insist, families are predicted unseen, errors add up."""

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.compute.test_rows_of_measurements_are_read_with_what_they_leave_open import FULL
from tests.plan.conftest import the_catalog

from clusterwright.compute import accuracy, calibrate, errorbars, predict


def rows_slower_by(factor, families=("one", "two", "three")):
    """Return rows of runs that take so much longer than the model says."""
    given = []
    for number, family in enumerate(families):
        for batch in (64, 128, 256):
            row = {**FULL, "id": f"{family}-{batch}", "family": family, "global_batch": str(batch)}
            row["micro_batch"] = str(1 + number % 2)
            given.append(row)
    found = predict.estimate_rows(given, the_catalog(), file="runs.csv")
    return [
        {**row, "measured_step_time_s": str(one["predicted_step_time_s"] * factor)}
        for row, one in zip(given, found, strict=True)
    ]


def at_prior(parts):
    """Return the catalogue with the priors where they are what the rows were made with."""
    same = {n: replace(one, prior=one.value) for n, one in parts.step_factors.items()}
    return replace(parts, step_factors=same)


def test_rows_that_the_model_meets_leave_every_factor_at_its_prior():
    parts = at_prior(the_catalog())
    found = calibrate.scored(rows_slower_by(1.0), parts, file="runs.csv")
    done = calibrate.calibrate(found, parts)
    priors = [one.prior for one in parts.step_factors.values()]
    assert done.values == pytest.approx(priors, rel=1e-4)
    assert done.held_out == pytest.approx(1.0, abs=1e-4)


def test_rows_that_are_slower_are_met_by_factors_that_slow():
    parts = at_prior(the_catalog())
    found = calibrate.scored(rows_slower_by(1.3), parts, file="runs.csv")
    done = calibrate.calibrate(found, parts)
    assert done.fitted == pytest.approx(1.0, abs=0.03)
    values = dict(zip(parts.step_factors, done.values, strict=True))
    assert values["gemm.16"] < parts.step_factors["gemm.16"].prior


def test_a_factor_that_no_row_uses_stays_at_its_prior():
    parts = at_prior(the_catalog())
    found = calibrate.scored(rows_slower_by(1.3), parts, file="runs.csv")
    values = dict(zip(parts.step_factors, calibrate.calibrate(found, parts).values, strict=True))
    for name in ("gemm.4", "hidden.ep", "attention.blackwell", "software.nemo-2025"):
        assert values[name] == pytest.approx(parts.step_factors[name].prior)


def test_a_family_is_predicted_by_a_fit_that_has_not_seen_it():
    parts = at_prior(the_catalog())
    odd = [*rows_slower_by(1.0, ("one", "two")), *rows_slower_by(1.5, ("odd",))]
    found = calibrate.scored(odd, parts, file="runs.csv")
    done = calibrate.calibrate(found, parts)
    mine = found.families == "odd"
    assert done.held_out[mine] == pytest.approx(1 / 1.5, rel=0.01)
    assert np.all(done.fitted[mine] > done.held_out[mine])


def test_one_family_alone_is_told_by_its_fit():
    parts = at_prior(the_catalog())
    found = calibrate.scored(rows_slower_by(1.1, ("one",)), parts, file="runs.csv")
    done = calibrate.calibrate(found, parts)
    assert np.array_equal(done.held_out, done.fitted)


def test_rows_without_a_time_are_skipped_with_a_reason():
    parts = the_catalog()
    given = [*rows_slower_by(1.0), {**FULL, "id": "none"}, {**FULL, "id": "no-gpu", "gpu": ""}]
    found = calibrate.scored(given, parts, file="runs.csv")
    assert set(found.skipped) == {"none", "no-gpu"}
    assert "no step time" in found.skipped["none"]


def test_errors_of_groups_are_those_of_their_rows():
    told = accuracy.group_error("x", np.array([0.9, 1.1, 1.3]), ["a", "a", "b"])
    assert told.num_rows == 3
    assert told.num_families == 2
    assert told.median_fraction == pytest.approx(0.1)
    assert told.mean_fraction == pytest.approx(0.5 / 3)
    assert told.bias_ratio == pytest.approx((0.9 * 1.1 * 1.3) ** (1 / 3))


def test_a_choice_loses_what_its_first_strategy_takes_longer():
    parts = the_catalog()
    given = rows_slower_by(1.0, ("one",))
    same = [{**row, "global_batch": "64", "id": str(n)} for n, row in enumerate(given)]
    times = ("20", "16", "18")
    same = [
        {**row, "measured_step_time_s": t, "micro_batch": m}
        for row, t, m in zip(same, times, ("1", "2", "4"), strict=True)
    ]
    found = calibrate.scored(same, parts, file="runs.csv")
    # The model would take the third, which took 18 s where 16 s was best.
    (choice,) = accuracy.choices(found, np.array([1.0, 1.5, 0.8]))
    assert choice.loss_fraction == pytest.approx(18 / 16 - 1)
    assert choice.rank_correlation_ratio is None


def test_every_regime_falls_back_to_a_wider_one():
    parts = the_catalog()
    assert "*" in parts.step_errors
    for error in parts.step_errors.values():
        assert 0 < error.median_fraction <= error.bar_fraction < 1
        assert error.num_families <= error.num_rows


def test_an_error_bar_widens_with_each_doubling_beyond_what_was_seen():
    error = the_catalog().step_errors["core hopper 16 dense"]
    inside, size = float(error.num_most), error.num_parameters_largest
    assert errorbars.within(error, inside, size)
    assert errorbars.error_bar_fraction(error, inside, size) == error.bar_fraction
    wider = [errorbars.error_bar_fraction(error, inside * 2**n, size) for n in (1, 3, 6)]
    assert error.bar_fraction < wider[0] < wider[1] < wider[2]
    assert wider[2] == pytest.approx(math.hypot(error.bar_fraction, 6 * error.drift_fraction))
    assert not errorbars.within(error, inside, 8 * size)
    assert not errorbars.within(error, inside, error.num_parameters_smallest / 8)


def test_one_family_that_is_met_well_does_not_make_the_next_one_sure():
    parts = the_catalog()
    given = [
        *rows_slower_by(1.0, ("good",)),
        *({**row, "id": f"v{row['id']}", "gpu": "V100"} for row in rows_slower_by(1.0, ("bad",))),
        *rows_slower_by(1.0, ("worse",)),
        *rows_slower_by(1.0, ("fourth",)),
    ]
    found = calibrate.scored(given, parts, file="runs.csv")
    wrong = np.where(np.isin(found.families, ("bad",)), 1.01, 1.3)
    done = calibrate.Calibration(wrong, wrong, wrong, np.full_like(wrong, np.nan))
    regimes = {one.own.name: one for one in accuracy.by_regime(found, done)}
    widest = regimes["*"]
    assert widest.bar_fraction == widest.own.bar_fraction == pytest.approx(0.3)
    for one in regimes.values():
        assert one.bar_fraction >= one.own.bar_fraction
        assert one.num_least <= one.num_most
