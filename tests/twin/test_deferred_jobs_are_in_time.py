"""Runs in which jobs wait for better hours: deadlines hold, and the study of hours is met."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright import sched
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job, Reason
from clusterwright.sched.deferral import decide
from clusterwright.sched.deferrals import Deferrals
from clusterwright.sched.prospect import Prospect
from clusterwright.study import deferred
from clusterwright.study.deferred import Task
from clusterwright.twin import Deferral, Setting, run

HOUR = 3600.0


def prospect(prices):
    values = np.array(prices, dtype=float)
    return Prospect(
        signal="price", price_usd_per_j=values, carbon_g_per_j=values, published_hour=18
    )


def waiting(prices, first_hour=0):
    return Deferral(prospect=prospect(prices), first_hour=first_hour, risk_fraction=0.001)


def job(name, lasts, due, submit=0.0, gpus=8.0, **more):
    return Job(
        job_id=name,
        queue="q",
        submit_s=submit,
        duration_s=lasts,
        deadline_s=due,
        num_gpus_ratio=gpus,
        **more,
    )


def cluster(nodes):
    return Cluster(groups=(NodeGroup(queue="q", num_nodes=nodes, gpus_per_node=8),))


@st.composite
def cases(draw):
    prices = draw(st.lists(st.integers(-20, 200), min_size=24, max_size=240))
    jobs = tuple(
        job(
            f"j{number}",
            lasts=(lasts := draw(st.floats(60.0, 20 * HOUR))),
            submit=(submit := float(draw(st.integers(0, 100_000)))),
            # Reading its checkpoint and writing one are paid for each pause, out of the slack.
            due=submit + lasts * draw(st.floats(1.01, 4.0)),
            gpus=draw(st.sampled_from([1.0, 8.0, 16.0])),
            checkpoint_interval_s=draw(st.none() | st.just(1800.0)),
            checkpoint_stall_s=draw(st.sampled_from([0.0, 10.0])),
            restart_s=draw(st.sampled_from([0.0, 600.0])),
        )
        for number in range(draw(st.integers(1, 6)))
    )
    return jobs, waiting(prices, first_hour=draw(st.integers(0, 23)))


@settings(max_examples=100, deadline=None)
@given(cases())
def test_with_nodes_for_all_every_job_is_as_timely_as_at_once(case):
    jobs, how = case
    setting = Setting(policy=sched.policy_of("edf"))
    at_once = run(cluster(12), jobs, setting)
    late = run(cluster(12), jobs, replace(setting, deferral=how))
    for one, before, after in zip(late.jobs, at_once.records, late.records, strict=True):
        assert not math.isnan(after.end_s)
        if before.end_s <= one.deadline_s:
            assert after.end_s <= one.deadline_s + 1e-6, one


@settings(max_examples=40, deadline=None)
@given(cases())
def test_the_log_alone_gives_the_state_without_the_rule(case):
    jobs, how = case
    setting = Setting(policy=sched.policy_of("fifo"), deferral=how, horizon_s=90_000.0)
    outcome = run(cluster(2), jobs, setting)
    state = sched.State(cluster(2), outcome.jobs, setting.policy)
    for event in outcome.log.events():
        state.apply(event)
    last = {event.job: event.kind for event in outcome.log.events()}
    kinds = {EventKind.DEFER: set(), EventKind.START: set()}
    for index, kind in last.items():
        kinds.get(kind, set()).add(index)
    assert set(state.gates) == set(state.deferred) == kinds[EventKind.DEFER]
    assert set(state.running) == kinds[EventKind.START]


def test_the_twin_runs_in_the_hours_that_the_study_runs_in():
    prices = np.random.default_rng(7).gamma(2.0, 30.0, 24 * 40)
    seen = prospect(prices)
    task = Task(
        name="a",
        submit_s=0.0,
        due_s=14 * 24 * HOUR,
        work_s=9 * 24 * HOUR,
        num_gpus_ratio=8.0,
        power_w=1.0,
        interruptible=True,
        restart_s=900.0,
        failures_per_s=0.0,
        repair_s=0.0,
        redo_s=0.0,
        error_fraction=0.0,
    )

    def rule(work, hour):
        ahead = max(1, math.ceil(work.due_s / HOUR))
        return decide(work, seen.seen(21 * 24 + hour, ahead)).run

    course = deferred.run([task], np.full(14 * 24, 8.0), rule, risk_fraction=0.001)
    one = job("a", task.work_s, task.due_s, checkpoint_interval_s=600.0, restart_s=900.0)
    how = Deferral(prospect=seen, first_hour=21 * 24, risk_fraction=0.001)
    outcome = run(cluster(1), (one,), Setting(deferral=how))
    assert outcome.records[0].end_s == pytest.approx(course.ends_s[0], abs=1.0)
    assert outcome.records[0].num_preemptions == course.num_pauses
    used = outcome.usage.quanta_s("q") / (8 * 7000)
    assert used == pytest.approx(course.run_s[0][: used.size], abs=1.0)


def waits_in(prices, *jobs):
    state = sched.State(cluster(1), jobs, sched.policy_of("fifo"))
    state.deferrals = Deferrals(state, waiting(prices).on(jobs, None))
    for index in range(len(jobs)):
        state.apply(Event(0.0, EventKind.SUBMIT, index))
    return state


def test_a_job_that_waits_is_told_for_what_and_until_when():
    state = waits_in([100.0, 100.0, 1.0, *[100.0] * 45], job("a", HOUR, 10 * HOUR))
    found = sched.cycle(state, 0.0)
    assert [event.kind for event in found.events] == [EventKind.DEFER]
    assert found.wake_s == HOUR
    blocked = sched.why(state, 0)
    assert blocked.reason is Reason.BEGIN_TIME
    assert blocked.message == (
        "waits for a better hour, expected at 7200 s; it must be through by 36000 s"
    )


def test_a_job_held_while_it_waits_stays_held_when_its_hour_comes():
    state = waits_in([100.0, 100.0, 1.0, *[100.0] * 45], job("a", HOUR, 10 * HOUR))
    sched.cycle(state, 0.0)
    state.apply(Event(1.0, EventKind.HOLD, 0))
    assert not sched.cycle(state, 2 * HOUR).events
    assert sched.why(state, 0).reason is Reason.HELD_BY_USER
    state.apply(Event(2 * HOUR, EventKind.RELEASE, 0))
    assert [event.kind for event in sched.cycle(state, 2 * HOUR).events] == [EventKind.START]


def test_a_job_without_a_deadline_is_never_asked_about():
    one = replace(job("a", HOUR, None), deadline_s=None)
    state = waits_in([100.0, 1.0, *[100.0] * 46], one)
    assert [event.kind for event in sched.cycle(state, 0.0).events] == [EventKind.START]
