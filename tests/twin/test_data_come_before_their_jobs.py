"""Data on their way to the hot tier: when they arrive, what waits for them, what makes room."""

import math

import pytest

from clusterwright.errors import InvalidInput
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job, Reason
from clusterwright.sched import POLICIES, State, cycle, why
from clusterwright.twin import Setting, Staging, run

CLUSTER = Cluster(groups=(NodeGroup(queue="q", num_nodes=2, gpus_per_node=8),))
TB = 1e12


def job(name, *, data="", size=0.0, submit_s=0.0, lasts_s=1000.0, gpus=8.0, after=()):
    return Job(
        job_id=name,
        queue="q",
        submit_s=submit_s,
        duration_s=lasts_s,
        num_gpus_ratio=gpus,
        dataset=data,
        dataset_bytes=size,
        depends_on=after,
    )


def starts(jobs, *, hot=100 * TB, rate=1e9, prefetch=True):
    staging = Staging(hot_bytes=hot, way_bytes_per_s=rate, prefetch=prefetch)
    outcome = run(CLUSTER, jobs, Setting(staging=staging))
    return {one.job_id: outcome.records[i] for i, one in enumerate(outcome.jobs)}, outcome


def test_transfers_share_the_way_fairly():
    # Both at 0.5 GB/s until the shorter one is through at 2000 s, the other alone from then on.
    jobs = (job("a", data="x", size=1 * TB), job("b", data="y", size=2 * TB))
    records, _ = starts(jobs)
    assert records["a"].first_start_s == pytest.approx(2000.0)
    assert records["b"].first_start_s == pytest.approx(3000.0)


def test_what_is_staged_goes_first_and_keeps_the_order_of_submission():
    jobs = (
        job("large", data="x", size=2 * TB, gpus=16.0),
        job("none", gpus=16.0, submit_s=1.0),
        job("later", gpus=16.0, submit_s=2.0),
    )
    records, _ = starts(jobs)
    assert records["none"].first_start_s == 1.0
    assert records["later"].first_start_s == 1001.0
    assert records["large"].first_start_s == 2001.0  # it came at 2000 s and waits for nodes


def test_bytes_cost_nothing_while_a_job_waits_for_nodes_anyway():
    before = job("before", lasts_s=4000.0, gpus=16.0)
    reads = job("reads", data="x", size=2 * TB, gpus=16.0)
    records, ahead = starts((before, reads))
    assert records["reads"].first_start_s == 4000.0
    assert ahead.staging is not None
    assert ahead.staging.waited_s == 0.0
    _, late = starts((before, reads), prefetch=False)
    assert late.staging is not None
    assert late.staging.waited_s == pytest.approx(2000.0)
    assert late.end_s == pytest.approx(ahead.end_s + 2000.0)


def test_data_are_read_once_for_all_who_need_them():
    jobs = tuple(job(f"j{n}", data="x", size=1 * TB, submit_s=600.0 * n) for n in range(4))
    _, outcome = starts(jobs)
    assert outcome.staging is not None
    assert outcome.staging.num_transfers == 1
    assert outcome.staging.hit_fraction == pytest.approx(0.5)  # the first two came before it


def test_the_longest_unread_makes_room():
    jobs = (
        job("a", data="x", size=1 * TB),
        job("b", data="y", size=1 * TB, submit_s=10_000.0),
        job("c", data="x", size=1 * TB, submit_s=20_000.0),
        job("d", data="z", size=1 * TB, submit_s=30_000.0),
        job("e", data="x", size=1 * TB, submit_s=40_000.0),
    )
    records, outcome = starts(jobs, hot=2 * TB)
    gone = [event for event in outcome.log.events() if event.kind is EventKind.EVICTED]
    assert [outcome.jobs[event.job].dataset for event in gone] == ["y"]
    assert records["e"].first_start_s == 40_000.0


def test_data_of_a_running_job_stay():
    jobs = (
        job("long", data="x", size=2 * TB, lasts_s=9000.0),
        job("other", data="y", size=2 * TB),
    )
    records, _ = starts(jobs, hot=3 * TB)
    ends = records["long"].end_s
    assert records["other"].first_start_s == pytest.approx(ends + 2000.0)


def test_data_that_never_fit_are_refused_all_at_once():
    jobs = (job("a", data="x", size=5 * TB), job("b", data="y", size=6 * TB), job("c"))
    with pytest.raises(InvalidInput) as caught:
        starts(jobs, hot=3 * TB)
    assert len(caught.value.faults) == 2


def test_a_job_behind_another_waits_for_its_data_after_that():
    jobs = (job("a", lasts_s=100.0), job("b", data="x", size=1 * TB, after=("a",)))
    records, _ = starts(jobs)
    assert records["b"].first_start_s == pytest.approx(1000.0)


def test_why_says_that_data_are_on_their_way():
    jobs = (job("a", data="x", size=1 * TB),)
    state = State(CLUSTER, jobs, POLICIES["fifo"], staged=True)
    state.apply(Event(time_s=0.0, kind=EventKind.SUBMIT, job=0))
    assert not cycle(state, 0.0).events
    assert why(state, 0).reason is Reason.STAGING_DATA
    state.apply(Event(time_s=5.0, kind=EventKind.STAGED, job=0))
    kinds = [event.kind for event in cycle(state, 5.0).events]
    assert kinds == [EventKind.RELEASE, EventKind.START]


def test_a_job_that_is_let_go_waits_for_its_data_still():
    jobs = (job("a", data="x", size=1 * TB),)
    state = State(CLUSTER, jobs, POLICIES["fifo"], staged=True)
    for kind in (EventKind.SUBMIT, EventKind.HOLD, EventKind.RELEASE):
        state.apply(Event(time_s=0.0, kind=kind, job=0))
    assert why(state, 0).reason is Reason.STAGING_DATA


def test_the_log_of_a_staged_run_played_back_gives_the_same_state():
    jobs = tuple(
        job(f"j{n}", data=f"d{n % 3}", size=TB * (1 + n % 3), submit_s=700.0 * n) for n in range(12)
    )
    _, outcome = starts(jobs, hot=4 * TB)
    state = State(CLUSTER, outcome.jobs, POLICIES["fifo"], staged=True)
    for event in outcome.log.events():
        state.apply(event)
    assert not state.running
    assert not state.num_waiting()
    again = starts(jobs, hot=4 * TB)[1]
    assert again.log.to_bytes() == outcome.log.to_bytes()
    assert all(not math.isnan(record.end_s) for record in outcome.records)
