"""What is free in pieces is made whole by moving jobs with checkpoints, once that pays."""

import random
from dataclasses import replace

import numpy as np
import pytest

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import QUANTA, Job
from clusterwright.model.quota import Quota
from clusterwright.sched import State, cycle, policy_of
from clusterwright.twin import Setting, run

GATHER = policy_of("gather")


def job(name, gpus, submit_s=0.0, **more):
    base = {"preemptible": True, "checkpoint_interval_s": 600.0, "restart_s": 60.0, **more}
    return Job(
        job_id=name,
        queue=base.pop("queue", "a"),
        submit_s=submit_s,
        duration_s=base.pop("duration_s", 1e6),
        num_gpus_ratio=gpus,
        **base,
    )


def in_pieces(*running, wide=8.0, nodes=2, policy=GATHER, cluster=None, **more):
    """Return a state with a job on each node, and one that waits for a whole one since 1000 s."""
    group = NodeGroup(queue="a", num_nodes=nodes, gpus_per_node=8)
    jobs = [*running, job("wide", wide, 1000.0, **more)]
    state = State(cluster or Cluster(groups=(group,)), jobs, policy, pooled=cluster is not None)
    for node, one in enumerate(running):
        state.apply(Event(0.0, EventKind.SUBMIT, node))
        placed = ((node, round(one.num_gpus_ratio * QUANTA)),)
        state.apply(Event(0.0, EventKind.START, node, -1, placed))
    state.apply(Event(1000.0, EventKind.SUBMIT, len(running)))
    return state


def kinds(decided):
    return [
        (event.kind.name, event.job, tuple(n for n, _ in event.nodes)) for event in decided.events
    ]


def test_the_cheaper_job_moves_and_goes_on_at_once():
    state = in_pieces(job("small", 1.0), job("large", 4.0))
    first = cycle(state, 1000.0)
    assert first.events == []
    # It loses 400 s since its checkpoint and 60 s to start again, on one accelerator of eight.
    due_s = 1000.0 + (400.0 + 60.0) / 8
    assert first.wake_s == pytest.approx(due_s, abs=1.0)
    state.touched.update(dict.fromkeys(state.pools))
    later = cycle(state, first.wake_s + 20.0)
    assert kinds(later) == [("PREEMPT", 0, ()), ("START", 0, (1,)), ("START", 2, (0,))]
    assert later.events[0].kept_s == 600.0


@pytest.mark.parametrize(
    "running",
    [
        (job("small", 1.0, checkpoint_interval_s=None), job("large", 4.0, preemptible=False)),
        (job("small", 5.0), job("large", 5.0)),  # neither fits beside the other
        (job("small", 2.0), job("large", 7.0)),  # not so much is free
    ],
)
def test_nobody_moves_in_vain(running):
    state = in_pieces(*running)
    cycle(state, 1000.0)
    state.touched.update(dict.fromkeys(state.pools))
    assert cycle(state, 50_000.0).events == []


def test_policies_without_the_rule_move_nobody():
    state = in_pieces(job("small", 1.0), job("large", 4.0), policy=replace(GATHER, preempt=()))
    assert cycle(state, 90_000.0).events == []


def test_who_borrows_moves_nobody_of_another_queue():
    groups = tuple(NodeGroup(queue=name, num_nodes=1, gpus_per_node=8) for name in "ab")
    quotas = (
        Quota(queue="a", guarantee_ratio=0.0, deserved_ratio=0.0),
        Quota(queue="b", guarantee_ratio=8.0, deserved_ratio=8.0),
    )
    cluster = Cluster(groups=groups, quotas=quotas)
    theirs = [job("small", 1.0, queue="b"), job("large", 4.0, queue="b")]
    state = in_pieces(*theirs, cluster=cluster)
    cycle(state, 1000.0)
    state.touched.update(dict.fromkeys(state.pools))
    assert cycle(state, 90_000.0).events == []
    mine = [job("small", 1.0), job("large", 4.0)]
    state = in_pieces(*mine, cluster=cluster)
    cycle(state, 1000.0)
    state.touched.update(dict.fromkeys(state.pools))
    assert len(cycle(state, 90_000.0).events) == 3


def test_gangs_wait_less_and_the_work_lost_is_no_more_than_their_waiting():
    rng = random.Random(4)
    jobs = []
    for number in range(600):
        gpus = rng.choice((1.0, 1.0, 1.0, 2.0, 3.0, 8.0, 16.0))
        jobs.append(
            job(
                f"j{number}",
                gpus,
                rng.uniform(0.0, 4e5),
                duration_s=rng.lognormvariate(8.5, 1.0),
                checkpoint_stall_s=5.0,
            )
        )
    cluster = Cluster(groups=(NodeGroup(queue="a", num_nodes=10, gpus_per_node=8),))

    def played(policy):
        outcome = run(cluster, jobs, Setting(policy=policy))
        size = np.array([one.num_gpus_ratio for one in outcome.jobs])
        return outcome, outcome.records.waited_s, size

    moved, waits, size = played(GATHER)
    _, before, _ = played(replace(GATHER, preempt=("reclaim",)))
    assert sum(event.kind is EventKind.PREEMPT for event in moved.log.events()) > 20
    assert waits[size >= 8].mean() < 0.9 * before[size >= 8].mean()
    assert waits.mean() < before.mean()
    assert not np.isnan(moved.records.end_s).any()
