"""A journal, played again: the twin decides the same things in the same order."""

import contextlib
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.control import chaos
from tests.control.drive import Drive
from tests.control.world import centre, conducted, job, submit, until, world_of

from clusterwright.cli.main import run
from clusterwright.control import orders
from clusterwright.control.journal import Journal
from clusterwright.control.replay import is_decision, replay
from clusterwright.errors import Conflict
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job
from clusterwright.model.jobspec import Checkpoint
from clusterwright.model.quota import Quota
from clusterwright.sched import State, cycle, policy_of

QUEUES = (Quota(queue="prod", guarantee_ratio=4.0), Quota(queue="lab", guarantee_ratio=4.0))
FIFO = policy_of("fifo")
POLICIES = {
    "first come, first served": "fifo",
    "least remaining time, which interrupts": "srtf",
    "higher priority, which interrupts": "priority",
    "first come, behind a shield of ten minutes": replace(FIFO, name="shield", shield_s=600.0),
    "EASY backfill": replace(FIFO, name="easy", backfill="easy"),
    "jobs move together": policy_of("gather"),
}
KINDS = ("submit", "end", "lose", "back", "cancel", "alter", "requeue", "hold", "release")
KINDS += ("drain", "undrain", "policy", "pass")
STEPS = st.lists(
    st.tuples(
        st.one_of(st.just("submit"), st.sampled_from(KINDS)),
        st.integers(0, 7),
        st.floats(0.0, 2000.0),
    ),
    max_size=40,
)
ORDERS = {
    "cancel": lambda book, job, _, now: orders.cancel(book, job, now, "ann"),
    "alter": lambda book, job, which, now: orders.alter(book, job, which, now, "ann"),
    "requeue": lambda book, job, _, now: orders.requeue(book, job, now, "ann"),
    "hold": lambda book, job, _, now: orders.hold(book, job, now, "ann"),
    "release": lambda book, job, _, now: orders.release(book, job, now, "ann"),
}


def one_thing(drive, what, which, pause):
    """Let one thing happen; what cannot happen now lets time pass only."""
    drive.rest(pause)
    book = drive.book
    node = book.node_names[which % len(book.node_names)]
    if what == "submit":
        queue, limit_s = ("prod", "lab")[which % 2], 300.0 * (1 + which)
        spec = job(gpus=1 + which % 4, nodes=1 + which % 2, queue=queue, time_limit_s=limit_s)
        saves = Checkpoint(every_s=600.0 if which % 2 else None)
        drive.submit(replace(spec, priority=which % 3, preemptible=which != 1, checkpoint=saves))
    elif what == "end" and book.state.running:
        runs = sorted(book.state.running)
        drive.end(book.order[runs[which % len(runs)]].job_id)
    elif what == "lose" and node not in book.down:
        drive.lose(node)
    elif what == "back" and node in book.down:
        drive.bring_back(node)
    else:
        drive.do(lambda found, now: _ordered(found, what, which, now))


def _ordered(book, what, which, now):
    node = book.node_names[which % len(book.node_names)]
    with contextlib.suppress(Conflict):
        if what in ORDERS and book.active:
            name = list(book.active)[which % len(book.active)]
            return ORDERS[what](book, name, which, now)
        if what == "drain":
            return orders.drain(book, node, now, "ann", "")
        if what == "undrain":
            return orders.undrain(book, node, now, "ann")
        if what == "policy":
            policy = tuple(POLICIES.values())[which % len(POLICIES)]
            return orders.change_centre(book, replace(book.centre, policy=policy), now, "op")
    return []


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_whatever_happened_the_same_is_decided_again(policy, steps):
    drive = Drive(centre(nodes=3, queues=QUEUES, policy=policy))
    for step in steps:
        one_thing(drive, *step)
    found = replay(drive.entries)
    assert found.difference is None, found.text
    assert found.num_decisions == sum(map(is_decision, drive.entries))
    assert found.num_entries == len(drive.entries)


PATIENT = replace(FIFO, name="patient", backfill="easy", patience_s=900.0)
BUSY = (PATIENT, replace(PATIENT, name="patience alone", backfill="none"), policy_of("priority"))


@pytest.mark.parametrize("policy", BUSY, ids=lambda one: one.name)
@pytest.mark.parametrize("seed", [*range(60), 64])
def test_sixty_moments_of_a_busy_centre_are_decided_again(policy, seed):
    kinds = ("submit", "submit", *("pass" if one == "policy" else one for one in KINDS))
    rng = random.Random(seed)
    drive = Drive(centre(nodes=3, queues=QUEUES, policy=policy))
    for _ in range(60):
        one_thing(drive, rng.choice(kinds), rng.randrange(8), rng.uniform(0.0, 2000.0))
    found = replay(drive.entries)
    assert found.difference is None, found.text


def test_a_look_at_nothing_does_not_forget_when_to_look_again():
    group = NodeGroup(queue="a", num_nodes=1, gpus_per_node=8)
    long = Job(job_id="1", queue="a", user="u", submit_s=0.0, duration_s=5000.0, num_gpus_ratio=8)
    jobs = [long, replace(long, job_id="2")]
    state = State(Cluster(groups=(group,)), jobs, PATIENT)
    for number in range(2):
        state.apply(Event(time_s=0.0, kind=EventKind.SUBMIT, job=number))
    assert cycle(state, 0.0).wake_s == PATIENT.patience_s
    assert cycle(state, 1.0).wake_s == PATIENT.patience_s


def test_a_gang_on_a_drained_node_is_stopped_for_another_and_all_is_free_again():
    drive = Drive(centre(nodes=3, policy="priority"))
    first = drive.submit(replace(job(nodes=2), preemptible=True))
    node = drive.book.jobs[first].current.shares[0].node
    drive.do(lambda book, now: orders.drain(book, node, now, "ann", ""))
    second = drive.submit(replace(job(nodes=2), priority=1))
    assert str(drive.book.jobs[first].state) == "PREEMPTED"
    assert node not in {share.node for share in drive.book.jobs[second].current.shares}
    drive.end(second)
    drive.do(lambda book, now: orders.undrain(book, node, now, "ann"))
    (pool,) = drive.book.state.pools.values()
    drive.end(first)
    assert pool.free_units == 12


def _three_starts():
    drive = Drive(centre(nodes=3))
    for _ in range(3):
        drive.submit(job(gpus=4), 10.0)
    return drive.entries


def test_another_place_or_a_missing_start_is_named_with_its_entry():
    entries = _three_starts()
    at = [number for number, one in enumerate(entries) if is_decision(one)]
    moved = list(entries)
    moved[at[1]] = moved[at[1]]._replace(body={"attempt": 1, "nodes": [["n2", 4000]]})
    found = replay(moved)
    assert found.num_decisions == 1
    assert found.difference.seq == moved[at[1]].seq
    assert found.difference.live != found.difference.twin
    left_out = replay(entries[: at[2]])
    assert left_out.difference.live == ""
    assert left_out.difference.twin.startswith("start 3 on ")


@pytest.fixture
def lived(tmp_path):
    """A centre that has run gangs, lost a node under one, and been started twice."""
    world = world_of(centre(nodes=3))
    conductor = conducted(tmp_path, world, centre(nodes=3, policy=POLICIES["EASY backfill"]))
    names = [submit(conductor, job(nodes=num_nodes)) for num_nodes in (2, 2, 1)]
    until(lambda: len(world.launched) == 2, "two starts")
    world.lose(world.orders[world.launched[0]].shares[0].node)
    until(lambda: conductor.book.down, "a lost node")
    conductor.stop()
    conductor = conducted(tmp_path, world)
    for node in world.nodes:
        world.bring_back(node)
    until(lambda: _all_through(world, conductor, names), "the end of all jobs")
    conductor.stop()
    return tmp_path


def _all_through(world, conductor, names):
    """End whatever runs, and return whether all jobs are through."""
    with world.lock:
        for attempt, one in list(world.attempts.items()):
            if one.end is None:
                world.end(attempt)
    with conductor.reading() as book:
        return all(book.jobs[name].state.is_final for name in names)


def test_a_centre_that_was_stopped_and_lost_a_node_is_decided_again(lived):
    with Journal(str(lived / "journal.sqlite")) as journal:
        found = replay(journal.entries())
    assert found.difference is None, found.text
    assert found.num_decisions >= 3


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_real_centre_under_fire_is_decided_again(tmp_path):
    centre_, _ = chaos.under_fire(tmp_path, kills=12, jobs=6, seed=3)
    with Journal(str(centre_.state / "journal.sqlite")) as journal:
        found = replay(journal.entries())
    assert found.difference is None, found.text
    assert found.num_decisions >= 6


def test_the_command_says_how_many_decisions_are_the_same(lived, capsys):
    assert run(["replay", "--state-dir", str(lived), "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["spec"]["num_decisions"] >= 3
    assert document["spec"]["difference"] is None
