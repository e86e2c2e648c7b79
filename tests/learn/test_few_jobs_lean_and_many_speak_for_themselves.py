"""Shrinkage: a cell with one job says about what its parent says, one with many says its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from tests.learn.conftest import job, past, pasts

from clusterwright import learn

DAY_S = 86_400.0


def queue_of(count, duration_s, *, user="ann", first=0, days=True):
    """Return ended jobs of one user, one a day unless all come at once."""
    return [
        past(first + n, user=user, submit_s=n * DAY_S if days else 0.0, duration_s=duration_s)
        for n in range(count)
    ]


def told(history, now_s, **what):
    return history.outlook(job(9999, submit_s=now_s, **what), now_s)


def test_nothing_known_is_no_error_and_says_so_with_a_wide_range():
    outlook = learn.History().outlook(job(), 0.0)
    assert outlook.quantile_s(0.9) / outlook.quantile_s(0.1) > 1e5


def test_one_job_moves_a_user_little():
    history = learn.known_at(queue_of(20, 100.0), 20 * DAY_S)
    before = told(history, 20 * DAY_S, user="bob").mean_s()
    history.learn(job(500, user="bob", submit_s=19 * DAY_S, duration_s=10_000.0), 20 * DAY_S)
    after = told(history, 20 * DAY_S, user="bob")
    assert after.quantile_s(0.5) == pytest.approx(100.0, rel=0.3)
    assert after.mean_s() > before


def test_many_jobs_speak_for_their_user():
    others = queue_of(200, 100.0)
    own = queue_of(200, 10_000.0, user="bob", first=1000)
    history = learn.known_at([*others, *own], 201 * DAY_S)
    assert told(history, 201 * DAY_S, user="bob").quantile_s(0.5) == pytest.approx(1e4, rel=0.3)
    assert told(history, 201 * DAY_S, user="ann").quantile_s(0.5) == pytest.approx(100, rel=0.3)


def test_a_stranger_is_told_what_the_queue_is_told():
    history = learn.known_at(queue_of(60, 100.0), 61 * DAY_S)
    assert told(history, 61 * DAY_S, user="eve").quantile_s(0.5) == pytest.approx(100.0, rel=0.3)


def test_a_sweep_of_one_day_weighs_less_than_as_many_days():
    def moved(days):
        everyone = queue_of(30, 100.0)
        history = learn.known_at(everyone, 30 * DAY_S)
        for one in queue_of(30, 10_000.0, user="bob", first=1000, days=days):
            history.learn(one.job, 30 * DAY_S)
        return told(history, 30 * DAY_S, user="bob").mean_s()

    assert moved(days=False) < moved(days=True)


def test_what_is_recent_weighs_more():
    early, late = queue_of(40, 100.0), queue_of(80, 10_000.0, first=1000)[40:]
    history = learn.known_at([*early, *late], 81 * DAY_S)
    assert told(history, 81 * DAY_S).quantile_s(0.5) > 5000


def test_jobs_that_still_run_are_known_to_be_long():
    ended = queue_of(20, 100.0)
    running = [past(500 + n, submit_s=0.0, duration_s=90 * DAY_S) for n in range(20)]
    without = learn.known_at(ended, 20 * DAY_S)
    with_them = learn.known_at([*ended, *running], 20 * DAY_S)
    assert told(with_them, 20 * DAY_S).mean_s() > 2 * told(without, 20 * DAY_S).mean_s()


@settings(max_examples=20)
@given(found=pasts())
def test_shares_are_a_distribution_and_quantiles_ascend(found):
    history = learn.known_at(found, 300_000.0)
    for one in found:
        outlook = history.outlook(one.job, 300_000.0)
        assert outlook.shares.sum() == pytest.approx(1.0)
        assert (outlook.shares >= 0).all()
        quantiles = [outlook.quantile_s(q) for q in (0.1, 0.5, 0.9)]
        assert quantiles == sorted(quantiles)
        caps = [outlook.capped_mean_s(cap) for cap in (60.0, 3600.0, 1e5, 1e8)]
        assert caps == sorted(caps)
        assert caps[-1] == pytest.approx(outlook.mean_s())


def test_the_longer_a_job_of_a_heavy_tail_has_run_the_longer_it_will():
    rng = np.random.default_rng(1)
    durations = 60 * (1 - rng.random(400)) ** (-1 / 0.7)  # Pareto, infinite mean
    history = learn.History()
    for number, duration in enumerate(durations):
        history.learn(job(number, submit_s=number * DAY_S, duration_s=float(duration)), 0.0)
    outlook = told(history, 0.0)
    left = [outlook.remaining_s(ran) for ran in (0.0, 600.0, 6000.0, 60_000.0)]
    assert left == sorted(left)
    assert outlook.remaining_s(0.0) == pytest.approx(outlook.mean_s(), rel=1e-3)


def test_a_job_past_all_that_is_known_is_no_error():
    assert learn.History().outlook(job(), 0.0).remaining_s(1e9) >= 0.0
