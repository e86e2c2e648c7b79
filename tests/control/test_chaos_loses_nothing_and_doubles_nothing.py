"""Server, tasks and nodes killed by -9 at any moment: every job comes through, once at a time."""

import os
import subprocess

import pytest
from tests.control import chaos

from clusterwright.control import fold
from clusterwright.control.journal import Journal

KILLS = int(os.environ.get("CLUSTERWRIGHT_CHAOS_KILLS", "50"))
"""How often to kill; 300 take about five minutes."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_at_any_moment_lose_no_job_and_double_none(tmp_path):
    centre, jobs = chaos.under_fire(tmp_path, kills=KILLS, jobs=12, seed=1)
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    wrong = centre.wrong.read_text() if centre.wrong.exists() else ""
    assert wrong == ""
    assert sum(centre.kills.values()) == KILLS
    with Journal(str(centre.state / "journal.sqlite")) as journal:
        assert journal.check() == journal.seq
        book = fold.book_of(journal.entries())
    assert len(book.jobs) == len(jobs)
    assert not book.live
    # Every node is free again, to the last accelerator.
    pool = next(iter(book.state.pools.values()))
    assert pool.free_units + sum(pool.free[bit] for bit in range(4) if pool.down >> bit & 1) == 16
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], check=False, capture_output=True)
    assert left.stdout == b""
