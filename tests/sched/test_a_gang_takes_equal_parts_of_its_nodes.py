"""A gang that says on how many nodes it runs gets so much of each of them, never more of one."""

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import QUANTA, Job, Reason, Topology
from clusterwright.sched import POLICIES, State, cycle, why


def _state(jobs, **group):
    group = {"queue": "q", "num_nodes": 8, "gpus_per_node": 8, **group}
    return State(Cluster(groups=(NodeGroup(**group),)), jobs, POLICIES["fifo"])


def _job(name, gpus, nodes, **more):
    return Job(
        job_id=name,
        queue="q",
        submit_s=0,
        duration_s=60,
        num_gpus_ratio=gpus,
        num_nodes=nodes,
        **more,
    )


def _started(state, *jobs):
    for job in jobs:
        state.apply(Event(0.0, EventKind.SUBMIT, job))
    return {e.job: e.nodes for e in cycle(state, 0.0).events if e.kind is EventKind.START}


def test_two_accelerators_on_each_of_four_nodes():
    placed = _started(_state([_job("a", 8, 4)]), 0)[0]
    assert [quanta for _, quanta in placed] == [2 * QUANTA] * 4
    assert len({node for node, _ in placed}) == 4


def test_the_fullest_nodes_come_first():
    state = _state([_job("big", 5, 1), _job("pair", 6, 2)])
    placed = _started(state, 0, 1)
    assert placed[0][0][0] in {node for node, _ in placed[1]}


def test_a_required_leaf_holds_all_of_its_nodes():
    close = Topology(level="leaf", required=True)
    jobs = [_job("first", 9, 3), _job("gang", 8, 4, topology=close)]
    placed = _started(_state(jobs, nodes_per_leaf=4), 0, 1)
    assert len({node // 4 for node, _ in placed[1]}) == 1


def test_more_nodes_than_there_are_never_fit():
    state = _state([_job("wide", 9, 9)])
    assert not _started(state, 0)
    assert why(state, 0).reason is Reason.NO_MATCHING_HARDWARE


def test_a_job_that_comes_later_is_taken_note_of():
    state = _state([])
    assert state.expect(_job("late", 4, 2)) == 0
    assert len(_started(state, 0)[0]) == 2
