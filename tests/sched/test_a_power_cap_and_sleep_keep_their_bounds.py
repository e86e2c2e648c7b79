"""Power: no start passes the cap, and sleeping never takes more than twice the least."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import UsageError
from clusterwright.sched.powercap import PoweredNodes, Start, busy_quanta, over_cap
from clusterwright.sched.sleep import SleepingNode, sleeps_after_s

NODES = PoweredNodes(num_nodes=10, quanta_per_node=8, idle_w=3000, busy_w=9000)
NODE = SleepingNode(idle_w=3000, asleep_w=200, wake_s=600, wake_w=4000)


@given(st.lists(st.floats(0, 200e3), min_size=1, max_size=48), st.floats(0, 20e3))
def test_what_may_be_busy_draws_no_more_than_the_cap(cap, other):
    allowed = busy_quanta(np.array(cap), NODES, other_w=other)
    draw = other + NODES.num_nodes * NODES.idle_w + allowed * NODES.quantum_w
    assert ((draw <= np.array(cap) + 1e-3) | (allowed == 0)).all()
    one_more = draw + NODES.quantum_w
    assert ((one_more > np.array(cap) - 1e-3) | (allowed == NODES.quanta)).all()


@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(0.1, 30)), max_size=8),
    st.lists(st.integers(0, 80), min_size=1, max_size=24),
)
def test_starts_under_a_cap_stay_under_it_and_only_those_that_do_not_fit_wait(jobs, room):
    allowed = np.array(room)
    starts = [Start(num_quanta=count, hours_ratio=hours) for count, hours in jobs]
    waits = over_cap(starts, np.zeros_like(allowed), allowed)
    used = np.zeros_like(allowed)
    for start, waiting in zip(starts, waits, strict=True):
        hours = slice(0, max(1, math.ceil(start.hours_ratio)))
        fits = (used[hours] + start.num_quanta <= allowed[hours]).all()
        assert fits != waiting
        used[hours] += start.num_quanta * (not waiting)
    assert (used <= allowed).all()


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
        lambda: busy_quanta(np.array([np.nan]), NODES, other_w=0),
        lambda: over_cap([], np.zeros(2, dtype=int), np.zeros(3, dtype=int)),
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
