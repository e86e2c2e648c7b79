"""Under the guard a job is overtaken only by what is submitted within its window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.learn.conftest import job

from clusterwright import learn, sched, twin
from clusterwright.model.cluster import Cluster, NodeGroup

CLAIMS = st.lists(st.floats(1, 1e9), max_size=20).map(sorted)


@given(known=CLAIMS, first=st.floats(1, 1e9), second=st.floats(1, 1e9), gap_s=st.floats(0, 1e7))
def test_nothing_submitted_after_the_window_goes_before(known, first, second, gap_s):
    window_s = 1e6
    waits, comes = job(1, submit_s=0.0), job(2, submit_s=gap_s)
    keys = [
        learn.overtaken_until_s(one, claim, known, window_s)
        for one, claim in ((waits, first), (comes, second))
    ]
    if gap_s > window_s:
        assert keys[0] < keys[1]


@given(known=CLAIMS, claims=st.lists(st.floats(1, 1e9), min_size=2, max_size=2))
def test_of_two_that_come_together_the_smaller_claim_goes_first(known, claims):
    keys = [learn.overtaken_until_s(job(), claim, known, 1e6) for claim in sorted(claims)]
    assert keys == sorted(keys)


@given(known=CLAIMS, claim=st.floats(1, 1e9), submit_s=st.floats(0, 1e7))
def test_a_window_of_nothing_is_first_come_first_served(known, claim, submit_s):
    assert learn.overtaken_until_s(job(submit_s=submit_s), claim, known, 0.0) == submit_s


@pytest.mark.parametrize(("window_s", "starves"), [(1e4, False), (1e9, True)])
def test_a_stream_of_small_jobs_cannot_hold_a_large_one_back(window_s, starves):
    """Small jobs keep half of the node busy for ever; the large one needs all of it."""
    small = [job(n, submit_s=n * 50.0, duration_s=100.0, num_gpus_ratio=2.0) for n in range(2000)]
    large = job(9999, submit_s=1000.0, duration_s=100.0, num_gpus_ratio=4.0)
    known = [1.0, 2.0]
    jobs = [
        learn_key(one, 2.0 if one is large else 1.0, known, window_s) for one in [*small, large]
    ]
    cluster = Cluster(groups=(NodeGroup(queue="q", num_nodes=1, gpus_per_node=4),))
    outcome = twin.run(cluster, jobs, twin.Setting(policy=sched.policy_of("predicted")))
    waited = next(
        record.waited_s
        for one, record in zip(outcome.jobs, outcome.records, strict=True)
        if one.job_id == large.job_id
    )
    assert (waited > 50_000) == starves


def learn_key(one, claim, known, window_s):
    from dataclasses import replace

    return replace(one, estimate_s=learn.overtaken_until_s(one, claim, known, window_s))
