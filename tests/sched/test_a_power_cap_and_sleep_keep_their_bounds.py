"""Power: no start passes the cap, and sleeping never takes more than twice the least."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import UsageError
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job, Reason
from clusterwright.model.power import PowerCap
from clusterwright.sched import POLICIES, State, cycle, why
from clusterwright.sched.powercap import PoweredNodes
from clusterwright.sched.sleep import SleepingNode, sleeps_after_s

NODE = SleepingNode(idle_w=3000, asleep_w=200, wake_s=600, wake_w=4000)


@given(st.floats(0, 1e5))
def test_idling_then_sleeping_takes_at_most_twice_the_least(idle_s):
    assert _spent(idle_s, sleeps_after_s(NODE)) <= 2 * _least(idle_s) + 1e-6


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0.05, 1))
def test_a_forecast_helps_when_right_and_is_bounded_when_wrong(idle_s, expected_s, distrust):
    after = sleeps_after_s(NODE, expected_idle_s=expected_s, distrust_fraction=distrust)
    assert _spent(idle_s, after) <= (1 + 1 / distrust) * _least(idle_s) + 1e-6
    right = sleeps_after_s(NODE, expected_idle_s=idle_s, distrust_fraction=distrust)
    assert _spent(idle_s, right) <= (1 + distrust) * _least(idle_s) + 1e-6


def test_a_decided_pause_is_slept_through_at_once():
    assert sleeps_after_s(NODE, expected_idle_s=7200, distrust_fraction=0) == 0
    assert sleeps_after_s(NODE, expected_idle_s=60, distrust_fraction=0) == math.inf


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PoweredNodes(num_nodes=0, quanta_per_node=8, idle_w=1, busy_w=2),
        lambda: PoweredNodes(num_nodes=1, quanta_per_node=8, idle_w=2, busy_w=2),
        lambda: SleepingNode(idle_w=1, asleep_w=1, wake_s=1, wake_w=1),
        lambda: SleepingNode(idle_w=2, asleep_w=1, wake_s=-1, wake_w=1),
        lambda: sleeps_after_s(NODE, expected_idle_s=1, distrust_fraction=2),
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError):
        wrong()


def _spent(idle_s, after_s):
    """Return the energy above sleep of one idling."""
    awake = min(idle_s, after_s) * (NODE.idle_w - NODE.asleep_w)
    woken = NODE.wake_s * (NODE.wake_w - NODE.asleep_w) if idle_s > after_s else 0.0
    return awake + woken


def _least(idle_s):
    return min(_spent(idle_s, math.inf), _spent(idle_s, 0.0))


def test_a_job_that_lacks_power_is_told_how_much():
    cap = PowerCap(since_s=(0.0,), cap_w=(14e3,), idle_fraction=0.3, busy_fraction=0.8)
    group = NodeGroup(queue="q", num_nodes=2, gpus_per_node=8, node_power_w=10e3)
    jobs = tuple(
        Job(job_id=name, queue="q", submit_s=0.0, duration_s=100.0, num_gpus_ratio=8.0)
        for name in "ab"
    )
    state = State(Cluster(groups=(group,), power_cap=cap), jobs, POLICIES["fifo"])
    for index in range(2):
        state.apply(Event(0.0, EventKind.SUBMIT, index))
    assert [event.job for event in cycle(state, 0.0).events] == [0]
    blocked = why(state, 1)
    assert blocked.reason is Reason.POWER_CAP
    assert blocked.message == (
        "would draw 5 kW more until 100 s, 3 kW of the cap are to be had all that time; "
        "now 11 kW of 14 kW are drawn"
    )
