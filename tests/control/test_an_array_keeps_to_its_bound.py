"""Of an array `0-99%10` at most ten tasks are started at once, and ten are whenever they can be."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.control.drive import Drive
from tests.control.plane import JOB, plane  # noqa: F401 - a fixture
from tests.control.world import centre, comes_to, job, until

from clusterwright.control import fold, orders, views
from clusterwright.control.records import JobState
from clusterwright.engines import Attempt
from clusterwright.sched import picture

STEPS = st.lists(
    st.tuples(
        st.sampled_from(("end", "cancel", "hold", "release", "requeue", "alter", "grow")),
        st.integers(0, 50),
    ),
    max_size=40,
)


def _do(drive, what, which):
    """Do one thing to one task, where there is one that it can be done to."""
    book = drive.book
    running = [one for one in book.active.values() if one.index in book.state.running]
    waits = [one for one in book.active.values() if one.state.waits]
    held = [one for one in waits if one.state is JobState.HELD]
    free = [one for one in waits if one.state is not JobState.HELD]
    among = {"end": running, "requeue": running, "hold": free, "release": held}
    if what == "grow":
        more = centre(nodes=len(book.node_names) + 1)
        drive.do(lambda book, now: orders.change_centre(book, more, now))
        return
    some = among.get(what, list(book.active.values()))
    if not some:
        return
    name = some[which % len(some)].job_id
    if what == "end":
        drive.end(name)
    elif what == "alter":
        drive.do(lambda book, now: orders.alter(book, name, which, now, "ann"))
    else:
        order = getattr(orders, what)
        drive.do(lambda book, now: order(book, name, now, "ann"))


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, tasks=st.integers(1, 12), at_once=st.integers(0, 5))
def test_as_many_are_started_as_may_be_and_never_more(steps, tasks, at_once):
    drive = Drive(centre(nodes=3))
    bound = f"%{at_once}" if at_once else ""
    drive.submit(job(gpus=1, array=f"0-{tasks - 1}{bound}"))
    for what, which in (("submit", 0), *steps):
        if what != "submit":
            _do(drive, what, which)
        wanted = sum(one.state is not JobState.HELD for one in drive.book.active.values())
        assert len(drive.book.state.running) == min(wanted, at_once or wanted)
    again = fold.book_of(drive.entries)
    kept, made = (replace(picture(one.state, 0.0), touched=()) for one in (again, drive.book))
    assert kept == made


def test_a_task_that_waits_for_the_others_says_so():
    drive = Drive(centre())
    drive.submit(job(gpus=1, array="0-3%2"))
    shown = views.why(drive.book, drive.book.jobs["1-2"], drive.now_s)
    assert shown["reason"] == "ARRAY_LIMIT"
    assert "2 tasks" in shown["message"]
    drive.end("1-0")
    assert drive.book.jobs["1-2"].state == "STARTING"
    assert drive.book.jobs["1-3"].state == "PENDING"


def test_arrays_do_not_count_each_others_tasks():
    drive = Drive(centre())
    for _ in range(2):
        drive.submit(job(gpus=1, array="0-3%2"))
    started = [one.job_id for one in drive.book.active.values() if one.attempts]
    assert started == ["1-0", "1-1", "2-0", "2-1"]


def test_an_array_is_listed_waited_for_and_cancelled_as_one(plane):  # noqa: F811 - the fixture
    admin = plane.client("admin")
    spec = {**JOB, "nodes": 1, "gpus_per_node": 1, "array": "0-3%2"}
    made = admin.post("/api/v1/jobs", json=spec).json()
    array = made["name"]
    names = [f"{array}-{task}" for task in range(4)]
    assert [one["job_id"] for one in made["items"]] == names
    comes_to(plane.conductor, names[1], "RUNNING")
    comes_to(plane.conductor, names[0], "RUNNING")
    plane.world.end(Attempt(names[0], 1))
    comes_to(plane.conductor, names[2], "RUNNING")
    listed = admin.get("/api/v1/jobs", params={"active": "true"}).json()["items"]
    assert {one["job_id"]: one["reason"] for one in listed} == {
        names[1]: "",
        names[2]: "",
        names[3]: "ARRAY_LIMIT",
    }
    cancelled = admin.post(f"/api/v1/jobs/{array}/cancel").json()["items"]
    assert [one["state"] for one in cancelled] == ["COMPLETED", *["CANCELLED"] * 3]
    until(lambda: len(plane.world.stopped) >= 2, "the stops")
    assert Attempt(names[3], 1) not in plane.world.launched


def test_a_centre_that_changes_keeps_who_holds_what_and_holds_nothing_again():
    drive = Drive(centre(nodes=1))
    drive.submit(job())
    freed, held = drive.submit(job(hold=True)), drive.submit(job(start_after="2999-01-01T00:00Z"))
    drive.do(lambda book, now: orders.release(book, freed, now, "ann"))
    drive.do(lambda book, now: orders.hold(book, held, now, "op", admin=True))
    drive.do(lambda book, now: orders.change_centre(book, centre(nodes=2), now))
    assert drive.book.jobs[freed].state is JobState.STARTING
    shown = views.why(drive.book, drive.book.jobs[held], drive.now_s)
    assert shown["reason"] == "HELD_BY_ADMIN"
