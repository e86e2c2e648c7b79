"""Forecasts are held against the starts of a replay, and know nothing that came after them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job, Reason
from clusterwright.sched import policy_of
from clusterwright.study.starts import LEVELS, Known, censored_quantile, starts
from clusterwright.study.waiting import waiting
from clusterwright.twin import Luck, Setting, run

CLUSTER = Cluster(groups=(NodeGroup(queue="q", num_nodes=1, gpus_per_node=4),))


def busy(count=700, seed=2, gap_s=1100.0):
    """Return independent jobs that keep four accelerators busy, so that some wait."""
    rng = np.random.default_rng(seed)
    submit_s = np.cumsum(rng.exponential(gap_s, count))
    lasts_s = rng.lognormal(math.log(2200.0), 1.1, count)
    return tuple(
        Job(
            job_id=f"j{n}",
            queue="q",
            user=f"u{n % 7}",
            submit_s=float(submit_s[n]),
            duration_s=float(lasts_s[n]),
            num_gpus_ratio=1.0,
        )
        for n in range(count)
    )


def test_starts_of_independent_jobs_come_true_as_often_as_told():
    luck = Luck(num_samples=20, shared_fraction=0.0)
    rows = starts(CLUSTER, busy(), Setting(), (), from_s=3 * 86_400.0, every_s=14_400.0, luck=luck)
    told = {row.name: row for row in rows}
    twin = told["the twin"]
    assert twin.num_moments > 20
    # Moments go together, so that a few dozen of them leave a tenth of room.
    assert 0.35 < twin.started_by_p50_fraction < 0.65
    assert 0.8 < twin.started_by_p90_fraction <= 1.0
    assert twin.pinball_p50_s < told["waits of the queue"].pinball_p50_s
    assert len(twin.started_by_level_fraction) == len(LEVELS)


def test_what_is_told_at_a_moment_does_not_hang_on_what_came_later():
    jobs = busy(200, gap_s=800.0)
    at_s = 90_000.0
    later = tuple(
        replace(job, duration_s=job.duration_s * 5) if job.submit_s > at_s else job for job in jobs
    )
    luck = Luck(num_samples=5)
    rows = [waiting(CLUSTER, some, Setting(), at_s=at_s, luck=luck) for some in (jobs, later)]
    assert rows[0]
    assert rows[0] == rows[1]


def test_every_waiting_job_has_its_reason_and_its_interval_in_order():
    rows = waiting(
        CLUSTER, busy(200, gap_s=800.0), Setting(), at_s=90_000.0, luck=Luck(num_samples=9)
    )
    assert rows[0].reason is Reason.WAITING_FOR_RESOURCES
    assert {row.reason for row in rows[1:]} <= {Reason.BEHIND_PRIORITY}
    for row in rows:
        assert 0 <= row.start_in_p10_s <= row.start_in_p50_s <= row.start_in_p90_s


def test_when_nothing_is_left_nobody_waits():
    assert waiting(CLUSTER, busy(3), Setting(), at_s=1e9, luck=Luck(num_samples=2)) == ()


def test_run_times_are_learned_once_jobs_have_ended():
    outcome = run(CLUSTER, busy(50), Setting())
    known = Known(outcome)
    assert not known.recent(0.0)
    assert len(known.recent(20_000.0)) == sum(job.submit_s <= 20_000.0 for job in outcome.jobs)


def test_a_job_that_was_stopped_is_judged_by_its_next_start():
    low, high = busy(2)
    low = replace(low, num_gpus_ratio=4.0, submit_s=0.0, duration_s=1000.0, preemptible=True)
    high = replace(high, num_gpus_ratio=4.0, submit_s=100.0, duration_s=500.0, priority=1)
    known = Known(run(CLUSTER, (low, high), Setting(policy=policy_of("priority"))))
    assert known.next_starts_s(["j0", "j1"], 0.0).tolist() == [0.0, 100.0]
    assert known.next_starts_s(["j0", "j1"], 300.0).tolist() == [600.0, math.inf]


@pytest.mark.filterwarnings("error")
def test_jobs_that_are_stopped_now_and_then_are_judged_too():
    jobs = [
        replace(job, preemptible=True, priority=int(n % 5 == 0), checkpoint_interval_s=600.0)
        for n, job in enumerate(busy(300))
    ]
    setting = Setting(policy=policy_of("priority"))
    rows = starts(
        CLUSTER, jobs, setting, (), from_s=86_400.0, every_s=7200.0, luck=Luck(num_samples=5)
    )
    assert rows[0].num_moments > 15
    assert 0.2 < rows[0].started_by_p50_fraction < 0.8


CASES = {
    "all known": ([1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1], [1, 1, 1, 1], 0.5, 2.0),
    "one that goes on beyond moves it up": ([1.0, 2.0, 3.0], [1, 0, 1], [1, 1, 1], 0.5, 3.0),
    "weights count": ([1.0, 2.0], [1, 1], [3, 1], 0.7, 1.0),
    "what is known does not reach so far": ([1.0, 9.0, 9.0], [1, 0, 0], [1, 1, 1], 0.9, 1.0),
    "nothing is known": ([1.0], [0], [1], 0.5, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_quantile_counts_what_is_only_known_to_be_larger(case):
    values, known, weights, level, wanted = CASES[case]
    found = censored_quantile(
        np.array(values), np.array(known, dtype=bool), np.array(weights, dtype=float), level
    )
    assert found == wanted
