"""Half way through, a state is drawn, written, read, and taken up again without the finished jobs.

The events that come from outside are the same for both; what the cycles decide must be so too.
"""

import heapq
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright import documents
from clusterwright.errors import InvalidInput
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job
from clusterwright.model.quota import Quota
from clusterwright.sched import (
    POLICIES,
    Picture,
    State,
    cycle,
    picture,
    restored,
    with_changes,
)
from clusterwright.sched.progress import kept_s, run_s

WAKE = 99


class Player:
    """A state, what is still to happen to it, and what it decided; jobs are spoken of by name."""

    def __init__(self, state, outside):
        self.state = state
        self.planned = list(outside)  # time, kind, number, job, node or data
        heapq.heapify(self.planned)
        self.starts = {}
        self.log = []
        self.awaited = set()

    def index(self, name):
        return self.numbers[name]

    @property
    def numbers(self):
        return {job.job_id: number for number, job in enumerate(self.state.jobs)}

    def moment(self, then=None):
        """Let all happen that happens next, and one cycle after it and after what is given."""
        now = self.planned[0][0]
        numbers = self.numbers
        while self.planned and self.planned[0][0] == now:
            _, kind, count, subject = heapq.heappop(self.planned)
            self.happen(now, kind, count, subject, numbers)
        if then is not None:
            self.state = then(self.state, now)
            numbers = self.numbers
        decided = cycle(self.state, now)
        names = {number: name for name, number in numbers.items()}
        for event in decided.events:
            name = names[event.job]
            self.log.append((*event[:2], name, *event[3:]))
            if event.kind is EventKind.START:
                self.starts[name] = self.starts.get(name, 0) + 1
                if event.job in self.state.running:
                    end = now + run_s(self.state, event.job)
                    plan = (end, EventKind.FINISH, 10_000 + self.starts[name], name)
                    heapq.heappush(self.planned, plan)
        if now < decided.wake_s < float("inf") and decided.wake_s not in self.awaited:
            self.awaited.add(decided.wake_s)
            heapq.heappush(self.planned, (decided.wake_s, WAKE, 0, ""))

    def happen(self, now, kind, count, subject, numbers):
        state = self.state
        if kind == WAKE:
            state.touched.update(dict.fromkeys(state.pools))
        elif kind in (
            EventKind.NODE_FAIL,
            EventKind.NODE_REPAIR,
            EventKind.DRAIN,
            EventKind.UNDRAIN,
        ):
            if kind is EventKind.NODE_FAIL:
                for job in sorted(state.on_node[subject]):
                    kept = kept_s(state, job, now)
                    state.apply(Event(now, EventKind.INTERRUPT, job, kept_s=kept))
            state.apply(Event(now, EventKind(kind), node=subject))
        elif kind is EventKind.STAGED:
            readers = (n for n, job in enumerate(state.jobs) if job.dataset == subject)
            reader = next(readers, None)  # none is left where all are through
            if reader is not None:
                state.apply(Event(now, kind, reader))
        elif subject in numbers and self.can(kind, count, numbers[subject], subject):
            state.apply(Event(now, EventKind(kind), numbers[subject]))

    def can(self, kind, count, job, name):
        state = self.state
        waits = job in state.gates or job in state.line(job).entries
        match kind:
            case EventKind.FINISH:
                return job in state.running and self.starts[name] == count - 10_000
            case EventKind.HOLD:
                return waits
            case EventKind.RELEASE:
                return job in state.gates
            case EventKind.CANCEL:
                return waits or job in state.running
        return True


@st.composite
def clusters(draw):
    groups = [
        NodeGroup(
            queue=queue,
            num_nodes=draw(st.integers(1, 3)),
            gpus_per_node=8,
            cpus_per_node=draw(st.sampled_from([0, 32])) if number else 32,
            node_memory_bytes=1e12,
            nodes_per_leaf=draw(st.sampled_from([0, 2])),
        )
        for number, queue in enumerate(("a", "b"))
    ]
    groups.append(NodeGroup(queue="c", num_nodes=2, gpus_per_node=0, cpus_per_node=16))
    if draw(st.booleans()):
        return Cluster(groups=tuple(groups))
    quotas = [
        Quota(
            queue=group.queue,
            parent=draw(st.sampled_from(["", "top"])),
            guarantee_ratio=draw(st.sampled_from([0.0, 8.0])),
            deserved_ratio=8.0,
            limit_ratio=draw(st.none() | st.just(16.0)),
        )
        for group in groups
    ]
    return Cluster(groups=tuple(groups), quotas=(Quota(queue="top"), *quotas))


@st.composite
def workloads(draw):
    jobs = []
    for number in range(draw(st.integers(1, 50))):
        queue = draw(st.sampled_from("aaabbc"))
        submit_s = float(draw(st.integers(0, 30)) * 50)
        behind = draw(st.sampled_from([(), (), (f"j{number // 2}",)])) if number > 1 else ()
        jobs.append(
            Job(
                job_id=f"j{number}",
                queue=queue,
                user=f"u{draw(st.integers(0, 2))}",
                submit_s=submit_s,
                duration_s=float(draw(st.integers(1, 1500))),
                num_gpus_ratio=0 if queue == "c" else draw(st.sampled_from([1 / 7, 0.5, 2, 4, 8])),
                num_cpus=draw(st.integers(1, 8)),
                memory_bytes=draw(st.sampled_from([0.0, 0.0, 1e11 / 3, 7e11])),
                priority=draw(st.integers(0, 2)),
                estimate_s=draw(st.none() | st.integers(1, 2000).map(float)),
                time_limit_s=draw(st.none() | st.just(3000.0)),
                start_after_s=draw(st.sampled_from([None, None, submit_s + 333.0])),
                depends_on=behind,
                held=draw(st.sampled_from([False, False, False, True])),
                dataset=draw(st.sampled_from(["", "", "d1", "d2"])),
                dataset_bytes=1e9,
                checkpoint_interval_s=draw(st.none() | st.just(100.0)),
                checkpoint_stall_s=5.0,
                restart_s=30.0,
                preemptible=draw(st.booleans()),
            )
        )
    return tuple(sorted(jobs, key=lambda job: job.submit_s))


@st.composite
def cases(draw):
    cluster, jobs = draw(clusters()), draw(workloads())
    policy = with_changes(
        POLICIES[draw(st.sampled_from([*sorted(POLICIES), "fair", "fair", "fifo"]))],
        backfill=draw(st.sampled_from(["none", "easy", "conservative"])),
        patience_s=draw(st.none() | st.just(900.0)),
        half_life_s=draw(st.none() | st.just(500.0)),
        shield_s=draw(st.sampled_from([0.0, 200.0])),
        reclaim_after_s=draw(st.sampled_from([0.0, 150.0])),
    )
    rules = draw(st.sampled_from([None, ("reclaim", "priority"), ("reclaim", "priority", "move")]))
    if rules is not None:
        policy = replace(policy, preempt=rules)
    how = {"pooled": draw(st.booleans()), "staged": draw(st.booleans())}
    outside = [(job.submit_s, EventKind.SUBMIT, n, job.job_id) for n, job in enumerate(jobs)]
    outside.append((800.0, EventKind.NODE_FAIL, 0, draw(st.integers(0, 1))))
    outside.append((1700.0, EventKind.NODE_REPAIR, 0, outside[-1][3]))
    outside.append((600.0, EventKind.DRAIN, 0, 1))
    outside.append((2600.0, EventKind.UNDRAIN, 0, 1))
    said = st.sampled_from([EventKind.HOLD, EventKind.RELEASE, EventKind.CANCEL])
    for number in range(draw(st.integers(0, 15))):
        name = draw(st.sampled_from(jobs)).job_id
        time_s = float(draw(st.integers(1, 60)) * 50)
        outside.append((time_s, draw(said), 1000 + number, name))
    for dataset, time_s in (("d1", 700.0), ("d2", 2100.0)):
        if any(job.dataset == dataset for job in jobs):
            outside.append((time_s, EventKind.STAGED, 5000, dataset))
    outside += [(6000.0 + n, EventKind.RELEASE, n, job.job_id) for n, job in enumerate(jobs)]
    return cluster, jobs, policy, how, outside, draw(st.integers(1, 60))


def taken_up(state, now, cluster, policy, how):
    """Return the state of a picture that was written and read, without the jobs that are gone."""
    text = documents.dump(picture(state, now), format="json")
    seen = documents.read(text, Picture)
    named = {one.job for one in (*seen.running, *seen.waiting)}
    assert len(named) == len(seen.running) + len(seen.waiting)
    jobs = [job for job in state.jobs if job.job_id in named or job.submit_s > now]
    again = restored(cluster, jobs, policy, seen, **how)
    assert picture(again, now) == seen
    return again


@settings(max_examples=40, deadline=None)
@given(cases())
def test_both_decide_the_same_from_then_on(case):
    cluster, jobs, policy, how, outside, moments = case
    first = Player(State(cluster, jobs, policy, **how), outside)
    second = Player(State(cluster, jobs, policy, **how), outside)
    while first.planned:
        first.moment()

    def swap(state, now):
        return taken_up(state, now, cluster, policy, how)

    while second.planned:
        moments -= 1
        second.moment(swap if moments == 0 else None)
    assert second.log == first.log
    assert second.state.broken == first.state.broken


def test_a_picture_is_complete():
    # A new field of the state belongs into the picture, or follows from what is there: say which.
    pictured = {
        *("running", "promises", "gates", "done", "hot", "remaining", "touched", "since"),
        *("freed", "owed_since", "broken", "epoch_s", "permits", "deferred"),
        "wakes",
    }
    given_again = {"jobs", "policy", "rate", "lead", "staged", "deferrals"}
    follows = {
        *("key", "place", "fair", "shared", "stops", "pools", "lines", "line_of_queue"),
        *("lines_of", "heads", "accounts", "by_end", "in_queue", "on_node", "pool_at", "stale"),
        *("behind", "until_hot", "timers", "arrays", "_shapes", "_asks", "_by_end"),
        "looked",  # without it all that waits is looked at again, and found as it was
    }
    group = NodeGroup(queue="a", num_nodes=1, gpus_per_node=8)
    state = State(Cluster(groups=(group,)), (), POLICIES["fifo"])
    assert set(vars(state)) == pictured | given_again | follows


def test_all_that_is_not_there_is_told_at_once():
    group = NodeGroup(queue="a", num_nodes=2, gpus_per_node=8)
    cluster = Cluster(groups=(group,))
    jobs = tuple(
        Job(job_id=f"j{n}", queue="a", submit_s=0.0, duration_s=9.0, num_gpus_ratio=8.0)
        for n in range(3)
    )
    state = State(cluster, jobs, POLICIES["fifo"])
    for job in range(3):
        state.apply(Event(0.0, EventKind.SUBMIT, job))
    cycle(state, 0.0)
    seen = picture(state, 0.0)
    small = Cluster(groups=(replace(group, num_nodes=1),))
    with pytest.raises(InvalidInput) as caught:
        restored(small, jobs[:1], POLICIES["fifo"], seen)
    told = sorted(fault.message for fault in caught.value.faults)
    assert told == [
        "there is no node 1",
        "there is not exactly one job 'j1'",
        "there is not exactly one job 'j2'",
    ]
