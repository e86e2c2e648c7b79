"""Deferral: never past the latest start, never for nothing, never by what nobody can know."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import UsageError
from clusterwright.sched.deferral import Deferrable, Ground, decide, reserve_s
from clusterwright.sched.outlook import Forecast, Outlook, num_known, outlook

HOUR = 3600.0
FORECAST = Forecast()

prices = st.lists(st.floats(-100, 1000), min_size=1, max_size=60)


@st.composite
def works(draw):
    started = draw(st.booleans())
    return Deferrable(
        need_s=draw(st.floats(60, 40 * HOUR)),
        due_s=draw(st.floats(-5 * HOUR, 80 * HOUR)),
        lost_s=draw(st.floats(0, 5 * HOUR)),
        reserve_s=draw(st.floats(0, 10 * HOUR)),
        interruptible=draw(st.booleans()),
        restart_s=draw(st.floats(0, HOUR)),
        started=started,
        running=started and draw(st.booleans()),
    )


def seen(values):
    return Outlook(np.array(values, dtype=float)[None])


@given(works(), prices)
def test_work_without_an_hour_of_slack_runs_at_any_price(work, values):
    decision = decide(work, seen(values))
    if work.slack_s < HOUR:
        assert decision.run
        assert decision.ground is Ground.DUE
    if not decision.run:
        assert decision.until_s <= work.slack_s
        assert decision.until_s >= HOUR


@given(works(), st.floats(-50, 500), st.integers(1, 80))
def test_a_flat_price_never_delays(work, price, hours):
    assert decide(work, seen([price] * hours)).run


@given(works(), prices, st.floats(1e-3, 1e3))
def test_another_currency_changes_no_decision(work, values, factor):
    # Whole numbers and a power of two: the same arithmetic at another scale, to the bit.
    whole = np.round(values)
    scale = 2.0 ** round(np.log2(factor))
    assert decide(work, seen(whole)) == decide(work, seen(whole * scale))


@given(works(), prices)
def test_looking_further_ahead_does_not_change_what_is_done_now(work, values):
    ahead = seen(np.round(values, 2))
    assert decide(work, ahead, foretell=True).run == decide(work, ahead).run


@given(st.integers(0, 2**32 - 1), st.integers(0, 340))
def test_what_nobody_can_know_yet_changes_no_decision(seed, now):
    rng = np.random.default_rng(seed)
    signal = rng.normal(50, 30, 400)
    known = num_known(now, published_hour=18)
    other = signal.copy()
    other[known:] = rng.normal(50, 300, 400 - known)
    first, second = (outlook(one[:known], now, 100, FORECAST).scenarios for one in (signal, other))
    assert (first == second).all()
    assert (first[:, : known - now] == signal[now : min(known, now + 100)]).all()


def test_a_night_that_is_cheap_is_waited_for_and_a_running_job_pauses_for_a_peak():
    evening = [90, 80, 30, 20, 20, 20, 30, 60]
    waits = Deferrable(need_s=3 * HOUR, due_s=8 * HOUR)
    decision = decide(waits, seen(evening))
    assert (decision.run, decision.ground, decision.until_s) == (False, Ground.DEAR, 3 * HOUR)
    peak = [500, 500, 20, 20, 20, 20, 20, 20]
    runs = Deferrable(
        need_s=5 * HOUR,
        due_s=8 * HOUR,
        interruptible=True,
        restart_s=900,
        started=True,
        running=True,
    )
    decision = decide(runs, seen(peak), foretell=True)
    assert (decision.run, decision.until_s) == (False, 2 * HOUR)


def test_a_pause_that_saves_less_than_its_restart_is_not_made():
    small = [21, 20, 20, 20, 20, 20, 20, 20]
    runs = Deferrable(
        need_s=6 * HOUR,
        due_s=8 * HOUR,
        interruptible=True,
        restart_s=900,
        started=True,
        running=True,
    )
    assert decide(runs, seen(small)).run
    assert not decide(dataclasses.replace(runs, restart_s=0.0), seen(small)).run


def test_a_job_that_cannot_pause_goes_on_once_it_runs():
    runs = Deferrable(need_s=2 * HOUR, due_s=30 * HOUR, started=True, running=True)
    assert decide(runs, seen([900, *[1] * 29])).run


def test_the_reserve_holds_as_many_failures_as_the_risk_allows():
    mean, risk = 6.0, 0.001
    count = reserve_s(6e5, failures_per_s=1e-5, each_s=1.0, risk_fraction=risk)
    drawn = np.random.default_rng(1).poisson(mean, 400_000)
    assert (drawn > count).mean() <= 1.3 * risk
    assert (drawn > count - 1).mean() > 0.7 * risk
    assert reserve_s(1e5, failures_per_s=0, each_s=1, risk_fraction=0.1, error_fraction=0.1) == 1e4


def test_a_day_ahead_market_tells_tomorrow_in_the_evening():
    assert [num_known(hour, published_hour=18) for hour in (0, 17, 18, 23, 24)] == [
        *(24, 24, 48, 48, 48)
    ]
    assert num_known(5, published_hour=None) == 6


def test_the_guess_of_an_hour_is_that_hour_in_the_weeks_before():
    week = np.arange(168.0)
    guess = outlook(np.tile(week, 5), 5 * 168 - 1, 169, FORECAST).mean
    assert guess[1:] == pytest.approx(week)
    young = outlook(np.arange(30.0), 29, 3, FORECAST).mean
    assert young == pytest.approx([29, np.mean([6, 14.5, 14.5]), np.mean([7, 14.5, 14.5])])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Deferrable(need_s=0, due_s=1), "above zero"),
        (lambda: Deferrable(need_s=1, due_s=1, restart_s=-1), "restart"),
        (lambda: Deferrable(need_s=1, due_s=float("inf")), "deadline"),
        (lambda: Forecast(num_weeks=0), "past weeks"),
        (lambda: Forecast(half_life_ratio=-1), "half_life"),
        (lambda: outlook(np.ones(5), 5, 3, FORECAST), "not among"),
        (lambda: outlook(np.array([1.0, np.nan]), 1, 1, FORECAST), "without a number"),
        (lambda: reserve_s(1, failures_per_s=1, each_s=1, risk_fraction=0), "risk"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, words):
    with pytest.raises(UsageError, match=words):
        wrong()
