"""What backfill leaves out, because nothing came free for it, it would not have started."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright import sched, twin
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job, Topology
from clusterwright.sched.line import Line
from clusterwright.twin import Failures, Setting

NODES = NodeGroup(queue="q", num_nodes=6, gpus_per_node=4, nodes_per_leaf=2)


def crowd(seed, *, odd):
    """Forty jobs that come faster than they go; with `odd` some are elastic or stay together."""
    rng, submit, found = random.Random(seed), 0.0, []
    for number in range(40):
        submit += rng.choice([0.0, 0.0, 3.0, 20.0])
        gpus = rng.choice([0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 16.0, 24.0])
        lasts = rng.choice([5.0, 20.0, 60.0, 200.0])
        how = rng.choice(["plain", "plain", "elastic", "near"]) if odd else "plain"
        found.append(
            Job(
                job_id=f"j{number}",
                queue="q",
                submit_s=submit,
                duration_s=lasts,
                num_gpus_ratio=gpus,
                estimate_s=lasts * rng.choice([0.7, 1.0, 3.0]),
                min_gpus_ratio=gpus / 2 if how == "elastic" and gpus >= 2 else None,
                topology=Topology(level="leaf", required=gpus <= 8) if how == "near" else None,
            )
        )
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    odd=st.booleans(),
    order=st.sampled_from(["fifo", "sjf"]),
    placement=st.sampled_from(["leaf", "consolidate"]),
    depth=st.sampled_from([1, 3, 12, 500]),
)
def test_a_look_at_newcomers_alone_decides_as_a_look_at_all(seed, odd, order, placement, depth):
    policy = sched.with_changes(
        sched.policy_of(order), backfill="easy", placement=placement, backfill_depth=depth
    )
    failures = Failures.of_nodes(per_gpu_day=20.0, repair_s=50.0)
    setting = Setting(policy=policy, failures=failures, seed=seed, horizon_s=5e4)
    cluster, jobs = Cluster(groups=(NODES,)), crowd(seed, odd=odd)
    short = twin.run(cluster, jobs, setting).log.digest()
    seen, Line.sees_all = Line.sees_all, lambda *_: False
    try:
        assert twin.run(cluster, jobs, setting).log.digest() == short
    finally:
        Line.sees_all = seen


def test_a_shape_of_which_more_wait_than_backfill_looks_at_starts_what_fits():
    def job(name, gpus, lasts):
        return Job(job_id=name, queue="q", submit_s=0.0, duration_s=lasts, num_gpus_ratio=gpus)

    shorts = [job(f"short{number}", 4.0, 10.0 if number == 0 else 1e3) for number in range(3)]
    jobs = [job("runs", 16.0, 100.0), job("first", 24.0, 100.0), *shorts]
    policy = sched.with_changes(sched.policy_of("fifo"), backfill="easy", backfill_depth=2)
    state = sched.State(Cluster(groups=(NODES,)), jobs, policy)
    for index in range(len(jobs)):
        state.apply(Event(0.0, EventKind.SUBMIT, index))
    started = [event.job for event in sched.cycle(state, 0.0).events]
    assert started == [0, 2]
