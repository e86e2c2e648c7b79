"""From a picture the twin goes on as it did; under luck drawn it tells when waiting jobs start."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.learn import Outlook
from clusterwright.learn.outlook import NUM_BINS, bin_of
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job
from clusterwright.sched import POLICIES, picture, with_changes
from clusterwright.twin import Expected, Failures, Luck, Setting, StartForecast, forecast, run
from clusterwright.twin.kernel import starts_from

CLUSTER = Cluster(groups=(NodeGroup(queue="q", num_nodes=2, gpus_per_node=8),))
LUCK = Luck(num_samples=30)


def job(name, lasts_s, gpus=8.0, submit_s=0.0, **more):
    return Job(
        job_id=name, queue="q", submit_s=submit_s, duration_s=lasts_s, num_gpus_ratio=gpus, **more
    )


def about(*lasts_s):
    """Return an outlook that knows that a job lasts about one of these times."""
    shares = np.zeros(NUM_BINS)
    for one in lasts_s:
        shares[bin_of(one)] += 1.0 / len(lasts_s)
    return Outlook(shares=shares)


def at(jobs, time_s, setting=None):
    """Return the picture at a time of a run, and when each job started in that run."""
    seen = []
    outcome = run(
        CLUSTER,
        jobs,
        setting or Setting(),
        looks_s=(time_s,),
        look=lambda state, now_s: seen.append(picture(state, now_s)),
    )
    starts = zip(outcome.jobs, outcome.records.first_start_s, strict=True)
    return (seen or [None])[0], {one.job_id: float(start_s) for one, start_s in starts}


@st.composite
def workloads(draw):
    return tuple(
        job(
            f"j{number}",
            float(draw(st.integers(1, 900))),
            draw(st.sampled_from([1.0, 4.0, 8.0, 16.0])),
            float(draw(st.integers(0, 40)) * 25),
            priority=draw(st.integers(0, 1)),
            preemptible=True,
            checkpoint_interval_s=draw(st.none() | st.just(60.0)),
            restart_s=10.0,
            time_limit_s=draw(st.none() | st.just(500.0)),
            user=draw(st.sampled_from("ab")),
        )
        for number in range(draw(st.integers(2, 25)))
    )


@settings(max_examples=25, deadline=None)
@given(
    workloads(),
    st.sampled_from(sorted(POLICIES)),
    st.sampled_from(["none", "easy", "conservative"]),
    st.integers(1, 1500).map(float),
)
def test_with_true_run_times_a_picture_gives_the_true_starts(jobs, name, backfill, time_s):
    setting = Setting(policy=with_changes(POLICIES[name], backfill=backfill))
    seen, started = at(jobs, time_s, setting)
    if seen is None:
        return
    asked = [one.job for one in seen.waiting if one.left_s is None]  # others started before
    if asked:
        found = starts_from(seen, CLUSTER, jobs, setting, asked)
        assert found == pytest.approx({name: started[name] for name in asked})


def test_what_is_certain_is_foretold():
    jobs = (job("a", 5000.0), job("b", 9000.0), job("c", 100.0, submit_s=10.0))
    seen, started = at(jobs, 1000.0)
    known = [Expected(job=one, outlook=about(one.duration_s)) for one in jobs]
    (found,) = forecast(seen, CLUSTER, known, Setting(), luck=LUCK)
    assert found.job == "c"
    assert found.quantile_s(0.5) == pytest.approx(started["c"], rel=0.2)


def test_true_run_times_are_not_read():
    jobs = (job("a", 5000.0), job("b", 9000.0), job("c", 100.0, 16.0, 10.0), job("d", 7.0, 8.0, 20))
    outlook = about(2000.0, 6000.0, 20000.0)
    easy = Setting(policy=with_changes(POLICIES["fifo"], backfill="easy"))
    told = []
    for factor in (1.0, 3.0):
        true = tuple(replace(one, duration_s=one.duration_s * factor) for one in jobs)
        seen, _ = at(true, 1000.0, easy)
        known = [Expected(job=one, outlook=outlook) for one in true]
        told.append(forecast(seen, CLUSTER, known, easy, luck=LUCK))
    assert told[0] == told[1]


def test_the_longer_a_job_has_run_the_later_the_next_one_is_expected():
    jobs = (job("a", 90_000.0, 16.0), job("b", 1.0))
    outlook = about(2000.0, 8000.0, 60_000.0)
    medians = []
    for time_s in (100.0, 12_000.0):
        seen, _ = at(jobs, time_s)
        known = [Expected(job=one, outlook=outlook) for one in jobs]
        (found,) = forecast(seen, CLUSTER, known, Setting(), luck=LUCK)
        assert min(found.samples_s) >= time_s
        medians.append(found.quantile_s(0.5) - time_s)
    assert medians[0] < medians[1]


def test_a_time_limit_bounds_the_wait():
    jobs = (job("a", 90_000.0, 16.0, time_limit_s=4000.0), job("b", 1.0))
    seen, _ = at(jobs, 100.0)
    known = [Expected(job=one, outlook=about(2000.0, 80_000.0)) for one in jobs]
    (found,) = forecast(seen, CLUSTER, known, Setting(), luck=LUCK)
    assert max(found.samples_s) == pytest.approx(4000.0)


def test_a_job_that_is_not_submitted_yet_can_be_asked_about():
    jobs = (job("a", 5000.0, 16.0), job("b", 5000.0, 16.0, 10.0))
    seen, _ = at(jobs, 1000.0)
    new = job("new", 0.0, submit_s=1001.0)
    known = [Expected(job=one, outlook=about(5000.0)) for one in (*jobs, new)]
    (found,) = forecast(seen, CLUSTER, known, Setting(), asked=["new"], luck=LUCK)
    assert found.quantile_s(0.5) == pytest.approx(10_000.0, rel=0.2)


def test_later_arrivals_delay_where_the_policy_lets_them():
    jobs = (job("a", 90_000.0, 16.0), job("big", 10.0, 16.0, 10.0))
    recent = [
        Expected(job=job(f"r{n}", 1.0, 8.0, 60.0 * n), outlook=about(4000.0)) for n in range(1400)
    ]
    medians = {}
    for name in ("fifo", "smallest"):
        setting = Setting(policy=POLICIES[name])
        seen, _ = at(jobs, 86_399.0, setting)
        known = [Expected(job=one, outlook=about(90_000.0)) for one in jobs]
        luck = Luck(num_samples=5)
        (found,) = forecast(seen, CLUSTER, known, setting, recent=recent, luck=luck)
        medians[name] = found.quantile_s(0.5)
    assert medians["smallest"] > medians["fifo"] + 3600.0


def test_a_held_job_has_no_forecast_and_a_lost_node_comes_back():
    failing = Setting(failures=Failures.of_nodes(per_gpu_day=1e-9, repair_s=600.0))
    jobs = (job("a", 10.0, 16.0), job("held", 10.0, held=True))
    seen, _ = at(jobs, 5.0)
    known = [Expected(job=one, outlook=about(10.0)) for one in jobs]
    assert forecast(seen, CLUSTER, known, failing, luck=LUCK) == ()
    waiting = replace(seen, running=(), down=(0,), waiting=(replace(seen.waiting[0], job="a"),))
    waiting = replace(waiting, waiting=(replace(waiting.waiting[0], gate=None, since_s=0.0),))
    (never,) = forecast(waiting, CLUSTER, known, Setting(), luck=LUCK)
    assert never.quantile_s(0.1) == math.inf
    (found,) = forecast(waiting, CLUSTER, known, failing, luck=LUCK)
    assert 5.0 < found.quantile_s(0.5) < 86_400.0


@pytest.mark.parametrize(
    ("samples", "level", "wanted"),
    [
        ((1.0, 2.0, 3.0), 0.5, 2.0),
        ((1.0, 2.0, 3.0, 4.0), 0.5, 2.5),
        ((1.0, 2.0, 3.0, 4.0), 0.9, 4.0),
        ((1.0, 2.0, 3.0, 4.0), 0.0, 1.0),
        ((1.0, math.inf, math.inf), 0.5, math.inf),
        ((1.0, math.inf, math.inf), 0.25, 1.0),
    ],
)
def test_a_quantile_lies_between_its_samples(samples, level, wanted):
    assert StartForecast(job="a", samples_s=samples).quantile_s(level) == wanted
