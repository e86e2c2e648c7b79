"""A session with a lease ends when it has passed unused; activity and renewals begin it anew."""

import os

import pytest
from tests.control.drive import Drive
from tests.control.world import centre, comes_to, conducted, job, submit, until, world_of

from clusterwright.control import accounts, fold, health, orders
from clusterwright.engines import Attempt, AttemptSeen, End, Phase
from clusterwright.errors import Conflict, InvalidInput


def _session(**more):
    drive = Drive(centre())
    name = drive.submit(job(gpus=1, **({"lease_s": 600.0} | more)))
    drive.begin(name)
    return drive, name


def _look(drive, name, *paths, phase=Phase.RUNNING):
    seen = [AttemptSeen(attempt=Attempt(name, 1), phase=phase)]
    return drive.do(lambda book, now: health.unused(book, seen, lambda *_: paths, now))


def test_a_lease_that_passes_unused_ends_the_session_as_completed():
    drive, name = _session()
    drive.now_s += 500.0
    assert not _look(drive, name)
    drive.now_s += 101.0
    assert _look(drive, name)
    record = drive.book.jobs[name]
    assert (record.state, record.message) == ("COMPLETED", "its lease of 10 min passed unused")
    assert not _look(drive, name)


@pytest.mark.parametrize("more", [{"lease_s": None}, {"lease_s": 6000.0}])
def test_others_are_left_alone(more):
    drive, name = _session(**more)
    drive.now_s += 5000.0
    assert not _look(drive, name)


def test_what_it_writes_begins_the_lease_anew(tmp_path):
    drive, name = _session()
    log = tmp_path / "out"
    log.touch()
    os.utime(log, (drive.now_s + 400.0,) * 2)
    drive.now_s += 700.0
    assert not _look(drive, name, log, tmp_path / "absent")
    drive.now_s += 400.0
    assert _look(drive, name, log)


def test_a_renewal_begins_it_anew_and_is_in_the_journal():
    drive, name = _session()
    drive.do(lambda book, now: orders.renew(book, name, now, "ann"), 500.0)
    drive.now_s += 500.0
    assert not _look(drive, name)
    drive.book = fold.book_of(drive.entries)  # the server starts again
    assert not _look(drive, name)
    drive.now_s += 101.0
    assert _look(drive, name)


def test_only_a_running_session_is_renewed():
    drive, name = _session(lease_s=None)
    with pytest.raises(Conflict, match="no running session"):
        drive.do(lambda book, now: orders.renew(book, name, now, "ann"))


def test_a_lease_is_above_zero():
    with pytest.raises(InvalidInput, match="lease"):
        job(lease_s=0.0)


def test_the_loop_stops_it_and_nothing_counts_as_lost(tmp_path):
    made = centre()
    world = world_of(made)
    conductor = conducted(tmp_path, world, made)
    try:
        name = submit(conductor, job(lease_s=0.3))
        until(lambda: world.stopped, "the stop")
        world.end(Attempt(name, 1), End.STOPPED)
        comes_to(conductor, name, "COMPLETED")
        until(lambda: not conductor.book.live, "its end")
        with conductor.reading() as book:
            assert accounts.of_job(book, book.jobs[name], book.time_s).lost_s == 0.0
    finally:
        conductor.stop()
