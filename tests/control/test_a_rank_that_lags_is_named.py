"""A rank that works much longer in a step than the rest is named, and so is its end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.control.drive import Drive
from tests.control.world import centre, job

from clusterwright.control import fold, views, watch
from clusterwright.control.api.metrics import _health
from clusterwright.control.entries import Entry
from clusterwright.control.paces import Paces
from clusterwright.engines import Attempt


class Gang:
    """A running gang of four ranks on two nodes, whose report is written by hand."""

    def __init__(self, path):
        self.drive = Drive(centre(nodes=2))
        self.name = self.drive.submit(job(nodes=2, gpus=4, tasks_per_node=2))
        self.drive.begin(self.name)
        self.attempt = Attempt(self.name, 1)
        body = {"attempt": 1, "started_s": self.drive.now_s, "nodes": ["n1", "n2"]}
        self.drive.do(lambda _, now: [Entry(now, "running", self.name, body=body)])
        self.path = path / "report.jsonl"
        self.paces = Paces()

    def steps(self, count, *busy_s):
        """Let each rank report so many steps, then let the server look; return what it found."""
        with self.path.open("a") as file:
            for _ in range(count):
                for rank, one in enumerate(busy_s):
                    file.write(json.dumps({"rank": rank, "busy_s": one}) + "\n")
        paths = {self.attempt: self.path}
        self.drive.do(lambda book, now: watch.reported(book, paths, now, self.paces))
        return [(one.body["what"], one.body["ranks"]) for one in self.drive.do(self.paces.found)]

    @property
    def message(self):
        return views.why(self.drive.book, self.drive.book.jobs[self.name], self.drive.now_s)[
            "message"
        ]

    @property
    def num_lagging(self):
        _, slow = _health(self.drive.book)
        return sum(sample.value for sample in slow.samples)


@pytest.fixture
def gang(tmp_path):
    return Gang(tmp_path)


def test_a_rank_that_lags_is_named_with_its_node_once(gang):
    assert gang.steps(20, 1.0, 1.0, 1.1, 1.6) == [("straggler", [3])]
    assert gang.message == "rank 3 on n2 works 1.5 times as long in a step as the median rank"
    assert gang.num_lagging == 1
    assert gang.steps(20, 1.0, 1.0, 1.1, 1.6) == []
    again = fold.book_of(gang.drive.entries)
    assert again.jobs[gang.name].current.stragglers == (3,)


def test_one_that_is_even_again_is_let_go(gang):
    gang.steps(20, 1.0, 1.0, 1.0, 2.0)
    assert gang.steps(3, 1.0, 1.0, 1.0, 1.0) == []  # a few steps say nothing
    assert gang.steps(60, 1.0, 1.0, 1.0, 1.0) == [("even", [])]
    assert (gang.message, gang.num_lagging) == ("", 0)


def test_another_one_is_told_beside_the_first(gang):
    gang.steps(20, 1.0, 1.0, 1.0, 2.0)
    assert gang.steps(60, 2.2, 1.0, 1.0, 2.0) == [("straggler", [0, 3])]
    assert gang.num_lagging == 2


QUIET = {
    "too few steps": (7, (1.0, 1.0, 1.0, 9.0)),
    "too few ranks": (50, (1.0, 9.0)),
    "a little slower": (50, (1.0, 1.0, 1.0, 1.25)),
    "no times at all": (50, (None, "x", True, float("nan"))),
    "ranks that there are not": (50, (1.0, 1.0, 1.0, 1.0, 9.0)),
}


@pytest.mark.parametrize("case", QUIET)
def test_nothing_is_said_of(gang, case):
    count, busy_s = QUIET[case]
    assert gang.steps(count, *busy_s) == []


def test_a_silent_gang_stays_said_to_hang(gang):
    body = {"attempt": 1, "what": "hang", "message": "no report", "since_s": 1.0}
    gang.drive.do(lambda _, now: [Entry(now, "health", gang.name, body=body)])
    assert gang.steps(20, 1.0, 1.0, 1.0, 2.0) == [("straggler", [3])]
    assert gang.message == "no report"
    assert gang.drive.book.jobs[gang.name].current.silent_since_s == 1.0


def test_a_gang_that_is_through_is_forgotten(gang):
    gang.steps(20, 1.0, 1.0, 1.0, 1.0)
    gang.drive.end(gang.name)
    assert gang.paces.found(gang.drive.book, gang.drive.now_s) == []


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["rank", "busy_s", "step"]),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        ),
        max_size=30,
    )
)
def test_whatever_a_job_writes_does_no_harm(lines):
    drive = Drive(centre(nodes=2))
    name = drive.submit(job(nodes=2))
    drive.begin(name)
    paces = Paces()
    paces.note(Attempt(name, 1), 2, lines)
    paces.found(drive.book, drive.now_s)
