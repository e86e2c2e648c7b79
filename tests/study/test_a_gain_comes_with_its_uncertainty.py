"""Gains: their sign, their interval over days, and what a reader is warned of."""

import numpy as np
import pytest

from clusterwright.study import carrying, wishes
from clusterwright.study.bench import Jobwise
from clusterwright.study.carrying import Gain, Ran
from clusterwright.study.wishes import ALL

ZERO = dict.fromkeys(wishes._HINTS, 0.0)


def ran(wait_s, num_days=20, each=30, **more):
    wait_s = np.resize(np.asarray(wait_s, dtype=float), num_days * each)
    jobs = Jobwise(
        queues=("q",) * wait_s.size,
        day=np.repeat(np.arange(num_days), each),
        wait_s=wait_s,
        jct_s=wait_s + 100.0,
    )
    one = ZERO | {"avg_wait_s": float(wait_s.mean())} | more
    return Ran(measured={ALL: one, "q": one}, jobs=jobs)


def gain(before, after, objective="avg_wait", limits=()):
    asked = wishes.read(objective, limits, ["q"], power=False)
    return carrying.gain(
        asked,
        period="later",
        against="fifo",
        before=before,
        after=after,
        start=before,
        rng=np.random.default_rng(1),
    )


def test_a_wait_that_halves_everywhere_is_a_gain_of_half_without_doubt():
    waits = np.random.default_rng(0).lognormal(5, 2, 600)
    found = gain(ran(waits), ran(waits / 2))
    assert found.gain_fraction == pytest.approx(0.5)
    assert found.low_fraction == pytest.approx(0.5)
    assert found.high_fraction == pytest.approx(0.5)


def test_a_gain_of_one_day_alone_may_be_chance():
    before, after = np.full(600, 100.0), np.full(600, 100.0)
    before[:30] = 5000.0
    found = gain(ran(before), ran(after))
    assert found.gain_fraction > 0.5
    assert found.low_fraction <= 0.0 < found.high_fraction


@pytest.mark.parametrize("field", ["avg_jct", "p50_wait", "p95_wait", "p99_wait", "*:avg_wait"])
def test_figures_over_jobs_have_an_interval(field):
    waits = np.random.default_rng(0).lognormal(5, 2, 600)
    found = gain(ran(waits), ran(waits / 2), field)
    assert 0.0 < found.low_fraction <= found.high_fraction


def test_figures_of_a_run_as_a_whole_have_none_and_more_of_them_is_a_gain():
    found = gain(ran(1.0, goodput_fraction=0.8), ran(1.0, goodput_fraction=0.9), "goodput")
    assert found.gain_fraction == pytest.approx(0.125)
    assert found.low_fraction is None


def test_where_nothing_waits_there_is_no_gain_to_speak_of():
    assert gain(ran(0.0), ran(0.0)).gain_fraction is None


def test_limits_are_told_for_both():
    found = gain(ran(100.0), ran(300.0), limits=["avg_wait<=200s"])
    assert found.before_meets
    assert not found.after_meets


def row(period, share, low=0.01, against="fifo", **more):
    return Gain(
        period=period,
        against=against,
        objective_before=1.0,
        objective_after=1.0 - share,
        gain_fraction=share,
        low_fraction=low,
        high_fraction=0.9,
        **({"before_meets": True, "after_meets": True} | more),
    )


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (row("later", 0.3), []),
        (row("later", -0.1), ["does not carry over: 40.0% became -10.0%"]),
        (row("later", 0.3, low=-0.1), ["may be chance"]),
        (row("later", 0.1), ["shrinks: 40.0% became 10.0%"]),
        (row("later", 0.3, after_meets=False), ["limits do not hold on the later period"]),
    ],
)
def test_a_reader_is_warned(later, said):
    found = carrying.warnings((row("searched", 0.4), later), start="fifo")
    assert len(found) == len(said)
    assert all(part in text for part, text in zip(said, found, strict=True))


def test_a_named_policy_that_is_better_later_is_told():
    gains = (row("searched", 0.4), row("later", 0.3), row("later", -0.2, against="smallest"))
    (found,) = carrying.warnings(gains, start="fifo")
    assert "it is 20.0% worse than smallest" in found
