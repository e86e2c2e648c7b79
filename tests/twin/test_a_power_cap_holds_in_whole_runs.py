"""Random runs under a cap: the draw never passes it, and what it stops is done later."""

import math
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.errors import InvalidInput
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import EventKind
from clusterwright.model.job import Job
from clusterwright.model.power import PowerCap
from clusterwright.model.quota import Quota
from clusterwright.sched import POLICIES, with_changes
from clusterwright.twin import Failures, Power, Setting, run
from clusterwright.twin.bills import Meter

NUM_NODES, NODE_W, PUE, OTHER_W = 4, 10_000.0, 1.25, 2_000.0
IDLE_W = PUE * (NUM_NODES * 0.3 * NODE_W + OTHER_W)
ALL_W = PUE * (NUM_NODES * 0.85 * NODE_W + OTHER_W)
QUANTUM_W = (ALL_W - IDLE_W) / (NUM_NODES * 8 * 7000)


def capped(*steps):
    return PowerCap(
        since_s=tuple(float(since) for since, _ in steps),
        cap_w=tuple(IDLE_W + share * (ALL_W - IDLE_W) for _, share in steps),
        idle_fraction=0.3,
        busy_fraction=0.85,
        other_power_w=OTHER_W,
        pue_ratio=PUE,
    )


def cluster_of(cap, quotas=()):
    group = NodeGroup(queue="q0", num_nodes=NUM_NODES, gpus_per_node=8, node_power_w=NODE_W)
    return Cluster(groups=(group,), quotas=quotas, power_cap=cap)


@st.composite
def runs(draw):
    share = st.sampled_from([0.25, 0.5, 0.75, 1.0])
    times = sorted(draw(st.sets(st.integers(1, 9000), max_size=4)))
    steps = [(0, draw(share)), *((time, draw(share)) for time in times), (10_000, 1.0)]
    shared = draw(st.booleans())
    quotas = (Quota(queue="q0", guarantee_ratio=16.0), Quota(queue="q1", guarantee_ratio=16.0))
    jobs = tuple(
        Job(
            job_id=f"j{number}",
            queue=f"q{draw(st.integers(0, 1))}" if shared else "q0",
            submit_s=float(draw(st.integers(0, 3000))),
            duration_s=float(draw(st.integers(1, 3000))),
            num_gpus_ratio=draw(st.sampled_from([0.5, 1.0, 4.0, 8.0, 16.0, 24.0])),
            estimate_s=draw(st.none() | st.integers(1, 4000).map(float)),
            checkpoint_interval_s=draw(st.none() | st.just(300.0)),
            checkpoint_stall_s=5.0,
            restart_s=30.0,
            preemptible=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 20)))
    )
    policy = with_changes(
        POLICIES[draw(st.sampled_from(["fifo", "sjf", "priority"]))],
        backfill=draw(st.sampled_from(["none", "easy", "conservative"])),
    )
    setting = Setting(
        policy=policy,
        pooled=shared,
        failures=draw(st.none() | st.just(Failures.of_nodes(per_gpu_day=1.0, repair_s=600.0))),
        seed=draw(st.integers(0, 3)),
    )
    return cluster_of(capped(*steps), quotas if shared else ()), jobs, setting


@settings(max_examples=120, deadline=None)
@given(runs())
def test_the_draw_never_passes_the_cap_and_every_job_ends(case):
    cluster, jobs, setting = case
    cap = cluster.power_cap
    outcome = run(cluster, jobs, setting)
    used, held, after = 0, {}, {}
    for event in outcome.log.events():
        if event.kind is EventKind.START:
            held[event.job] = sum(quanta for _, quanta in event.nodes)
            used += held[event.job]
        elif event.kind in (EventKind.FINISH, EventKind.PREEMPT, EventKind.INTERRUPT):
            used -= held.pop(event.job)
        after[event.time_s] = used
    times = sorted(after)
    for moment in sorted({*times, *cap.since_s}):
        at = bisect_right(times, moment)
        drawn = IDLE_W + QUANTUM_W * (after[times[at - 1]] if at else 0)
        assert drawn <= cap.cap_w[bisect_right(cap.since_s, moment) - 1] + 1e-3
    assert not any(math.isnan(record.end_s) for record in outcome.records)


def job(name, gpus, submit=0.0, lasts=1000.0, **more):
    return Job(
        job_id=name, queue="q0", submit_s=submit, duration_s=lasts, num_gpus_ratio=gpus, **more
    )


def starts(jobs, cap, **changes):
    policy = with_changes(POLICIES["fifo"], **changes)
    outcome = run(cluster_of(cap), jobs, Setting(policy=policy))
    pairs = zip(outcome.jobs, outcome.records, strict=True)
    return {one.job_id: record.first_start_s for one, record in pairs}, outcome


def test_a_job_waits_for_power_and_a_smaller_one_passes_by_backfill_alone():
    jobs = (job("runs", 8.0), job("first", 16.0, 1.0), job("small", 8.0, 2.0, lasts=900.0))
    without, _ = starts(jobs, capped((0, 0.5)))
    assert without == {"runs": 0.0, "first": 1000.0, "small": 2000.0}
    for backfill in ("easy", "conservative"):
        found, _ = starts(jobs, capped((0, 0.5)), backfill=backfill)
        assert found == {"runs": 0.0, "first": 1000.0, "small": 2.0}


def test_a_job_that_cannot_be_stopped_starts_only_if_the_cap_lets_it_end():
    cap = capped((0, 1.0), (500, 0.25), (3000, 1.0))
    found, _ = starts((job("long", 16.0), job("short", 16.0, 1.0, lasts=400.0)), cap)
    assert found == {"long": 3000.0, "short": 3000.0}
    found, _ = starts((job("short", 16.0, lasts=400.0), job("long", 16.0, 1.0)), cap)
    assert found == {"short": 0.0, "long": 3000.0}


def test_a_job_with_checkpoints_runs_until_the_cap_falls_and_goes_on_later():
    cap = capped((0, 1.0), (500, 0.25), (3000, 1.0))
    one = job("a", 16.0, preemptible=True, checkpoint_interval_s=100.0)
    found, outcome = starts((one,), cap)
    assert found == {"a": 0.0}
    assert outcome.records[0].num_preemptions == 1
    assert outcome.records[0].end_s == 3500.0


@settings(max_examples=20, deadline=None)
@given(runs())
def test_the_bill_of_no_hour_passes_the_cap(case):
    cluster, jobs, setting = case
    outcome = run(cluster, jobs, setting)
    power = Power(
        idle_fraction=0.3,
        busy_fraction=0.85,
        down_fraction=0.0,
        other_power_w=OTHER_W,
        pue_ratio=PUE,
        price_usd_per_j=(0.0,),
        carbon_g_per_j=(0.0,),
    )
    for hour, joules in enumerate(Meter(outcome, power).hourly_j()):
        most = max(
            cluster.power_cap.cap_w[bisect_right(cluster.power_cap.since_s, 3600 * hour) - 1],
            *(
                watts
                for since, watts in zip(
                    cluster.power_cap.since_s, cluster.power_cap.cap_w, strict=True
                )
                if 3600 * hour <= since < 3600 * (hour + 1)
            ),
            0.0,
        )
        assert joules <= 3600 * most + 1.0


@pytest.mark.parametrize(
    ("watts", "cap_w", "words"),
    [(NODE_W, 0.9 * IDLE_W, "idle nodes draw"), (0.0, ALL_W, "--node-power")],
)
def test_caps_that_cannot_hold_are_refused(watts, cap_w, words):
    group = NodeGroup(queue="q0", num_nodes=NUM_NODES, gpus_per_node=8, node_power_w=watts)
    cap = PowerCap(
        since_s=(0.0,),
        cap_w=(cap_w,),
        idle_fraction=0.3,
        busy_fraction=0.85,
        pue_ratio=PUE,
        other_power_w=OTHER_W,
    )
    with pytest.raises(InvalidInput, match=words):
        run(Cluster(groups=(group,), power_cap=cap), (), Setting())
