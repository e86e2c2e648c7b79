"""Whom to stop when cores, accelerators shared by several, segments or a remainder decide it."""

import pytest

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import QUANTA, Job, Topology
from clusterwright.model.policy import Policy
from clusterwright.sched import State, victims
from clusterwright.sched.clearing import Item, cover
from clusterwright.sched.gathering import gathered
from clusterwright.sched.nodes import Ask, Pool
from clusterwright.sched.placement import PLACEMENTS

POLICY = Policy(name="urgent", placement="leaf", preempt=("priority",))


def job(name, gpus, *, cpus=0, started=0.0, **more):
    settled = {"preemptible": True, "duration_s": 1e6, **more}
    return Job(
        job_id=name, queue="a", submit_s=started, num_gpus_ratio=gpus, num_cpus=cpus, **settled
    )


def stopped_for(urgent, running, *, nodes, gpus=8, cpus=0, per_leaf=0):
    """Return the names of the jobs stopped; `running` gives each job with its nodes and part."""
    group = NodeGroup(
        queue="a", num_nodes=nodes, gpus_per_node=gpus, cpus_per_node=cpus, nodes_per_leaf=per_leaf
    )
    jobs = (*(one for one, *_ in running), urgent)
    state = State(Cluster(groups=(group,)), jobs, POLICY)
    for index, (one, placed, part) in enumerate(running):
        state.apply(Event(one.submit_s, EventKind.SUBMIT, index))
        quanta = tuple((node, round(held * QUANTA)) for node, held in placed)
        state.apply(Event(one.submit_s, EventKind.START, index, -1, quanta, part))
    last = len(running)
    state.apply(Event(1000.0, EventKind.SUBMIT, last))
    assert state.place(state.pool(last), state.ask(last), -1) is None
    choice = victims.choose(state, state.line(last), last, 1000.0)
    assert choice.spot is not None
    return {jobs[index].job_id for index in choice.stopped}


def test_a_job_that_lacks_cores_only_stops_the_cheapest_that_has_them():
    running = [
        (job("few cores", 1.0, cpus=2, started=900.0), [(0, 1)], -1),
        (job("many cores", 1.0, cpus=30, started=500.0), [(0, 1)], -1),
    ]
    urgent = job("urgent", 1.0, cpus=10, priority=1)
    assert stopped_for(urgent, running, nodes=1, cpus=32) == {"many cores"}


def test_a_share_stops_one_holder_rather_than_a_whole_job():
    running = [
        (job("long", 0.5, started=0.0), [(0, 0.5)], 0),
        (job("short", 0.5, started=900.0), [(0, 0.5)], 0),
        (job("whole", 1.0, started=800.0), [(0, 1)], -1),
    ]
    assert stopped_for(job("urgent", 0.4, priority=1), running, nodes=1, gpus=2) == {"short"}


def test_a_wide_gang_is_not_stopped_for_one_node_of_it():
    running = [
        (job("wide", 24.0, started=600.0), [(0, 8), (1, 8), (2, 8)], -1),
        (job("narrow", 8.0, started=200.0), [(3, 8)], -1),
        (job("small", 1.0, started=990.0), [(4, 1)], -1),
    ]
    # Sixteen accelerators: the wide one spread over its nodes looks cheap, and costs more in all.
    assert stopped_for(job("urgent", 16.0, priority=1), running, nodes=5) == {"narrow", "small"}


def test_a_gang_in_segments_clears_one_leaf_for_each():
    wish = Topology(level="leaf", required=True, segment_nodes=2)
    running = [(job(f"n{node}", 8.0, started=100.0 * node), [(node, 8)], -1) for node in range(6)]
    urgent = job("urgent", 32.0, priority=1, topology=wish)
    found = stopped_for(urgent, running, nodes=6, per_leaf=3)
    assert found == {"n1", "n2", "n4", "n5"}


@pytest.mark.parametrize("name", PLACEMENTS)
def test_a_remainder_stands_beside_the_gang_where_it_must(name):
    pool = Pool("all", [(0, NodeGroup(queue="a", num_nodes=5, gpus_per_node=8, nodes_per_leaf=2))])
    pool.take(((4, 8 * QUANTA),))
    pool.take(((1, 8 * QUANTA),))
    wish = Topology(level="leaf", required=True)
    spot = PLACEMENTS[name](pool, Ask(12, topology=wish), -1)
    assert spot is not None  # the first leaf has as few idle nodes as the gang, but no room beside
    assert {node for node, _ in spot[0]} == {2, 3}


def test_the_last_segment_may_share_a_leaf_with_another():
    pool = Pool("all", [(0, NodeGroup(queue="a", num_nodes=8, gpus_per_node=8, nodes_per_leaf=5))])
    found = gathered(pool, pool.idle(), 5, "leaf", required=True, segment=2)
    assert found == 0b11111


def test_leaf_breaks_no_pair_for_a_single_accelerator():
    pool = Pool("all", [(0, NodeGroup(queue="a", num_nodes=2, gpus_per_node=8))])
    pool.take(((0, 6 * QUANTA),))  # two free
    pool.take(((1, 5 * QUANTA),))  # three free
    assert PLACEMENTS["consolidate"](pool, Ask(1), -1) == (((0, QUANTA),), -1)
    assert PLACEMENTS["leaf"](pool, Ask(1), -1) == (((1, QUANTA),), -1)


def test_a_cover_is_the_cheapest_in_every_resource_and_keeps_what_may_not_stop():
    items = [
        Item((0,), (1.0, 8.0, 0.0)),
        Item((1,), (1.0, 1.0, 0.0)),
        Item((2, 3), (1.0, 8.0, 0.0)),
    ]
    costs = {0: 5.0, 1: 1.0, 2: 2.0, 3: 1.0}
    assert cover((1.0, 8.0, 0.0), items, costs, None) == (3.0, [2, 3])
    assert cover((1.0, 8.0, 0.0), items, costs, lambda jobs: 2 not in jobs) == (5.0, [0])
    assert cover((4.0, 0.0, 0.0), items, costs, None) is None
