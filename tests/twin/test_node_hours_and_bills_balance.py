"""Busy, idle, asleep and down nodes are all nodes; what they draw is the bill."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.twin.test_nothing_is_lost_and_nothing_is_booked_twice import runs

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job
from clusterwright.sched import POLICIES, with_changes
from clusterwright.twin import Power, Setting, run, summarise

POWER = Power(
    idle_fraction=0.3,
    busy_fraction=0.8,
    asleep_fraction=0.05,
    down_fraction=0.1,
    other_power_w=500.0,
    pue_ratio=1.2,
    price_usd_per_j=(1e-8, 5e-8, 2e-8),
    carbon_g_per_j=(1e-4, 2e-4),
)


@settings(max_examples=40, deadline=None)
@given(runs(), st.none() | st.sampled_from([0.0, 200.0, 5000.0]))
def test_states_sum_to_all_nodes_and_to_the_bill(case, sleep_after_s):
    cluster, jobs, setting = case
    policy = with_changes(setting.policy, sleep_after_s=sleep_after_s)
    setting = Setting(
        policy=policy,
        pooled=setting.pooled,
        failures=setting.failures,
        horizon_s=setting.horizon_s,
        seed=setting.seed,
        wake_s=60.0,
    )
    outcome = run(cluster, jobs, setting)
    status = summarise("x", outcome, setting, power=POWER).status
    nodes = sum(group.num_nodes for group in cluster.groups)
    node_s = math.fsum(one.node_s for one in status.states)
    assert math.isclose(node_s, nodes * outcome.end_s, rel_tol=1e-9)
    down_s = math.fsum(outcome.usage.down_node_s(n).sum() for n in outcome.usage.queues)
    down = next(one for one in status.states if one.state == "down")
    assert math.isclose(down.node_s, down_s, rel_tol=1e-9, abs_tol=1e-6)
    assert all(one.node_s >= 0 and one.energy_j >= 0 for one in status.states)
    energy_j = math.fsum(one.energy_j + one.overhead_j for one in status.states)
    assert math.isclose(energy_j, status.energy_j, rel_tol=1e-9)
    for name in ("cost_usd", "carbon_g"):
        total = math.fsum(getattr(one, name) for one in status.states)
        assert math.isclose(total, getattr(status, name), rel_tol=1e-9)


def a_day(sleep_after_s):
    group = NodeGroup(queue="q", num_nodes=2, gpus_per_node=8, node_power_w=10_000.0, num_spares=1)
    job = Job(job_id="a", queue="q", submit_s=36_000.0, duration_s=3600.0, num_gpus_ratio=8.0)
    policy = with_changes(POLICIES["fifo"], sleep_after_s=sleep_after_s)
    setting = Setting(policy=policy, horizon_s=86_400.0, wake_s=300.0)
    outcome = run(Cluster(groups=(group,)), (job,), setting)
    status = summarise("x", outcome, setting, power=POWER).status
    return outcome, {one.state: one for one in status.states}


def test_idle_nodes_go_to_sleep_and_take_time_to_wake_up():
    outcome, states = a_day(600.0)
    assert outcome.records[0].end_s == pytest.approx(36_000 + 300 + 3600)
    assert states["busy"].node_s == pytest.approx(3900)
    assert states["idle"].node_s == pytest.approx(3 * 600)  # two at first, one again after the job
    assert states["asleep"].node_s == pytest.approx(2 * 86_400 - 3900 - 1800)
    assert states["asleep"].energy_j == pytest.approx(states["asleep"].node_s * 500)
    assert states["spare"].energy_j == pytest.approx(86_400 * 3000)


def test_without_sleep_idle_nodes_stay_awake():
    outcome, states = a_day(None)
    assert outcome.records[0].end_s == 39_600.0
    assert states["asleep"].node_s == 0
    assert states["idle"].node_s == pytest.approx(2 * 86_400 - 3600)
