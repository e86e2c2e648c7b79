"""Reservations: strangers are gone in time, guests go first, and the reason has its figures."""

import pytest

from clusterwright import sched, traces
from clusterwright.errors import ClusterwrightError, InvalidInput
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job, Reason
from clusterwright.model.reservation import Reservation

WINDOW = Reservation(name="window", start_s=1000.0, end_s=2000.0, nodes=(1,))


def job(name, gpus=8.0, submit=0.0, lasts=100.0, **more):
    return Job(
        job_id=name,
        queue="q",
        submit_s=submit,
        duration_s=lasts,
        num_gpus_ratio=gpus,
        **more,
    )


def state_of(*jobs, reservations=(WINDOW,), now=0.0, policy="fifo", rate=None, **changes):
    group = NodeGroup(queue="q", num_nodes=2, gpus_per_node=8)
    cluster = Cluster(groups=(group,), reservations=reservations)
    how = sched.with_changes(sched.policy_of(policy), **changes)
    state = sched.State(cluster, jobs, how, rate=rate)
    for index in range(len(jobs)):
        state.apply(Event(time_s=now, kind=EventKind.SUBMIT, job=index))
    return state


def placed(state, now=0.0):
    return {
        event.job: [node for node, _ in event.nodes]
        for event in sched.cycle(state, now).events
        if event.kind is EventKind.START
    }


@pytest.mark.parametrize(
    ("words", "lasts", "more", "starts"),
    [
        ("it ends before", 1000.0, {}, True),
        ("it ends too late", 1001.0, {}, False),
        ("its limit ends it in time", 5000.0, {"time_limit_s": 900.0}, True),
        ("its checkpoints make it late", 900.0, {"checkpoint_interval_s": 90.0}, False),
        ("its user is a guest", 5000.0, {"user": "guest"}, True),
        ("its project is a guest", 5000.0, {"project": "guest"}, True),
    ],
)
def test_a_job_starts_on_kept_nodes_only_when_it_ends_before(words, lasts, more, starts):
    del words
    window = Reservation(
        name="w", start_s=1000.0, end_s=2000.0, nodes=(0, 1), users=("guest",), projects=("guest",)
    )
    one = job("a", lasts=lasts, checkpoint_stall_s=20.0, **more)
    state = state_of(one, reservations=(window,))
    assert (0 in placed(state)) is starts


def test_a_job_that_does_not_end_in_time_takes_the_other_node():
    state = state_of(job("a", lasts=5000.0), job("b", lasts=5000.0, submit=1.0))
    assert placed(state) == {0: [0]}
    blocked = sched.why(state, 1)
    assert blocked.reason is Reason.RESERVATION
    assert blocked.message == (
        "1 nodes are kept for 'window' from 1000 s to 2000 s, it would hold its nodes until 5000 s"
    )


def test_a_guest_takes_what_is_kept_for_it_and_leaves_the_rest_to_others():
    window = Reservation(name="w", start_s=0.0, end_s=2000.0, nodes=(1,), jobs=("a",))
    state = state_of(job("a"), job("b", submit=1.0), reservations=(window,))
    assert placed(state) == {0: [1], 1: [0]}


def test_a_job_that_would_be_slower_than_hoped_keeps_off():
    state = state_of(
        job("a", lasts=900.0),
        job("b", lasts=900.0, submit=1.0),
        rate=lambda _, nodes: 0.5 if nodes[0][0] == 1 else 1.0,
    )
    assert placed(state) == {0: [0]}


def test_what_overstays_is_stopped_where_the_reservation_says_so():
    window = Reservation(name="w", start_s=1000.0, end_s=2000.0, nodes=(0, 1), stops=True)
    state = state_of(job("a", lasts=3000.0, estimate_s=500.0), reservations=(window,))
    assert placed(state) == {0: [0]}
    found = sched.cycle(state, 1000.0)
    assert [event.kind for event in found.events] == [EventKind.PREEMPT]
    assert found.wake_s == 2000.0
    assert sched.why(state, 0, 1000.0).reason is Reason.RESERVATION
    state.touched.update(dict.fromkeys(state.pools))
    assert placed(state, 2000.0) == {0: [0]}


@pytest.mark.parametrize("backfill", ["easy", "conservative"])
def test_backfill_may_pass_a_job_that_waits_for_the_end_of_a_reservation(backfill):
    window = Reservation(name="w", start_s=1000.0, end_s=2000.0, nodes=(0, 1))
    state = state_of(
        job("long", 16.0, lasts=5000.0),
        job("short", lasts=900.0, submit=1.0),
        job("late", lasts=1500.0, submit=2.0),
        reservations=(window,),
        backfill=backfill,
    )
    assert placed(state) == {1: [0]}


def test_an_owner_does_not_undo_what_an_operator_holds():
    state = state_of(job("a"))
    state.apply(Event(time_s=0.0, kind=EventKind.HOLD_BY_ADMIN, job=0))
    state.apply(Event(time_s=0.0, kind=EventKind.HOLD, job=0))
    assert sched.why(state, 0).reason is Reason.HELD_BY_ADMIN
    with pytest.raises(ClusterwrightError, match="an operator holds it"):
        state.apply(Event(time_s=0.0, kind=EventKind.RELEASE, job=0))
    state.apply(Event(time_s=0.0, kind=EventKind.RELEASE_BY_ADMIN, job=0))
    assert placed(state) == {0: [0]}


def test_a_table_names_nodes_by_queue_leaf_and_number():
    groups = (
        NodeGroup(queue="a", num_nodes=4, gpus_per_node=8, nodes_per_leaf=2),
        NodeGroup(queue="b", num_nodes=3, gpus_per_node=8, nodes_per_leaf=2),
    )
    text = (
        "name,start_s,end_s,queue,leaf,nodes,for_users,stops\n"
        "window,0,10,,,,,yes\nfew,0,10,a,,1,ann bo,\nleaf,5,10,b,2,,,no\n"
    )
    found = traces.read_reservations(text.encode(), Cluster(groups=groups), file="r.csv")
    assert [one.nodes for one in found] == [tuple(range(7)), (3,), (4, 5)]
    assert found[1].users == ("ann", "bo")
    assert [one.stops for one in found] == [True, False, False]


def test_all_faults_of_a_table_are_told_at_once():
    group = NodeGroup(queue="vision", num_nodes=2, gpus_per_node=8)
    text = (
        "name,start_s,end_s,queue,nodes,for_user\n"
        "a,10,5,vision,,\nb,x,5,vision,3,\nb,1,5,vison,1,\n"
    )
    with pytest.raises(InvalidInput) as raised:
        traces.read_reservations(text.encode(), Cluster(groups=(group,)), file="r.csv")
    said = str(raised.value)
    for words in ("for_users?", "not after", "no time", "'3' nodes of 2", "vision?", "twice"):
        assert words in said


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (Reservation(name="r", start_s=0.0, end_s=1.0, nodes=(2,)), "the last one is 1"),
        (
            Reservation(name="r", start_s=0.0, end_s=1.0, nodes=(1,), queues=("p",)),
            "no queue 'p'",
        ),
    ],
)
def test_reservations_of_what_is_not_there_are_refused(one, words):
    with pytest.raises(InvalidInput, match=words):
        state_of(reservations=(one,))
