"""One dominant reason for each waiting job, and placements that do what their name says."""

import pytest

from clusterwright import sched
from clusterwright.errors import ClusterwrightError, UnknownName
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import QUANTA, Job, Reason


def job(name, gpus, submit=0.0, **more):
    return Job(
        job_id=name, queue="q", submit_s=submit, duration_s=100.0, num_gpus_ratio=gpus, **more
    )


def state_of(*jobs, nodes=2, per_leaf=0, policy="fifo", **more):
    cluster = Cluster(
        groups=(NodeGroup(queue="q", num_nodes=nodes, gpus_per_node=8, nodes_per_leaf=per_leaf),)
    )
    state = sched.State(cluster, jobs, sched.with_changes(sched.policy_of(policy), **more))
    for index in range(len(jobs)):
        state.apply(Event(time_s=0.0, kind=EventKind.SUBMIT, job=index))
    return state


def cycle(state, now=0.0):
    found = sched.cycle(state, now)
    return found.events, [sched.why(state, job, now) for job in found.blocked]


@pytest.mark.parametrize(
    ("sizes", "asked", "reason"),
    [
        ((8, 8, 4), 2, Reason.WAITING_FOR_RESOURCES),
        ((8, 8, 4, 1), 3, Reason.BEHIND_PRIORITY),
        ((24,), 0, Reason.NO_MATCHING_HARDWARE),
        ((6, 6, 4), 2, Reason.TOPOLOGY_DOES_NOT_FIT),
    ],
)
def test_the_reason_is_the_dominant_one(sizes, asked, reason):
    state = state_of(*(job(f"j{n}", gpus, submit=float(n)) for n, gpus in enumerate(sizes)))
    cycle(state)
    assert sched.why(state, asked).reason is reason


def test_a_job_that_waits_for_a_lost_node_is_told_so():
    state = state_of(job("a", 16))
    state.apply(Event(time_s=0.0, kind=EventKind.NODE_FAIL, node=1))
    _, blocked = cycle(state)
    assert blocked[0].reason is Reason.NODE_UNAVAILABLE


def test_consolidate_takes_the_fullest_node_that_still_fits():
    state = state_of(job("a", 4), job("b", 6), job("c", 2), nodes=3)
    decided, _ = cycle(state)
    assert [event.nodes[0][0] for event in decided] == [0, 1, 1]


def test_a_job_larger_than_a_node_takes_whole_nodes_and_the_fullest_for_the_rest():
    state = state_of(job("a", 4), job("b", 20), nodes=4)
    decided, _ = cycle(state)
    assert decided[1].nodes == ((1, 8 * QUANTA), (2, 8 * QUANTA), (0, 4 * QUANTA))


def test_leaf_placement_keeps_a_gang_under_one_leaf():
    state = state_of(job("a", 8), job("b", 16), nodes=4, per_leaf=2, placement="leaf")
    decided, _ = cycle(state)
    assert {node for node, _ in decided[1].nodes} == {2, 3}


def test_backfill_never_delays_the_first_job():
    jobs = (
        job("runs", 8),
        job("first", 16, submit=1.0),
        job("short", 8, submit=2.0, estimate_s=90.0),
        job("long", 8, submit=3.0, estimate_s=500.0),
    )
    state = state_of(*jobs, backfill="easy")
    decided, blocked = cycle(state)
    assert [event.job for event in decided] == [0, 2]
    assert blocked[0].job == 1


def test_a_gang_never_starts_in_part():
    state = state_of(job("a", 16))
    with pytest.raises(ClusterwrightError, match="whole or not at all"):
        state.apply(Event(time_s=0.0, kind=EventKind.START, job=0, nodes=((0, 8 * QUANTA),)))


def test_taken_accelerators_are_not_handed_out_again():
    state = state_of(job("a", 8), job("b", 8))
    state.apply(Event(time_s=0.0, kind=EventKind.START, job=0, nodes=((0, 8 * QUANTA),)))
    with pytest.raises(ClusterwrightError, match="does not have free"):
        state.apply(Event(time_s=0.0, kind=EventKind.START, job=1, nodes=((0, 8 * QUANTA),)))


def test_the_user_with_the_least_use_goes_first_under_fair():
    jobs = (
        job("a1", 8, user="a"),
        job("a2", 8, submit=1.0, user="a"),
        job("b1", 8, submit=2.0, user="b"),
    )
    decided, _ = cycle(state_of(*jobs, policy="fair"))
    assert [event.job for event in decided] == [0, 2]


@pytest.mark.parametrize("name", ["fifoo", "", "drf"])
def test_unknown_policies_are_refused(name):
    with pytest.raises(UnknownName):
        sched.policy_of(name)


def test_cores_and_memory_that_are_lacking_are_named():
    group = NodeGroup(
        queue="q", num_nodes=2, gpus_per_node=8, cpus_per_node=16, node_memory_bytes=64e9
    )
    jobs = (
        job("holds", 1, num_cpus=16),
        job("holds too", 1, num_cpus=16),
        job("fits later", 4, num_cpus=8, memory_bytes=32e9),
        job("never", 4, num_cpus=17),
        job("nor this", 4, memory_bytes=65e9),
    )
    state = sched.State(Cluster(groups=(group,)), jobs, sched.policy_of("fifo"))
    for index in range(3):
        state.apply(Event(time_s=0.0, kind=EventKind.SUBMIT, job=index))
    _, (blocked,) = cycle(state)
    assert blocked.reason is Reason.WAITING_FOR_RESOURCES
    assert "with 8 cores and 32 GB of memory; 14 are free, but without as much" in blocked.message
    reason, message = sched.never(state, jobs[3])
    assert reason is Reason.NO_MATCHING_HARDWARE
    assert message == "asks for 4 accelerators with 17 cores, more than nodes have"
    assert sched.never(state, jobs[4])[0] is Reason.NO_MATCHING_HARDWARE
    assert sched.never(state, jobs[2]) is None
