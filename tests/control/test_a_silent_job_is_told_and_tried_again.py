"""A job that reported and fell silent is told once; one that asks for it is tried again."""

import time

import pytest
from tests.control.drive import Drive
from tests.control.plane import plane  # noqa: F401 - a fixture
from tests.control.world import centre, conducted, job, submit, until, world_of

from clusterwright.control import fold, health, views
from clusterwright.engines import Attempt, AttemptSeen, Phase
from clusterwright.model.jobspec import Retry


def _driven(**spec):
    drive = Drive(centre(heartbeat_s=600.0))
    name = drive.submit(job(**spec))
    drive.begin(name)
    return drive, name


def _seen(name, beat_s, phase=Phase.RUNNING, number=1):
    return [AttemptSeen(attempt=Attempt(name, number), phase=phase, beat_s=beat_s)]


def _look(drive, seen, after_s=0.0, listened_s=0.0):
    return drive.do(lambda book, now: health.silences(book, seen, listened_s, now), after_s)


def _kinds(entries):
    return [entry.body.get("what", entry.kind) for entry in entries]


CASES = {
    "a job that reports in time is well": (500.0, {}, []),
    "one that is silent for too long is told": (700.0, {}, ["hang"]),
    "one that never reported is left alone": (None, {}, []),
    "one that has not begun is left alone": (700.0, {"phase": Phase.PENDING}, []),
    "one that is being stopped is left alone": (700.0, {"phase": Phase.STOPPING}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_silence(case):
    ago_s, more, expected = CASES[case]
    drive, name = _driven()
    beat_s = None if ago_s is None else drive.now_s
    found = _look(drive, _seen(name, beat_s, **more), ago_s or 5000.0)
    assert _kinds(found) == expected


def test_each_silence_is_told_once_and_so_is_its_end():
    drive, name = _driven()
    first_s = drive.now_s
    assert _kinds(_look(drive, _seen(name, first_s), 700.0)) == ["hang"]
    shown = views.why(drive.book, drive.book.jobs[name], drive.now_s)
    assert "no report for 11.7 min" in shown["message"]
    assert _look(drive, _seen(name, first_s), 700.0) == []
    again_s = drive.now_s
    assert _kinds(_look(drive, _seen(name, again_s), 10.0)) == ["alive"]
    assert views.job(drive.book, drive.book.jobs[name], drive.now_s)["message"] == ""
    assert _kinds(_look(drive, _seen(name, again_s), 700.0)) == ["hang"]
    assert drive.book.jobs[name].state == "RUNNING"


def test_silence_counts_only_while_somebody_listened():
    drive, name = _driven()
    beat_s = drive.now_s
    drive.now_s += 5000.0
    assert _look(drive, _seen(name, beat_s), listened_s=drive.now_s - 500.0) == []
    assert _kinds(_look(drive, _seen(name, beat_s), 200.0, drive.now_s - 500.0)) == ["hang"]


def test_a_job_that_asks_for_it_is_queued_again_until_that_was_too_often():
    drive, name = _driven(retry=Retry(max=1, on=("hang",)))
    found = _look(drive, _seen(name, drive.now_s), 700.0)
    assert _kinds(found) == ["hang", "interrupt"]
    record = drive.book.jobs[name]
    assert (record.retries, record.attempts[0].stop) == (1, "hang")
    drive.begin(name)
    assert len(record.attempts) == 2
    found = _look(drive, _seen(name, drive.now_s, number=2), 700.0)
    assert _kinds(found) == ["hang", "cancel"]
    assert record.state == "FAILED"
    assert "queued again 1 times before" in record.message


def test_the_journal_read_back_knows_who_is_silent():
    drive, name = _driven()
    _look(drive, _seen(name, drive.now_s), 700.0)
    again = fold.book_of(drive.entries)
    assert again.jobs[name].current.silent_since_s is not None


def test_the_loop_stops_a_hung_job_and_starts_it_again(tmp_path):
    made = centre(heartbeat_s=0.2)
    world = world_of(made)
    conductor = conducted(tmp_path, world, made)
    try:
        name = submit(conductor, job(retry=Retry(on=("hang",))))
        until(lambda: world.launched, "the start")
        world.move(Attempt(name, 1), beat_s=time.time())
        until(lambda: world.stopped, "the stop")
        assert world.stopped[0][1].signal == "USR1"
        world.end(Attempt(name, 1))
        until(lambda: Attempt(name, 2) in world.launched, "the second start")
    finally:
        conductor.stop()


def test_metrics_count_the_silent(plane):  # noqa: F811 - the fixture
    job_id = submit(plane.conductor, job())
    until(lambda: plane.world.launched, "the start")
    until(lambda: plane.conductor.book.jobs[job_id].state == "RUNNING", "its tasks")
    beat_s = time.time()
    seen = _seen(job_id, beat_s)
    plane.conductor.ask(lambda book, now: health.silences(book, seen, 0.0, beat_s + 700.0)[:1])
    text = plane.client("admin").get("/metrics").text
    assert 'clusterwright_hung_jobs{queue="default"} 1.0' in text
