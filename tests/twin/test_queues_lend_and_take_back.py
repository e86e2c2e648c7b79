"""Queues lend what is idle and get back what they are owed, on a real trace and in small cases.

The guarantee is checked from the log alone, by other means than the scheduler's own count.
"""

import heapq
from dataclasses import replace
from functools import cache

import pytest
from tests.plan.conftest import ROOT

from clusterwright import traces, twin
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import EventKind
from clusterwright.model.job import Job
from clusterwright.model.quota import Quota
from clusterwright.sched import policy_of, with_changes
from clusterwright.twin import Setting

TRACES = ROOT.parent / "shared/reference/traces"
STOPS = (EventKind.FINISH, EventKind.PREEMPT, EventKind.INTERRUPT)
FIFO = policy_of("fifo")


def owned(cluster):
    quotas = (
        Quota(queue=group.queue, guarantee_ratio=float(group.num_nodes * group.gpus_per_node))
        for group in cluster.groups
    )
    return replace(cluster, quotas=tuple(quotas))


def longest_owed_waits(outcome):
    """Return the longest times that the first job of each queue waited within its guarantee."""
    guarantee = {one.queue: one.guarantee_ratio * 7000 for one in outcome.cluster.quotas}
    used = dict.fromkeys(guarantee, 0)
    waiting = {queue: [] for queue in guarantee}
    gone = {queue: set() for queue in guarantee}
    since = {}
    longest = dict.fromkeys(guarantee, 0.0)
    last = None
    for event in [*outcome.log.events(), None]:
        now = event.time_s if event else outcome.end_s
        if last is not None and (event is None or now > last):  # the state between two moments
            for queue, heap in waiting.items():
                while heap and heap[0] in gone[queue]:
                    gone[queue].discard(heapq.heappop(heap))
                first = heap[0][1] if heap else None
                fits = (
                    first is not None
                    and used[queue] + outcome.jobs[first].quanta <= guarantee[queue]
                )
                if not fits or since.get(queue, (None, 0))[0] != first:
                    since.pop(queue, None)
                if fits:
                    start = since.setdefault(queue, (first, last))[1]
                    longest[queue] = max(longest[queue], now - start)
        if event is None:
            return longest
        last = now
        if event.job < 0:
            continue
        job = outcome.jobs[event.job]
        entry = (job.submit_s, event.job)
        if event.kind in STOPS:
            used[job.queue] -= job.quanta
        if event.kind is EventKind.START:
            used[job.queue] += job.quanta
            gone[job.queue].add(entry)
        elif event.kind is not EventKind.FINISH:
            gone[job.queue].discard(entry)
            if entry not in waiting[job.queue]:
                heapq.heappush(waiting[job.queue], entry)
    return longest


@cache
def philly():
    name = "philly_2017-10.csv.gz"
    table = "queues_philly_tight.csv"
    jobs = traces.read_trace((TRACES / name).read_bytes(), file=name).jobs
    cluster = traces.read_queues((TRACES / table).read_bytes(), file=table, gpus_per_node=8)
    stoppable = tuple(
        replace(
            job,
            preemptible=True,
            checkpoint_interval_s=1800.0,
            checkpoint_stall_s=30.0,
            restart_s=120.0,
        )
        for job in jobs
        if job.queue in cluster.queues
    )
    return owned(cluster), stoppable


@pytest.mark.skipif(not TRACES.is_dir(), reason="the published traces are not in ../shared")
def test_on_philly_lending_cuts_the_wait_and_breaks_no_guarantee():
    cluster, jobs = philly()
    setting = Setting(policy=FIFO, pooled=True)
    outcome = twin.run(cluster, jobs, setting)
    status = twin.summarise("philly", outcome, setting).status
    assert status.num_jobs == len(jobs)
    assert status.avg_wait_s <= 2000  # 16,297 s with the shortest first on queues of their own
    assert status.num_guarantees_broken == 0
    assert status.num_preemptions > 0
    assert status.goodput_fraction < 1  # what stopped jobs lose is in the figures
    assert max(longest_owed_waits(outcome).values()) <= 600


def two_queues(*quotas, nodes=2):
    groups = tuple(NodeGroup(queue=q, num_nodes=nodes, gpus_per_node=8) for q in ("a", "b"))
    cluster = Cluster(groups=groups)
    return replace(cluster, quotas=quotas) if quotas else owned(cluster)


def job(name, queue, gpus, *, submit=0.0, duration=1000.0, **more):
    settled = {"preemptible": True, "checkpoint_interval_s": 100.0, "restart_s": 10.0, **more}
    return Job(
        job_id=name,
        queue=queue,
        submit_s=submit,
        duration_s=duration,
        num_gpus_ratio=gpus,
        **settled,
    )


def events(cluster, jobs, policy=FIFO):
    outcome = twin.run(cluster, jobs, Setting(policy=policy, pooled=True))
    return [
        (event.time_s, event.kind.name, outcome.jobs[event.job].job_id)
        for event in outcome.log.events()
    ]


def test_a_queue_borrows_and_gives_back_the_job_that_loses_least():
    jobs = (
        job("b1", "b", 16),
        job("b2", "b", 8, submit=50.0),
        job("b3", "b", 8, submit=60.0),
        job("a1", "a", 8, submit=165.0),
    )
    happened = events(two_queues(), jobs)
    # At 165 s b2 has lost 15 s since its checkpoint, b3 5 s, b1 65 s on twice the accelerators.
    assert (165.0, "PREEMPT", "b3") in happened
    assert (165.0, "START", "a1") in happened
    assert sum(kind == "PREEMPT" for _, kind, _ in happened) == 1


def test_a_queue_above_its_guarantee_takes_nothing_back():
    jobs = (job("b1", "b", 32), job("a1", "a", 24, submit=10.0))
    happened = events(two_queues(), jobs)
    assert not any(kind == "PREEMPT" for _, kind, _ in happened)


def test_jobs_that_may_not_be_stopped_are_not():
    jobs = (job("b1", "b", 32, preemptible=False), job("a1", "a", 8, submit=10.0))
    happened = events(two_queues(), jobs)
    assert (1000.0, "START", "a1") in happened


def test_a_guarantee_met_by_backfill_is_not_broken():
    quotas = (
        Quota(queue="a", guarantee_ratio=8),
        Quota(queue="b", guarantee_ratio=8),
        Quota(queue="c", guarantee_ratio=16),
    )
    fixed = {"preemptible": False}
    jobs = (
        job("b0", "b", 8, duration=100.0, **fixed),
        *(job(f"b{i}", "b", 8, duration=300.0, **fixed) for i in (1, 2, 3)),
        job("c1", "c", 16, submit=5.0, **fixed),
        job("a1", "a", 8, submit=10.0, duration=50.0, **fixed),
    )
    setting = Setting(policy=with_changes(FIFO, backfill="easy"), pooled=True)
    outcome = twin.run(two_queues(*quotas), jobs, setting)
    names = [one.job_id for one in outcome.jobs]
    firsts = [record.first_start_s for record in outcome.records]
    starts = dict(zip(names, firsts, strict=True))
    assert starts["a1"] == 100.0  # before c1, which is first and is promised 300 s
    assert starts["c1"] == 300.0
    assert outcome.broken == ()


def test_backfill_passes_a_queue_at_its_limit():
    quotas = (Quota(queue="a", limit_ratio=8), Quota(queue="b"))
    jobs = (
        job("a1", "a", 8),
        job("a2", "a", 8, submit=1.0),
        job("b1", "b", 8, submit=2.0, duration=5000.0),
    )
    setting = Setting(policy=with_changes(FIFO, backfill="easy"), pooled=True)
    outcome = twin.run(two_queues(*quotas), jobs, setting)
    assert [record.first_start_s for record in outcome.records] == [0.0, 1000.0, 2.0]


def test_a_shield_delays_the_stop_until_it_ends():
    jobs = (job("b1", "b", 32), job("a1", "a", 8, submit=10.0))
    happened = events(two_queues(), jobs, with_changes(FIFO, shield_s=300.0))
    assert (300.0, "PREEMPT", "b1") in happened
    assert (300.0, "START", "a1") in happened


def test_no_queue_passes_its_limit():
    quotas = (
        Quota(queue="a", guarantee_ratio=16),
        Quota(queue="b", guarantee_ratio=8, limit_ratio=16),
    )
    jobs = tuple(job(f"b{i}", "b", 8, submit=float(i)) for i in range(4))
    outcome = twin.run(two_queues(*quotas), jobs, Setting(policy=FIFO, pooled=True))
    assert [record.first_start_s for record in outcome.records] == [0.0, 1.0, 1000.0, 1001.0]


def test_a_queue_inside_another_takes_back_what_the_outer_one_is_owed():
    quotas = (
        Quota(queue="outer", guarantee_ratio=16),
        Quota(queue="a", parent="outer"),
        Quota(queue="c", parent="outer", guarantee_ratio=8),
        Quota(queue="b", guarantee_ratio=16),
    )
    jobs = (job("b1", "b", 16), job("b2", "b", 16), job("a1", "a", 16, submit=10.0))
    happened = events(two_queues(*quotas), jobs)
    assert (10.0, "START", "a1") in happened
    assert sum(kind == "PREEMPT" for _, kind, _ in happened) == 1


def test_small_jobs_of_others_move_away_when_a_guarantee_needs_a_whole_node():
    quotas = (Quota(queue="a", guarantee_ratio=8), Quota(queue="b", guarantee_ratio=24))
    long = [job(f"b{i}", "b", 4, duration=5000.0) for i in range(6)]
    short = [job("s1", "b", 4, duration=20.0), job("s2", "b", 4, duration=30.0)]
    # After 30 s two halves are free on two nodes: enough for queue a, but in pieces.
    order = [long[0], short[0], long[1], short[1], *long[2:]]
    happened = events(two_queues(*quotas), (*order, job("a1", "a", 8, submit=50.0)))
    assert (50.0, "START", "a1") in happened
    moved = [name for time_s, kind, name in happened if kind == "PREEMPT"]
    assert len(moved) == 1
    assert (50.0, "START", moved[0]) in happened


@pytest.mark.timeout(30)
@pytest.mark.parametrize("patience_s", [None, 100.0])
def test_two_queues_that_are_owed_what_only_one_can_have_do_not_take_turns(patience_s):
    # Gangs of b stand on both nodes; what a is owed, 6 on one node, would cost b both of them.
    quotas = (Quota(queue="a", guarantee_ratio=8), Quota(queue="b", guarantee_ratio=8))
    cluster = two_queues(*quotas, nodes=1)
    gang = [replace(job(f"b{i}", "b", 8, duration=1000.0), num_nodes=2) for i in range(2)]
    mine = [job(f"a{i}", "a", 6, submit=50.0 + i, duration=1000.0) for i in range(2)]
    policy = with_changes(FIFO, patience_s=patience_s)
    happened = events(cluster, (*gang, *mine), policy=policy)
    assert [kind for _, kind, _ in happened].count("PREEMPT") <= 2
    assert {name for _, kind, name in happened if kind == "FINISH"} == {"a0", "a1", "b0", "b1"}


def test_a_job_beyond_its_patience_goes_first_and_holds_up_the_rest():
    cluster = Cluster(groups=(NodeGroup(queue="q", num_nodes=2, gpus_per_node=8),))
    small = [
        replace(job(f"s{i}", "q", 8, duration=100.0), queue="q", submit_s=90.0 * i)
        for i in range(40)
    ]
    big = replace(job("big", "q", 16, duration=100.0), queue="q", submit_s=1.0, estimate_s=1e6)
    starts = {}
    for patience_s in (None, 500.0):
        policy = with_changes(policy_of("predicted"), patience_s=patience_s)
        outcome = twin.run(cluster, (*small, big), Setting(policy=policy))
        names = [one.job_id for one in outcome.jobs]
        starts[patience_s] = outcome.records[names.index("big")].first_start_s
    assert starts[None] > 3000
    assert starts[500.0] <= 700
