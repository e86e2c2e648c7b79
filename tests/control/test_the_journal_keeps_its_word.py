"""What was acknowledged is there, in order; what was touched is noticed: on both databases."""

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from tests.control import postgres
from tests.control.plane import JOB, served
from tests.control.world import centre, comes_to, conducted, job, state_of, submit, until, world_of

from clusterwright.control import fold, orders
from clusterwright.control.entries import Entry
from clusterwright.control.journal import Journal, JournalBroken, JournalUnwritable, copy
from clusterwright.engines import Attempt
from clusterwright.errors import Conflict


@pytest.fixture(scope="module")
def server():
    with postgres.running() as found:
        yield found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "journal.sqlite")
    return request.getfixturevalue("server").journal()


def _some(count, first=0):
    return [
        Entry(1000.0 + n, "health", body={"what": f"n{n}"}) for n in range(first, first + count)
    ]


def _read(url):
    with Journal(url) as journal:
        return [(entry.seq, entry.time_s, entry.body["what"]) for entry in journal.entries()]


def test_entries_come_back_in_their_order(url):
    with Journal(url) as journal:
        journal.append(_some(3))
        journal.append(_some(2, 3))
    assert _read(url) == [(n + 1, 1000.0 + n, f"n{n}") for n in range(5)]


def test_a_batch_is_written_whole_or_not_at_all(url):
    with Journal(url) as journal:
        journal.append(_some(2))
        bad = [*_some(1, 2), Entry(2000.0, "health", job=None)]  # type: ignore[arg-type]  # what no journal takes
        with pytest.raises(JournalUnwritable):
            journal.append(bad)
        journal.append(_some(1, 2))
    assert [what for _, _, what in _read(url)] == ["n0", "n1", "n2"]


def test_a_second_writer_puts_the_first_out_of_office(url):
    with Journal(url) as first, Journal(url) as second:
        second.append(_some(1))
        with pytest.raises(Conflict, match="another process"):
            first.append(_some(1, 5))
    assert [what for _, _, what in _read(url)] == ["n0"]


def test_a_copy_holds_the_same_and_needs_an_empty_journal(url, tmp_path):
    with Journal(url) as journal:
        journal.append(_some(4))
        assert journal.backup(tmp_path / "copy.sqlite") == 4
        with pytest.raises(Conflict, match="already"):
            journal.backup(tmp_path / "copy.sqlite")
        with (
            Journal(str(tmp_path / "copy.sqlite")) as other,
            pytest.raises(Conflict, match="empty"),
        ):
            copy(journal, other)
    assert _read(str(tmp_path / "copy.sqlite")) == _read(url)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ('UPDATE entries SET body=\'{"what":"other"}\' WHERE seq=3', "entry 3 .* altered"),
        ("UPDATE entries SET time_s=5 WHERE seq=2", "entry 2 .* altered"),
        ("DELETE FROM entries WHERE seq=3", "entry 3 .* missing"),
        ("UPDATE entries SET chain='00' WHERE seq=5", "entry 5 .* torn or .*altered"),
    ],
)
def test_a_touched_row_is_found_and_named(tmp_path, harm, says):
    path = tmp_path / "journal.sqlite"
    with Journal(str(path)) as journal:
        journal.append(_some(5))
    with sqlite3.connect(path) as database:
        database.execute(harm)
    says = f"{says}.*clusterwright restore"
    with pytest.raises(JournalBroken, match=says), Journal(str(path)) as journal:
        journal.check()


def test_a_torn_page_is_found(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Journal(str(path)) as journal:
        journal.append(_some(2000))
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = os.urandom(4096)
    path.write_bytes(content)
    with pytest.raises(JournalBroken), Journal(str(path)) as journal:
        journal.check()


def test_what_is_no_journal_is_refused(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(os.urandom(8192))
    with pytest.raises(JournalBroken, match="cannot be opened"):
        Journal(str(path))


WRITER = """\
import sys
from clusterwright.control.entries import Entry
from clusterwright.control.journal import Journal
with Journal(sys.argv[1]) as journal:
    n = journal.seq
    while True:
        some = range(n, n + 7)
        journal.append([Entry(1000.0 + n, "health", body={"what": f"n{n}"}) for n in some])
        n += 7
        print(n, flush=True)
"""


def test_a_writer_killed_at_any_moment_loses_nothing_that_it_acknowledged(tmp_path):
    path = str(tmp_path / "journal.sqlite")
    for turn in range(6):
        process = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
        acknowledged = [int(process.stdout.readline())]
        end = time.monotonic() + 0.05 * turn
        while time.monotonic() < end:
            acknowledged.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout if line.strip().isdigit()]
        process.stdout.close()
        process.wait()
        with Journal(path) as journal:
            assert journal.check() == journal.seq >= acknowledged[-1]
            assert journal.seq % 7 == 0


@pytest.mark.postgres
def test_a_centre_outlives_its_database(server, tmp_path):
    made = centre()
    world = world_of(made)
    conductor = conducted(tmp_path, world, made, url=server.journal())
    try:
        runs = submit(conductor, job(nodes=2))
        comes_to(conductor, runs, "RUNNING")
        server.stop()
        with pytest.raises(JournalUnwritable):
            submit(conductor, job())
        assert conductor.failure
        world.end(Attempt(runs, 1))
        server.start()
        until(lambda: not conductor.failure, "the end of the failure")
        comes_to(conductor, runs, "COMPLETED")
        comes_to(conductor, submit(conductor, job()), "RUNNING")
        assert world.launched[0] == Attempt(runs, 1)
        assert len(world.launched) == 2
        with conductor.reading() as book:
            again = fold.book_of(conductor.journal.entries())
            assert {n: r.state for n, r in again.jobs.items()} == {
                n: r.state for n, r in book.jobs.items()
            }
    finally:
        conductor.stop()
        conductor.journal.close()


def test_a_full_disk_refuses_and_then_goes_on(tmp_path):
    """SQLite's own limit of pages stands for the disk: the error is the same."""
    made = centre()
    world = world_of(made)
    conductor = conducted(tmp_path, world, made)
    try:
        runs = submit(conductor, job(nodes=2))
        comes_to(conductor, runs, "RUNNING")
        room = _limit(conductor, 1)
        accepted = [runs]
        with pytest.raises(JournalUnwritable, match="full"):
            _fill(conductor, accepted)
        with pytest.raises(JournalUnwritable, match="full"):
            _fill_gaps(conductor, accepted[-1])
        world.end(Attempt(runs, 1))
        until(lambda: conductor.failure, "the failure")
        assert state_of(conductor, runs) == "RUNNING"
        room(1 << 30)
        comes_to(conductor, runs, "COMPLETED")
        accepted.append(submit(conductor, job()))
        comes_to(conductor, accepted[-1], "RUNNING")
        again = fold.book_of(conductor.journal.entries())
        assert list(again.jobs) == accepted  # what was refused is not there, the rest is
        assert len(set(world.launched)) == len(world.launched)
    finally:
        conductor.stop()
        conductor.journal.close()


def test_while_nothing_can_be_written_the_api_says_so_and_takes_nothing(tmp_path):
    with served(tmp_path, centre()) as plane:
        admin = plane.client()
        assert admin.get("/readyz").status_code == 200
        room = _limit(plane.conductor, 1)
        for _ in range(200):
            answer = admin.post("/api/v1/jobs", json={**JOB, "env": {"FILLER": "x" * 2000}})
            if answer.status_code != 201:
                break
        assert answer.status_code == 503
        assert "nothing was changed" in answer.json()["detail"]
        ready = admin.get("/readyz")
        assert ready.status_code == 503
        assert "full" in ready.json()["journal"]
        room(1 << 30)
        until(lambda: admin.get("/readyz").status_code == 200, "room again")
        plane.conductor.journal.close()


def _fill(conductor, accepted):
    for _ in range(200):
        accepted.append(submit(conductor, job(env={"FILLER": "x" * 2000})))


def _fill_gaps(conductor, name):
    """Fill what room the last page still has, with entries smaller than any end of a job."""
    for _ in range(200):
        conductor.ask(lambda book, now: orders.hold(book, name, now, "ann"))
        conductor.ask(lambda book, now: orders.release(book, name, now, "ann"))


def _limit(conductor, pages):
    """Let the journal's file grow no more, and return how to set another limit."""
    engine = conductor.journal._engine

    def set_pages(count):
        from sqlalchemy import event

        def limit(connection, *_):
            connection.execute(f"PRAGMA max_page_count={count}")

        event.listen(engine, "checkout", limit)
        engine.dispose()

    set_pages(pages)
    return set_pages
