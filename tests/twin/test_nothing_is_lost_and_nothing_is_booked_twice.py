"""Invariants over random clusters, jobs, failures and policies."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import EventKind
from clusterwright.model.job import QUANTA, Job
from clusterwright.model.quota import Quota
from clusterwright.sched import PLACEMENTS, POLICIES, State, picture, with_changes
from clusterwright.twin import Failures, Setting, run, summarise

GPUS = st.sampled_from([1 / 7, 0.25, 0.5, 1, 2, 4, 8, 12, 16, 24])


@st.composite
def clusters(draw):
    groups = tuple(
        NodeGroup(
            queue=f"q{number}",
            num_nodes=draw(st.integers(1, 5)),
            gpus_per_node=8,
            nodes_per_leaf=draw(st.sampled_from([0, 2])),
            node_power_w=1000.0,
        )
        for number in range(draw(st.integers(1, 2)))
    )
    if not draw(st.booleans()):
        return Cluster(groups=groups)
    quotas = tuple(
        Quota(
            queue=group.queue,
            guarantee_ratio=group.num_nodes * draw(st.sampled_from([0.0, 4.0, 8.0])),
            deserved_ratio=group.num_nodes * 8.0,
            limit_ratio=draw(st.none() | st.just(group.num_nodes * 8.0 + 4.0)),
        )
        for group in groups
    )
    return Cluster(groups=groups, quotas=quotas)


@st.composite
def runs(draw):
    cluster = draw(clusters())
    size = {group.queue: group.num_nodes * 8 for group in cluster.groups}
    jobs = []
    for number in range(draw(st.integers(1, 40))):
        queue = draw(st.sampled_from(sorted(size)))
        jobs.append(
            Job(
                job_id=f"j{number}",
                queue=queue,
                user=f"u{draw(st.integers(0, 3))}",
                submit_s=float(draw(st.integers(0, 5000))),
                duration_s=float(draw(st.integers(1, 4000))),
                num_gpus_ratio=min(draw(GPUS), size[queue]),
                priority=draw(st.integers(0, 2)),
                estimate_s=draw(st.none() | st.integers(1, 8000).map(float)),
                checkpoint_interval_s=draw(st.none() | st.just(300.0)),
                checkpoint_stall_s=5.0,
                restart_s=30.0,
                preemptible=draw(st.booleans()),
            )
        )
    policy = with_changes(
        POLICIES[draw(st.sampled_from(sorted(POLICIES)))],
        placement=draw(st.sampled_from(sorted(PLACEMENTS))),
        backfill=draw(st.sampled_from(["none", "easy", "conservative"])),
        patience_s=draw(st.none() | st.just(2000.0)),
        ageing_ratio=draw(st.sampled_from([0.0, 0.5])),
        half_life_s=draw(st.none() | st.just(1000.0)),
        shield_s=draw(st.sampled_from([0.0, 300.0])),
    )
    setting = Setting(
        policy=policy,
        pooled=draw(st.booleans()),
        failures=draw(st.none() | st.just(Failures.of_nodes(per_gpu_day=2.0, repair_s=600.0))),
        horizon_s=draw(st.none() | st.just(6000.0)),
        seed=draw(st.integers(0, 9)),
    )
    return cluster, tuple(jobs), setting


@settings(max_examples=150, deadline=None)
@given(runs())
def test_no_accelerator_is_booked_twice_and_gangs_are_whole(case):
    cluster, jobs, setting = case
    outcome = run(cluster, jobs, setting)
    size = [group.quanta for group in cluster.groups for _ in range(group.num_nodes)]
    used = [0] * len(size)
    placed = {}
    down = set()
    for event in outcome.log.events():
        match event.kind:
            case EventKind.START:
                assert event.job not in placed
                assert sum(q for _, q in event.nodes) == outcome.jobs[event.job].quanta
                assert not down & {node for node, _ in event.nodes}
                placed[event.job] = event.nodes
                for node, quanta in event.nodes:
                    used[node] += quanta
                    assert used[node] <= size[node]
            case EventKind.FINISH | EventKind.INTERRUPT | EventKind.PREEMPT:
                for node, quanta in placed.pop(event.job):
                    used[node] -= quanta
            case EventKind.NODE_FAIL:
                assert used[event.node] == 0
                down.add(event.node)
            case EventKind.NODE_REPAIR:
                down.discard(event.node)


@settings(max_examples=80, deadline=None)
@given(runs())
def test_every_job_ends_when_there_is_time(case):
    cluster, jobs, setting = case
    outcome = run(cluster, jobs, setting)
    for job, record in zip(outcome.jobs, outcome.records, strict=True):
        if setting.horizon_s is None:
            assert not math.isnan(record.end_s)
            assert record.end_s - record.submit_s >= job.duration_s - 1e-6
            assert record.held_s >= job.duration_s - 1e-6


@settings(max_examples=80, deadline=None)
@given(runs())
def test_the_log_played_back_gives_the_same_state(case):
    cluster, jobs, setting = case
    outcome = run(cluster, jobs, setting)

    def replay():
        state = State(cluster, outcome.jobs, setting.policy, pooled=setting.pooled)
        for event in outcome.log.events():
            state.apply(event)
        return state

    state = replay()
    seen = picture(state, outcome.end_s)
    assert picture(replay(), outcome.end_s) == seen
    busy = sum(q for one in seen.running for _, q in one.nodes)
    size = [group.quanta for group in cluster.groups for _ in range(group.num_nodes)]
    up = [node for node in range(len(size)) if node not in seen.down]
    free = sum(state.pool_at[node].free_at(node) for node in up)
    assert busy + free + sum(size[node] for node in seen.down) == sum(size)


@settings(max_examples=40, deadline=None)
@given(runs())
def test_the_same_seed_gives_the_same_bytes(case):
    cluster, jobs, setting = case
    first, second = run(cluster, jobs, setting), run(cluster, jobs, setting)
    assert first.log.to_bytes() == second.log.to_bytes()


@settings(max_examples=80, deadline=None)
@given(runs())
def test_accelerator_time_balances(case):
    cluster, jobs, setting = case
    outcome = run(cluster, jobs, setting)
    by_hour = sum(float(outcome.usage.quanta_s(name).sum()) for name in outcome.usage.queues)
    by_job = sum(
        record.held_s * job.quanta
        for job, record in zip(outcome.jobs, outcome.records, strict=True)
    )
    assert math.isclose(by_hour, by_job, rel_tol=1e-9, abs_tol=1e-3)
    summary = summarise("run", outcome, setting).status
    assert 0 <= summary.gpu_utilization_fraction <= summary.gpu_allocation_fraction <= 1
    assert 0 <= summary.goodput_fraction <= 1


@settings(max_examples=80, deadline=None)
@given(runs())
def test_equal_jobs_start_in_the_order_of_their_submission(case):
    cluster, jobs, setting = case
    if setting.policy != POLICIES["fifo"] or setting.failures:
        return
    outcome = run(cluster, jobs, setting)
    last: dict[tuple[str, int], float] = {}
    for job, record in zip(outcome.jobs, outcome.records, strict=True):
        if math.isnan(record.first_start_s):
            continue
        one_line = setting.pooled and not cluster.quotas
        key = ("pooled" if one_line else job.queue, job.priority)
        assert record.first_start_s >= last.get(key, 0.0)
        last[key] = record.first_start_s


def test_a_lost_node_costs_the_work_since_the_last_checkpoint():
    cluster = Cluster(groups=(NodeGroup(queue="q", num_nodes=1, gpus_per_node=8),))
    long = Job(
        job_id="long",
        queue="q",
        submit_s=0.0,
        duration_s=500_000.0,
        num_gpus_ratio=8.0,
        checkpoint_interval_s=1000.0,
        checkpoint_stall_s=1.0,
        restart_s=60.0,
    )
    failing = Setting(failures=Failures.of_nodes(per_gpu_day=0.25, repair_s=600.0), seed=3)
    outcome = run(cluster, (long,), failing)
    record = outcome.records[0]
    assert record.num_interruptions > 0
    overhead = record.held_s - long.duration_s
    assert overhead >= record.num_interruptions * long.restart_s
    # At most one interval with its stall, and a restart, is lost each time.
    most = record.num_interruptions * (1000.0 + 1.0 + 60.0) + 500 * 1.0
    assert overhead <= most
    assert long.quanta == QUANTA * 8


def test_energy_of_an_idle_and_of_a_busy_cluster():
    from clusterwright.twin import Power

    cluster = Cluster(
        groups=(NodeGroup(queue="q", num_nodes=2, gpus_per_node=8, node_power_w=10_000.0),)
    )
    job = Job(job_id="a", queue="q", submit_s=0.0, duration_s=7200.0, num_gpus_ratio=8.0)
    power = Power(
        idle_fraction=0.3,
        busy_fraction=0.8,
        other_power_w=1000.0,
        pue_ratio=1.5,
        price_usd_per_j=(1e-8, 3e-8),
        carbon_g_per_j=(1e-4,),
    )
    setting = Setting(horizon_s=7200.0)
    status = summarise("x", run(cluster, (job,), setting), setting, power=power).status
    # One node busy, one idle: 10 kW x (0.8 + 0.3) + 1 kW, for two hours, times PUE.
    joules = (10_000 * 1.1 + 1000) * 7200 * 1.5
    assert math.isclose(status.energy_j, joules)
    assert math.isclose(status.cost_usd, joules * 2e-8)
    assert math.isclose(status.carbon_g, joules * 1e-4)


def test_a_centre_without_jobs_still_draws_what_idle_nodes_draw():
    from clusterwright.twin import Power

    cluster = Cluster(
        groups=(NodeGroup(queue="q", num_nodes=2, gpus_per_node=8, node_power_w=10_000.0),)
    )
    power = Power(
        idle_fraction=0.3,
        busy_fraction=0.8,
        other_power_w=1000.0,
        pue_ratio=1.5,
        price_usd_per_j=(1e-8,),
        carbon_g_per_j=(1e-4,),
    )
    setting = Setting(horizon_s=7200.0)
    summary = summarise("x", run(cluster, (), setting), setting, power=power)
    assert summary.items == ()
    assert math.isclose(summary.status.energy_j, (2 * 10_000 * 0.3 + 1000) * 7200 * 1.5)


@settings(max_examples=60, deadline=None)
@given(runs())
def test_the_bills_of_the_queues_sum_to_the_bill_of_the_facility(case):
    from clusterwright.twin import Power

    cluster, jobs, setting = case
    power = Power(
        idle_fraction=0.3,
        busy_fraction=0.8,
        other_power_w=500.0,
        pue_ratio=1.2,
        price_usd_per_j=(1e-8, 5e-8, 2e-8),
        carbon_g_per_j=(1e-4, 2e-4),
    )
    outcome = run(cluster, jobs, setting)
    summary = summarise("x", outcome, setting, power=power)
    for name in ("energy_j", "cost_usd", "carbon_g"):
        total = math.fsum(getattr(item, name) for item in summary.items)
        assert math.isclose(total, getattr(summary.status, name), rel_tol=1e-9, abs_tol=1e-12)
    # Queues without a job pay nothing, so only a run in which all have one covers the facility.
    if {job.queue for job in jobs} == set(cluster.queues):
        nodes = sum(group.num_nodes for group in cluster.groups)
        up = nodes * outcome.end_s - math.fsum(
            float(outcome.usage.down_node_s(name).sum()) for name in outcome.usage.queues
        )
        idle = (up * 1000 * 0.3 + 500 * outcome.end_s) * 1.2  # what is out draws nothing
        busy = (nodes * 1000 * 0.8 + 500) * outcome.end_s * 1.2
        assert idle * (1 - 1e-9) <= summary.status.energy_j <= busy * (1 + 1e-9)
