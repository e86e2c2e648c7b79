"""Random runs with reservations: kept nodes carry only guests, and all work is done."""

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import EventKind
from clusterwright.model.job import QUANTA, Job
from clusterwright.model.quota import Quota
from clusterwright.model.reservation import Reservation
from clusterwright.sched import POLICIES, with_changes
from clusterwright.twin import Setting, run

NUM_NODES = 4


@st.composite
def kept(draw):
    start = float(draw(st.integers(0, 4000)))
    return Reservation(
        name=f"r{draw(st.integers(0, 99))}",
        start_s=start,
        end_s=start + draw(st.integers(1, 3000)),
        nodes=tuple(sorted(draw(st.sets(st.integers(0, NUM_NODES - 1), min_size=1)))),
        users=tuple(draw(st.sets(st.sampled_from(["u0", "u1"])))),
    )


@st.composite
def runs(draw):
    group = NodeGroup(queue="q0", num_nodes=NUM_NODES, gpus_per_node=8)
    quotas = (
        Quota(queue="q0", guarantee_ratio=16.0),
        Quota(queue="q1", guarantee_ratio=16.0),
    )
    shared = draw(st.booleans())
    cluster = Cluster(
        groups=(group,),
        quotas=quotas if shared else (),
        reservations=tuple(draw(st.lists(kept(), min_size=1, max_size=3))),
    )
    jobs = tuple(
        Job(
            job_id=f"j{number}",
            queue=f"q{draw(st.integers(0, 1))}" if shared else "q0",
            user=f"u{draw(st.integers(0, 3))}",
            submit_s=float(draw(st.integers(0, 3000))),
            duration_s=float(draw(st.integers(1, 3000))),
            num_gpus_ratio=draw(st.sampled_from([1.0, 4.0, 8.0, 16.0, 24.0])),
            checkpoint_interval_s=draw(st.none() | st.just(300.0)),
            checkpoint_stall_s=5.0,
            restart_s=30.0,
            preemptible=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 20)))
    )
    policy = with_changes(
        POLICIES[draw(st.sampled_from(["fifo", "sjf", "priority", "fair"]))],
        backfill=draw(st.sampled_from(["none", "easy", "conservative"])),
    )
    return cluster, jobs, Setting(policy=policy, pooled=shared)


@settings(max_examples=100, deadline=None)
@given(runs())
def test_kept_nodes_carry_only_guests_and_every_job_ends(case):
    cluster, jobs, setting = case
    outcome = run(cluster, jobs, setting)
    held = {}
    for event in outcome.log.events():
        if event.kind is EventKind.START:
            held[event.job] = (event.time_s, [node for node, _ in event.nodes])
        elif event.job in held and event.kind in (EventKind.FINISH, EventKind.PREEMPT):
            since_s, nodes = held.pop(event.job)
            for one in cluster.reservations:
                if one.admits(outcome.jobs[event.job]) or not set(nodes) & set(one.nodes):
                    continue
                # Where the guess is the true run time, nobody is there at any time in between.
                assert event.time_s <= one.start_s + 1e-6 or since_s >= one.end_s
    assert not held
    assert not any(math.isnan(record.end_s) for record in outcome.records)


@settings(max_examples=30, deadline=None)
@given(runs())
def test_without_reservations_nothing_changes_through_them(case):
    cluster, jobs, setting = case
    bare = run(replace(cluster, reservations=()), jobs, setting)
    far = Reservation(name="far", start_s=1e9, end_s=2e9, nodes=(0,))
    same = run(replace(cluster, reservations=(far,)), jobs, setting)
    assert bare.log.digest() == same.log.digest()
    assert sum(group.quanta for group in cluster.groups) == 8 * QUANTA
