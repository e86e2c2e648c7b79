"""The live loop over a world that fails: jobs run once, are never lost, and never run twice."""

from dataclasses import replace

import pytest
from tests.control.world import (
    centre,
    comes_to,
    conducted,
    job,
    state_of,
    submit,
    until,
    world_of,
)

from clusterwright.control import fold, orders
from clusterwright.engines import Attempt, End, Phase
from clusterwright.errors import Conflict
from clusterwright.model.jobspec import Retry
from clusterwright.sched import picture


@pytest.fixture
def plane(tmp_path):
    """A control plane over two nodes of four accelerators, and its world."""
    made = centre()
    world = world_of(made)
    conductor = conducted(tmp_path, world, made)
    yield conductor, world
    conductor.stop()


def test_a_job_starts_runs_and_is_through(plane):
    conductor, world = plane
    name = submit(conductor, job())
    comes_to(conductor, name, "RUNNING")
    world.end(Attempt(name, 1))
    comes_to(conductor, name, "COMPLETED")
    until(lambda: world.forgotten == [Attempt(name, 1)], "forgetting")


def test_a_gang_gets_its_accelerators_by_index_and_its_nodes_in_order(plane):
    conductor, world = plane
    first = submit(conductor, job(gpus=1))
    second = submit(conductor, job(gpus=3, nodes=2))
    third = submit(conductor, job(gpus=2))
    comes_to(conductor, first, "RUNNING")
    comes_to(conductor, second, "RUNNING")
    assert state_of(conductor, third) == "PENDING"
    held = [share for order in world.orders.values() for share in order.shares]
    for node in ("n1", "n2"):
        taken = [index for share in held if share.node == node for index in share.gpus]
        assert len(taken) == len(set(taken))


def test_a_lost_node_queues_its_job_again_and_it_waits_for_the_fence(plane):
    conductor, world = plane
    name = submit(conductor, job(nodes=2, gpus=2))
    comes_to(conductor, name, "RUNNING")
    world.fences = False
    world.lose("n1")
    until(lambda: state_of(conductor, name) in ("REQUEUED", "STARTING"), "queueing again")
    assert world.launched == [Attempt(name, 1)]
    world.bring_back("n1")
    world.fences = True
    until(lambda: Attempt(name, 2) in world.launched, "the second attempt")
    assert world.attempts.get(Attempt(name, 1)) is None or (
        world.attempts[Attempt(name, 1)].phase is Phase.ENDED
    )
    world.end(Attempt(name, 2))
    comes_to(conductor, name, "COMPLETED")


def test_a_job_that_fails_is_retried_only_for_the_causes_it_names(plane):
    conductor, world = plane
    plain = submit(conductor, job(gpus=1))
    tough = submit(conductor, job(gpus=1, retry=Retry(max=1, on=("failed",))))
    comes_to(conductor, plain, "RUNNING")
    comes_to(conductor, tough, "RUNNING")
    world.end(Attempt(plain, 1), End.FAILED, exit_codes=(3,))
    world.end(Attempt(tough, 1), End.FAILED, exit_codes=(3,))
    comes_to(conductor, plain, "FAILED")
    until(lambda: Attempt(tough, 2) in world.launched, "the retry")
    world.end(Attempt(tough, 2), End.FAILED, exit_codes=(3,))
    comes_to(conductor, tough, "FAILED")


def test_a_restarted_server_adopts_what_runs(tmp_path):
    made = centre()
    world = world_of(made)
    first = conducted(tmp_path, world, made)
    runs, waits = submit(first, job(nodes=2)), submit(first, job(nodes=2))
    comes_to(first, runs, "RUNNING")
    first.stop()
    second = conducted(tmp_path, world, made)
    try:
        assert state_of(second, runs) == "RUNNING"
        assert state_of(second, waits) == "PENDING"
        world.end(Attempt(runs, 1))
        comes_to(second, waits, "RUNNING")
        assert world.launched == [Attempt(runs, 1), Attempt(waits, 1)]
    finally:
        second.stop()


def test_a_second_server_puts_the_first_one_out_of_office(tmp_path):
    made = centre()
    world = world_of(made)
    first = conducted(tmp_path, world, made)
    second = conducted(tmp_path, world, made)
    try:
        with pytest.raises(Exception, match="another process"):
            submit(first, job())
        until(lambda: first.deposed, "the end of the first")
        comes_to(second, submit(second, job()), "RUNNING")
    finally:
        first.stop()
        second.stop()


def test_an_engine_out_of_reach_is_waited_for(plane):
    conductor, world = plane
    runs = submit(conductor, job())
    comes_to(conductor, runs, "RUNNING")
    world.away = True
    world.bell.set()
    until(lambda: conductor.book.reach, "the news")
    waits = submit(conductor, job())
    assert state_of(conductor, runs) == "RUNNING"
    world.away = False
    comes_to(conductor, waits, "RUNNING")
    assert not conductor.book.reach


def test_a_cancelled_job_frees_its_nodes_only_once_it_has_ended(plane):
    conductor, world = plane
    first = submit(conductor, job(nodes=2))
    comes_to(conductor, first, "RUNNING")
    second = submit(conductor, job(nodes=2))
    conductor.ask(lambda book, now: orders.cancel(book, first, now, "ann"))
    comes_to(conductor, second, "STARTING")
    until(lambda: world.stopped, "the stop")
    assert Attempt(second, 1) not in world.launched
    world.end(Attempt(first, 1), End.STOPPED)
    comes_to(conductor, second, "RUNNING")
    assert state_of(conductor, first) == "CANCELLED"


def test_a_drained_node_takes_nothing_new_here_and_there(plane):
    conductor, world = plane
    conductor.ask(lambda book, now: orders.drain(book, "n1", now, "ann", "new cooling"))
    until(lambda: world.nodes["n1"].drained, "the drain in the engine")
    waits = submit(conductor, job(nodes=2))
    assert state_of(conductor, waits) == "PENDING"
    conductor.ask(lambda book, now: orders.undrain(book, "n1", now, "ann"))
    comes_to(conductor, waits, "RUNNING")
    assert not world.nodes["n1"].drained


def test_a_drain_by_others_is_seen_and_left_to_them(plane):
    conductor, world = plane
    world.nodes["n2"] = type(world.nodes["n2"])(
        name="n2", up=True, drained=True, reason="bad cable", num_gpus=4, num_cpus=8
    )
    world.bell.set()
    until(lambda: "n2" in conductor.book.drained, "the news")
    with pytest.raises(Conflict, match="by its local engine: bad cable"):
        conductor.ask(lambda book, now: orders.undrain(book, "n2", now, "ann"))
    world.nodes["n2"] = replace(world.nodes["n2"], reason="bad switch")
    world.bell.set()
    until(lambda: conductor.book.drained["n2"] == "bad switch", "the other reason")
    world.nodes["n2"] = type(world.nodes["n2"])(name="n2", up=True, num_gpus=4, num_cpus=8)
    world.bell.set()
    until(lambda: "n2" not in conductor.book.drained, "the end of the drain")


def test_holding_and_releasing_and_priority(plane):
    conductor, world = plane
    blocker = submit(conductor, job(nodes=2))
    comes_to(conductor, blocker, "RUNNING")
    low, high = submit(conductor, job(nodes=2)), submit(conductor, job(nodes=2))
    conductor.ask(lambda book, now: orders.hold(book, low, now, "ann"))
    assert state_of(conductor, low) == "HELD"
    conductor.ask(lambda book, now: orders.release(book, low, now, "ann"))
    conductor.ask(lambda book, now: orders.alter(book, high, 5, now, "ann"))
    world.end(Attempt(blocker, 1))
    comes_to(conductor, high, "RUNNING")
    assert state_of(conductor, low) == "PENDING"


def test_a_journal_that_cannot_be_written_changes_nothing(plane, monkeypatch):
    conductor, world = plane
    from clusterwright.control import journal as journals

    def full(_entries):
        raise journals.JournalUnwritable("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(conductor.journal, "append", full)
        with pytest.raises(journals.JournalUnwritable, match="nothing was changed"):
            submit(conductor, job())
        assert conductor.failure
        assert not world.launched
    name = submit(conductor, job())
    comes_to(conductor, name, "RUNNING")
    assert name == "1"


def test_the_journal_read_back_is_the_book(plane):
    conductor, world = plane
    names = [submit(conductor, job(gpus=2, nodes=2)) for _ in range(6)]
    for name in names[:2]:
        comes_to(conductor, name, "RUNNING")
        world.end(Attempt(name, 1))
    comes_to(conductor, names[2], "RUNNING")
    with conductor.reading() as book:
        again = fold.book_of(conductor.journal.entries())
        seen = [
            # Reading runs no cycle, so it has nothing looked at yet.
            replace(picture(one.state, 0.0), touched=())
            for one in (again, book)
        ]
        assert seen[0] == seen[1]
        assert {n: r.state for n, r in again.jobs.items()} == {
            n: r.state for n, r in book.jobs.items()
        }
