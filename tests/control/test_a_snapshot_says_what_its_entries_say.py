"""A book from a snapshot is the book of all entries, and goes on alike."""

import contextlib
import json
import random
import sqlite3
from dataclasses import replace

import pytest
from tests.control import postgres
from tests.control.plane import _Client
from tests.control.test_the_twin_decides_as_the_journal_says import BUSY, KINDS, QUEUES, one_thing
from tests.control.world import centre, comes_to, conducted, job, submit, until, world_of

from clusterwright.cli.main import run
from clusterwright.control import auth, fold, orders, snapshots
from clusterwright.control.api import create_app
from clusterwright.control.journal import Journal, JournalBroken
from clusterwright.engines import Attempt
from clusterwright.errors import Conflict, InvalidInput
from clusterwright.model.centre import Nodes

MIXED = replace(
    centre(nodes=2, queues=QUEUES),
    nodes=(
        Nodes(name="n", num_nodes=2, num_gpus=4, num_cpus=16),
        Nodes(name="m", num_nodes=1, num_gpus=8, num_cpus=16),
    ),
)


@pytest.fixture(scope="module")
def server():
    with postgres.running() as found:
        yield found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "journal.sqlite")
    return request.getfixturevalue("server").journal()


def more(drive, rng):
    """Let something happen that leaves traces beside those of the scheduler."""
    roll = rng.randrange(8)
    if roll == 0:
        _, token = auth.new_token()
        drive.do(lambda book, now: auth.add_token(book, token, f"t{now}", "user", ["*"], now))
    elif roll == 1:
        shares = job(gpus=0.5, nodes=1, queue=rng.choice(("prod", "lab")), time_limit_s=600.0)
        drive.submit(shares)
    elif roll == 2:
        spec = replace(job(gpus=1, nodes=1, queue="lab", time_limit_s=300.0), array="0-5%2")
        drive.do(lambda book, now: orders.submit(book, spec, now, "bob", key=f"k{now}"))
    elif roll == 3 and drive.book.active:
        behind = rng.choice(list(drive.book.active))
        drive.submit(replace(job(gpus=1, nodes=1, queue="prod"), depends_on=(behind,)))
    elif roll == 4:
        for record in list(drive.book.live.values()):
            if record.current and record.current.started_s is None:
                drive.begin(record.job_id)
    elif roll == 5:
        names = MIXED if rng.random() < 0.5 else replace(MIXED, nodes=MIXED.nodes[:1])
        now_in = replace(names, policy=drive.book.centre.policy)
        with contextlib.suppress(InvalidInput):  # somebody runs there
            drive.do(lambda book, now: orders.change_centre(book, now_in, now))


def said(drive, first):
    return [one for one in drive.entries[first:] if one.kind != "token"]  # these are drawn


@pytest.mark.parametrize("policy", BUSY, ids=lambda one: one.name)
@pytest.mark.parametrize("seed", range(25))
def test_at_any_turn_it_is_the_book_of_the_entries_and_goes_on_alike(policy, seed, tmp_path):
    from tests.control.drive import Drive

    rng = random.Random(seed)
    drive = Drive(replace(MIXED, policy=policy))
    with Journal(str(tmp_path / "j.sqlite")) as journal:
        again, first = None, 0
        for step in range(40):
            happens = (rng.choice(KINDS), rng.randrange(8), rng.uniform(0.0, 2000.0))
            dice = rng.random()
            for player in (drive, again) if again else (drive,):
                one_thing(player, *happens)
                more(player, random.Random(dice))
            journal.append(drive.entries[journal.seq :])
            if step % 7 == 3:
                snapshots.keep(journal, drive.book)
            folded = fold.book_of(drive.entries)
            read = snapshots.book_of(journal)
            assert snapshots.differing(read, folded) == ""
            assert read.order == folded.order
            assert list(read.active) == list(folded.active)
            assert list(read.live) == list(folded.live)
            assert read.keys == folded.keys
            assert read.arrays == folded.arrays
            assert read.tokens == folded.tokens
            assert read.state.done == folded.state.done
            assert read.state.jobs == folded.state.jobs
            if again:
                assert said(again, first) == said(drive, first)
            if step == 20:  # a second one goes on from the snapshot, the first from the entries
                again = Drive(replace(MIXED, policy=policy))
                again.book, again.now_s = read, drive.now_s
                again.entries, again.wake_s = list(drive.entries), drive.now_s
                drive.book, drive.wake_s, first = folded, drive.now_s, len(drive.entries)


def _grown(url):
    """Return a journal with a snapshot and entries after it."""
    from tests.control.drive import Drive

    drive = Drive(MIXED)
    journal = Journal(url)
    for _ in range(3):
        drive.submit(job(gpus=2, nodes=1, queue="prod"), 1.0)
    journal.append(drive.entries)
    snapshots.keep(journal, drive.book)
    drive.begin(drive.submit(job(gpus=2, nodes=1, queue="lab"), 1.0))
    journal.append(drive.entries[journal.seq :])
    return journal, drive


def test_only_what_came_after_it_is_read_and_only_what_changed_is_written(url, monkeypatch):
    journal, drive = _grown(url)
    with journal:
        read = []
        apply = fold.apply
        monkeypatch.setattr(fold, "apply", lambda book, one: (read.append(one), apply(book, one)))
        assert snapshots.book_of(journal).order == drive.book.order
        assert [one.seq for one in read] == list(range(journal.kept_seq + 1, journal.seq + 1))
        taken = snapshots.take(drive.book, journal.kept_seq)
        assert [row.job for row in taken.rows] == ["4"]
        snapshots.keep(journal, drive.book)
    with Journal(url) as journal:
        assert snapshots.newest(journal).order == drive.book.order


def test_one_of_other_code_is_not_used(url, monkeypatch):
    journal, drive = _grown(url)
    with journal:
        monkeypatch.setattr(snapshots, "form", lambda: "another release")
        assert snapshots.newest(journal) is None
        assert snapshots.book_of(journal).order == drive.book.order
        snapshots.keep(journal, drive.book)  # takes its place, with all jobs
        assert snapshots.newest(journal).order == drive.book.order


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE snapshot_jobs SET body='{}' WHERE job='2'",
        "DELETE FROM snapshot_jobs WHERE job='3'",
        "DELETE FROM snapshot_jobs WHERE job='2'",
        "UPDATE pictures SET body=replace(body, 'prod', 'lab')",
        "UPDATE pictures SET time_s=5",
    ],
)
def test_a_damaged_one_is_not_used_and_the_next_is_whole(tmp_path, harm):
    path = tmp_path / "journal.sqlite"
    journal, drive = _grown(str(path))
    journal.close()
    with sqlite3.connect(path) as database:
        assert database.execute(harm).rowcount == 1
    with Journal(str(path)) as journal:
        book = snapshots.book_of(journal)
        assert snapshots.differing(book, drive.book) == ""
        assert journal.kept_seq == 0
        snapshots.keep(journal, book)
        assert snapshots.newest(journal).order == drive.book.order


def test_entries_that_are_cut_off_behind_it_are_missed(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal, _ = _grown(str(path))
    cut = journal.kept_seq - 1
    journal.close()
    with sqlite3.connect(path) as database:
        database.execute(f"DELETE FROM entries WHERE seq>{cut}")
    with Journal(str(path)) as journal, pytest.raises(JournalBroken, match=f"entry {cut + 1} "):
        snapshots.book_of(journal)


def test_one_of_a_deposed_writer_is_refused(url):
    journal, drive = _grown(url)
    with journal, Journal(url) as later:
        with pytest.raises(Conflict, match="another process"):
            snapshots.keep(journal, drive.book)
        assert snapshots.newest(later) is not None


def test_a_restart_goes_on_from_it_and_old_damage_is_told(tmp_path):
    made = centre()
    world = world_of(made)
    conductor = conducted(tmp_path, world, made, snapshot_every=5)
    runs = submit(conductor, job(nodes=2))
    comes_to(conductor, runs, "RUNNING")
    waits = submit(conductor, job())
    until(lambda: conductor.journal.kept_seq, "a snapshot")
    conductor.stop()
    conductor.journal.close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        database.execute("UPDATE entries SET who='eve' WHERE seq=2")
    again = conducted(tmp_path, world, snapshot_every=5)
    try:
        until(lambda: again.proof.damage, "the finding")
        assert "entry 2 " in again.proof.damage
        world.end(Attempt(runs, 1))
        comes_to(again, runs, "COMPLETED")
        comes_to(again, waits, "RUNNING")
        assert world.launched == [Attempt(runs, 1), Attempt(waits, 1)]
        ready = _Client(create_app(again), {}).get("/readyz")
        assert ready.status_code == 200
        assert "entry 2 " in ready.json()["history"]
    finally:
        again.stop()
        again.journal.close()


def test_the_command_checks_entries_and_snapshot(tmp_path, capsys):
    journal, drive = _grown(str(tmp_path / "journal.sqlite"))
    journal.close()
    words = ["journal", "check", "--state-dir", str(tmp_path)]
    assert run(words) == 0
    assert "entries are whole, and the snapshot of entry" in capsys.readouterr().out
    drive.book.jobs["2"].owner = "eve"
    with Journal(str(tmp_path / "journal.sqlite")) as journal:
        journal.kept_seq = 0
        snapshots.keep(journal, drive.book)
    assert run([*words, "-o", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["spec"]["differs"] == "job 2"
    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        database.execute("UPDATE entries SET who='eve' WHERE seq=2")
    assert run(words) == 3
    assert "entry 2 " in capsys.readouterr().err
    assert run(["journal", "mend"]) == 2


def test_one_that_makes_no_sense_costs_time_and_nothing_else(tmp_path, monkeypatch):
    journal, drive = _grown(str(tmp_path / "journal.sqlite"))
    with journal:
        monkeypatch.setattr(snapshots, "restore", lambda _: {}["nothing"])
        assert snapshots.book_of(journal).order == drive.book.order
        assert journal.kept_seq == 0
