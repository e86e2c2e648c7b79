"""Jobs to learn from."""

import pytest
from hypothesis import strategies as st

from clusterwright.learn import Past
from clusterwright.model.job import Job

EARLIER = ("later.csv", "--history", "earlier.csv", "--history-shift", "30d")
HEADER = "job_id,submit_s,duration_s,gpus,user,vc\n"


def trace(first, count, start_s=0):
    rows = [
        f"{first}{n},{start_s + n * 1000},{60 if n % 3 else 9000},{1 if n % 3 else 8},u{n % 3},q"
        for n in range(count)
    ]
    return HEADER + "\n".join(rows) + "\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "earlier.csv").write_text(trace("a", 400))
    (tmp_path / "later.csv").write_text(trace("b", 100))
    (tmp_path / "queues.csv").write_text("queue,nodes\nq,1\n")
    return tmp_path


def job(number=0, **told):
    """Return a job of which the test names what it is about."""
    given = {
        "job_id": f"j{number}",
        "queue": "q",
        "user": "ann",
        "submit_s": 0.0,
        "duration_s": 60.0,
        "num_gpus_ratio": 1.0,
    }
    return Job(**(given | told))


def past(number=0, **told):
    """Return a job that ran as soon as it was submitted."""
    one = job(number, **told)
    return Past(job=one, end_s=one.submit_s + one.duration_s)


@st.composite
def pasts(draw, most=12):
    """Draw jobs with their ends, each of them after a wait."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from("qr"),
                st.sampled_from(["", "ann", "bob"]),
                st.integers(0, 400_000),
                st.integers(1, 300_000),
                st.sampled_from([0.5, 1.0, 8.0]),
                st.integers(0, 50_000),
            ),
            min_size=2,
            max_size=most,
        )
    )
    found = []
    for number, (queue, user, submit, duration, gpus, wait) in enumerate(rows):
        one = job(
            number,
            queue=queue,
            user=user,
            submit_s=float(submit),
            duration_s=float(duration),
            num_gpus_ratio=gpus,
        )
        found.append(Past(job=one, end_s=float(submit + wait + duration)))
    return found
