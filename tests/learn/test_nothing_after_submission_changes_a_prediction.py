"""A prediction is made of what had ended when the job was submitted, and of nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.learn.conftest import job, past, pasts

from clusterwright import learn, twin
from clusterwright.learn import Past
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.study import learning

DAY_S = 86_400.0


def longer(one: Past, by_s: float) -> Past:
    """Return the same job, ending later for running longer."""
    return Past(job=replace(one.job, duration_s=one.job.duration_s + by_s), end_s=one.end_s + by_s)


@settings(max_examples=20)
@given(found=pasts(), by_s=st.floats(1, 1e6), which=st.integers(0, 11))
def test_what_ends_later_may_be_anything(found, by_s, which):
    asked = found[which % len(found)].job
    changed = [longer(one, by_s) if one.end_s > asked.submit_s else one for one in found]

    def told(past):
        jobs = [one.job for one in past]
        return {job.job_id: one for job, one in learn.as_they_come(jobs, past)}

    before, after = told(found)[asked.job_id], told(changed)[asked.job_id]
    assert np.array_equal(before.shares, after.shares)


@settings(max_examples=20)
@given(found=pasts(), until_s=st.floats(0, 400_000), by_s=st.floats(1, 1e6))
def test_a_history_cut_off_knows_only_that_later_ends_have_not_come(found, until_s, by_s):
    changed = [longer(one, by_s) if one.end_s > until_s else one for one in found]
    before, after = learn.known_at(found, until_s), learn.known_at(changed, until_s)
    for one in found:
        told = (history.outlook(one.job, until_s).shares for history in (before, after))
        assert np.array_equal(*told)


@settings(max_examples=20)
@given(found=pasts())
def test_the_own_duration_is_not_read(found):
    history = learn.known_at(found, 1e6)
    for one in found:
        other = replace(one.job, duration_s=one.job.duration_s * 7)
        told = (history.outlook(each, 1e6).shares for each in (one.job, other))
        assert np.array_equal(*told)


@settings(max_examples=20)
@given(found=pasts())
def test_the_same_history_tells_the_same(found):
    first, second = (list(learn.as_they_come([p.job for p in found], found)) for _ in range(2))
    for (job_a, a), (job_b, b) in zip(first, second, strict=True):
        assert job_a == job_b
        assert np.array_equal(a.shares, b.shares)


@pytest.mark.parametrize("day", [1, 2, 3])
def test_a_step_learns_nothing_of_the_days_to_come(day):
    cluster = Cluster(groups=(NodeGroup(queue="q", num_nodes=1, gpus_per_node=2),))
    rng = np.random.default_rng(7)
    jobs = [
        job(number, submit_s=float(when), duration_s=float(10 ** rng.uniform(1, 5)))
        for number, when in enumerate(np.sort(rng.uniform(0, 4 * DAY_S, 60)))
    ]
    changed = [
        one if one.submit_s < day * DAY_S else replace(one, duration_s=one.duration_s * 3)
        for one in jobs
    ]
    keys = [
        {
            one.job_id: one.estimate_s
            for one in learning.learning_along(cluster, each, [], every_s=DAY_S).jobs
        }
        for each in (jobs, changed)
    ]
    for one in jobs:
        if one.submit_s < (day + 1) * DAY_S:
            assert keys[0][one.job_id] == keys[1][one.job_id]


def test_a_step_knows_what_ended_in_the_run_and_not_by_the_trace():
    """Two jobs on one accelerator: the second has waited, so it has not ended by midnight."""
    cluster = Cluster(groups=(NodeGroup(queue="q", num_nodes=1, gpus_per_node=1),))
    first = job(1, submit_s=0.0, duration_s=DAY_S - 100)
    second = job(2, submit_s=10.0, duration_s=1000.0)
    asked = job(3, submit_s=DAY_S + 5, duration_s=10.0)
    outcome = learning.learning_along(cluster, [first, second, asked], [], every_s=DAY_S)
    told = next(one.estimate_s for one in outcome.jobs if one.job_id == "j3")
    history = learn.History()
    history.learn(first, DAY_S - 100)
    assert told == learn.claim_s(history.outlook(asked, DAY_S), asked)
    assert twin.run(cluster, [first], twin.Setting()).records[0].end_s == DAY_S - 100


def test_past_ends_of_the_same_second_count():
    ((_, told),) = learn.as_they_come([job(9, submit_s=60.0)], [past(1, duration_s=60.0)])
    assert told.quantile_s(0.5) < 1000
