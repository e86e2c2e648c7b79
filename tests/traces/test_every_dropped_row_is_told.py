"""Traces: what is read, what is dropped and why, what is refused."""

import gzip

import pytest

from clusterwright import traces
from clusterwright.errors import InvalidInput

HEADER = "job_id,submit_s,duration_s,gpus,vc,user\n"


def test_jobs_are_read_from_plain_and_from_gzip():
    text = (HEADER + "a,0,10,8,v1,u\nb,5,20,0.5,v2,\n").encode()
    plain = traces.read_trace(text, file="t.csv")
    assert plain == traces.read_trace(gzip.compress(text), file="t.csv")
    assert [job.queue for job in plain.jobs] == ["v1", "v2"]
    assert plain.jobs[1].quanta * 2 == 7000
    assert plain.dropped == ()


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (",0,10,8,v,u", "job_id"),
        ("a,x,10,8,v,u", "submit_s"),
        ("a,-1,10,8,v,u", "submit_s"),
        ("a,0,nan,8,v,u", "duration_s"),
        ("a,0,10,-8,v,u", "gpus"),
        ("a,0,10,0,v,u", "gpus"),
        ("good,0,10,8,v,u", "job_id"),
    ],
)
def test_a_row_that_cannot_be_used_is_dropped_with_line_and_reason(row, field):
    found = traces.read_trace(f"{HEADER}good,0,1,1,v,u\n{row}\n".encode(), file="t.csv")
    assert len(found.jobs) == 1
    assert found.num_rows == 2
    assert [(fault.line, fault.path) for fault in found.dropped] == [(3, field)]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x1f\x8bbroken", b"\xff\xfe\x00"])
def test_what_is_no_trace_is_refused(content):
    with pytest.raises(InvalidInput):
        traces.read_trace(content, file="t.csv")


def test_queues_and_estimates_are_read_and_their_faults_told():
    cluster = traces.read_queues(b"queue,nodes\na,2\nb,3\n", file="q.csv", gpus_per_node=8)
    assert cluster.num_gpus == 40
    with pytest.raises(InvalidInput, match=r"q\.csv:3"):
        traces.read_queues(b"queue,nodes\na,2\nb,x\n", file="q.csv", gpus_per_node=8)
    jobs = traces.read_trace((HEADER + "a,0,10,8,v,u\n").encode(), file="t.csv").jobs
    guessed = traces.read_estimates(b"job_id,est_duration_s\na,-5\n", jobs, file="e.csv")
    assert guessed[0].estimate_s == -5


def test_a_repair_is_told_only_of_a_row_that_is_used():
    rows = "a,0,10,8,v,u,LS\nb,0,10,0,v,u,LS\n"
    header = HEADER.replace("user", "user,priority")
    found = traces.read_trace((header + rows).encode(), file="t.csv")
    assert found.num_dropped_by_cause == {"NO_SIZE": 1}
    assert found.num_repaired_by_cause == {"BAD_VALUE": 1}
    assert [(fault.line, fault.path) for fault in found.repaired] == [(2, "priority")]
    assert found.jobs[0].priority == 0
