"""Elastic gangs: they shrink instead of being stopped, grow when nodes idle, and lose no work."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import EventKind
from clusterwright.model.job import QUANTA, Job
from clusterwright.model.quota import Quota
from clusterwright.sched import POLICIES, State, with_changes
from clusterwright.twin import Failures, Power, Setting, record, run, spans, summarise
from clusterwright.twin.bills import Meter

STOPS = (EventKind.PREEMPT, EventKind.INTERRUPT, EventKind.RESIZE)


def job(name, gpus, submit=0.0, lasts=1000.0, least=None, queue="q0", **more):
    return Job(
        job_id=name,
        queue=queue,
        submit_s=submit,
        duration_s=lasts,
        num_gpus_ratio=gpus,
        min_gpus_ratio=least,
        checkpoint_interval_s=100.0,
        preemptible=True,
        **more,
    )


def played(jobs, *, nodes=4, shared=True, **changes):
    group = NodeGroup(queue="q0", num_nodes=nodes, gpus_per_node=8)
    quotas = tuple(Quota(queue=f"q{n}", guarantee_ratio=nodes * 4.0) for n in range(2))
    cluster = Cluster(groups=(group,), quotas=quotas if shared else ())
    policy = with_changes(POLICIES["fifo"], **changes)
    outcome = run(cluster, jobs, Setting(policy=policy, pooled=shared))
    events = [(e.time_s, e.kind.name, e.job, len(e.nodes)) for e in outcome.log.events()]
    return outcome, [event for event in events if event[1] != "SUBMIT"]


def test_a_gang_that_borrows_keeps_a_part_of_its_nodes_when_others_are_owed_some():
    jobs = (job("big", 32.0, least=8.0), job("owed", 16.0, 150.0, lasts=500.0, queue="q1"))
    _, events = played(jobs, resize="shrink")
    assert events[:3] == [
        (0.0, "START", 0, 4),
        (150.0, "RESIZE", 0, 2),
        (150.0, "START", 1, 2),
    ]
    _, events = played(jobs)
    assert events[1] == (150.0, "PREEMPT", 0, 0)


def test_a_gang_below_its_least_is_stopped():
    jobs = (job("big", 32.0, least=24.0), job("owed", 16.0, 150.0, lasts=500.0, queue="q1"))
    _, events = played(jobs, resize="both")
    assert events[1][1] == "PREEMPT"


def test_a_gang_grows_when_nodes_idle_but_not_at_once_and_not_while_others_wait():
    jobs = (
        job("first", 16.0, lasts=400.0),
        job("big", 32.0, 1.0, lasts=10_000.0, least=16.0, restart_s=50.0),
    )
    outcome, events = played(jobs, shared=False, resize="grow", resize_after_s=600.0)
    assert events[:4] == [
        (0.0, "START", 0, 2),
        (1.0, "START", 1, 2),
        (400.0, "FINISH", 0, 0),
        (601.0, "RESIZE", 1, 4),
    ]
    # 600 s at half its speed, then the restart and the rest at full speed.
    assert outcome.records[1].end_s == pytest.approx(601.0 + 50.0 + 10_000.0 - 300.0)
    assert outcome.records[1].lost_s == pytest.approx(50.0)


def test_a_gang_does_not_grow_for_less_than_its_restart_costs():
    jobs = (job("first", 16.0, lasts=400.0), job("big", 32.0, 1.0, least=16.0, restart_s=9000.0))
    _, events = played(jobs, shared=False, resize="grow", resize_after_s=600.0)
    assert all(kind != "RESIZE" for _, kind, _, _ in events)


@st.composite
def runs(draw):
    group = NodeGroup(queue="q0", num_nodes=5, gpus_per_node=8, node_power_w=1000.0)
    quotas = (Quota(queue="q0", guarantee_ratio=16.0), Quota(queue="q1", guarantee_ratio=16.0))
    jobs = []
    for number in range(draw(st.integers(1, 20))):
        gpus = draw(st.sampled_from([4.0, 8.0, 16.0, 32.0, 40.0]))
        jobs.append(
            Job(
                job_id=f"j{number}",
                queue=f"q{draw(st.integers(0, 1))}",
                submit_s=float(draw(st.integers(0, 5000))),
                duration_s=float(draw(st.integers(1, 5000))),
                num_gpus_ratio=gpus,
                min_gpus_ratio=draw(st.none() | st.just(8.0)) if gpus > 8 else None,
                estimate_s=draw(st.none() | st.integers(1, 8000).map(float)),
                checkpoint_interval_s=draw(st.none() | st.just(300.0)),
                checkpoint_stall_s=draw(st.sampled_from([0.0, 5.0])),
                restart_s=30.0,
                preemptible=draw(st.booleans()),
            )
        )
    policy = with_changes(
        POLICIES[draw(st.sampled_from(["fifo", "priority", "fair"]))],
        resize=draw(st.sampled_from(["shrink", "grow", "both"])),
        resize_after_s=draw(st.sampled_from([0.0, 600.0])),
        backfill=draw(st.sampled_from(["none", "easy"])),
        sleep_after_s=draw(st.none() | st.just(500.0)),
    )
    failures = draw(st.none() | st.just(Failures.of_nodes(per_gpu_day=1.0, repair_s=600.0)))
    setting = Setting(
        policy=policy, pooled=True, failures=failures, seed=draw(st.integers(0, 3)), wake_s=60.0
    )
    return Cluster(groups=(group,), quotas=quotas), tuple(jobs), setting


@settings(max_examples=100, deadline=None)
@given(runs())
def test_no_accelerator_is_booked_twice_and_no_work_is_lost_or_made(case):
    cluster, jobs, setting = case
    outcome = run(cluster, jobs, setting)
    used, held, left = [0] * 5, {}, {}
    for event in outcome.log.events():
        one = outcome.jobs[event.job] if event.job >= 0 else None
        if event.kind in (*STOPS, EventKind.FINISH):
            since_s, nodes, resumed = held.pop(event.job)
            for node, quanta in nodes:
                used[node] -= quanta
            rate = sum(quanta for _, quanta in nodes) / one.quanta
            worked_s = event.time_s - since_s - (one.restart_s if resumed else 0.0)
            before_s = left.get(event.job, one.duration_s)
            if event.kind is EventKind.FINISH and setting.policy.sleep_after_s is None:
                stalls = 0.0
                if one.checkpoint_interval_s:
                    whole = math.ceil(before_s / rate / one.checkpoint_interval_s)
                    stalls = max(0, whole - 1) * one.checkpoint_stall_s
                assert worked_s == pytest.approx(before_s / rate + stalls, abs=1e-6)
            elif event.kind is not EventKind.FINISH:
                assert -1e-9 <= event.kept_s <= max(0.0, worked_s) * rate + 1e-6
                left[event.job] = max(0.0, before_s - event.kept_s)
        if event.kind in (EventKind.START, EventKind.RESIZE):
            quanta = sum(taken for _, taken in event.nodes)
            least = (one.min_gpus_ratio or one.num_gpus_ratio) * QUANTA
            assert least <= quanta <= one.quanta
            for node, taken in event.nodes:
                used[node] += taken
                assert used[node] <= 8 * QUANTA
            held[event.job] = (event.time_s, event.nodes, event.job in left)
    assert not held
    assert not any(math.isnan(one.end_s) for one in outcome.records)


@settings(max_examples=40, deadline=None)
@given(runs())
def test_what_is_read_off_the_log_agrees_and_the_log_gives_the_state(case):
    cluster, jobs, setting = case
    outcome = run(cluster, jobs, setting)
    found = spans.attempts(record(outcome))
    lasted = found.until_s - found.since_s
    booked = float((lasted[found.attempt] * found.quanta).sum())
    assert booked == pytest.approx(float(outcome.records.held_quanta_s.sum()), rel=1e-9, abs=1e-3)
    meter = Meter(outcome, None, sleep_after_s=setting.policy.sleep_after_s)
    node_s = sum(one.node_s for one in meter.states())
    assert node_s == pytest.approx(5 * outcome.end_s, rel=1e-9, abs=1e-6)
    power = Power(
        idle_fraction=0.3,
        busy_fraction=0.85,
        other_power_w=0.0,
        pue_ratio=1.0,
        price_usd_per_j=(0.0,),
        carbon_g_per_j=(0.0,),
    )
    status = summarise("x", outcome, setting, power=power).status
    assert 0 <= status.goodput_fraction <= 1 + 1e-9
    state = State(cluster, outcome.jobs, setting.policy, pooled=True)
    for event in outcome.log.events():
        state.apply(event)
    assert not state.running
