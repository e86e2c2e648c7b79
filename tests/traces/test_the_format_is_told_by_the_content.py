"""Which format a file has: told by what is in it, or named; and one result for all of them."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.traces.kube import lines, listed, pod

from clusterwright import traces
from clusterwright.cli.main import run
from clusterwright.errors import InvalidInput, UnknownName

SAMPLES = Path(__file__).parent / "samples"
TIDY = b"job_id,submit_s,duration_s,gpus,vc,user,priority,cpus,estimate_s\na,0,10,8,q,u,,,60\n"
POD = pod("a", 0, 5, 65, gpus=8)

CONTENTS = {
    "our CSV": (TIDY, "tidy"),
    "our CSV, quoted and with a byte order mark": (
        b"\xef\xbb\xbf" + b'"job_id","submit_s","duration_s","gpus"\n"a",0,1,1\n',
        "tidy",
    ),
    "sacct": ((SAMPLES / "sacct-22.05.txt").read_bytes(), "sacct"),
    "sacct --json": ((SAMPLES / "sacct-22.05.json").read_bytes(), "sacct-json"),
    "a workload with its header": ((SAMPLES / "small.swf").read_bytes(), "swf"),
    "a workload without": (b"1 0 1 10 4 -1 -1 4 -1 -1 1 1 1 -1 1 1 -1 -1\n", "swf"),
    "a list of objects": (listed(POD), "kubernetes"),
    "a list of objects, indented": (
        json.dumps(json.loads(listed(POD)), indent=4).encode(),
        "kubernetes",
    ),
    "an object on each line": (lines(POD, POD), "kubernetes"),
    "watch events": (lines({"type": "ADDED", "object": POD}), "kubernetes"),
}


@pytest.mark.parametrize("case", CONTENTS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_format_is_told_by_its_content(case, packed):
    content, name = CONTENTS[case]
    found = traces.read_trace(gzip.compress(content) if packed else content, file="f")
    assert found.form == name
    assert found.jobs
    assert found.num_rows == len(found.jobs) + len(found.dropped) + sum(found.num_not_jobs.values())


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"a,b\n1,2\n", b"{}", b"JobID  State\n1  x\n"]
)
def test_what_cannot_be_told_is_refused_with_the_formats_there_are(content):
    with pytest.raises(InvalidInput, match=r"--format.*tidy.*sacct.*swf.*kubernetes"):
        traces.read_trace(content, file="f")


def test_a_format_that_is_named_is_taken():
    with pytest.raises(InvalidInput, match="duration_s"):
        traces.read_trace(b"a,b\n1,2\n", file="f", form="tidy")
    with pytest.raises(UnknownName, match="sacct"):
        traces.read_trace(TIDY, file="f", form="sact")


@pytest.mark.parametrize("case", CONTENTS)
def test_what_is_written_is_read_back_as_the_same_jobs(case):
    found = traces.read_trace(CONTENTS[case][0], file="f")
    again = traces.read_trace(traces.write_tidy(found.jobs).encode(), file="t")
    assert again.jobs == found.jobs
    assert again.num_repaired_by_cause == {}


CELLS = st.sampled_from(
    ["", "a", "b", "c", "0", "1", "-1", "0.5", "nan", "inf", "1e999", "x,y", "9.5"]
)


@given(st.lists(st.tuples(*[CELLS] * 7), max_size=12))
def test_every_row_is_a_job_or_told(rows):
    header = "job_id,submit_s,duration_s,gpus,cpus,priority,estimate_s"
    text = "\n".join([header, *(",".join(f'"{cell}"' for cell in row) for row in rows)])
    found = traces.read_trace(text.encode(), file="f")
    assert found.num_rows == len(rows) == len(found.jobs) + len(found.dropped)
    assert sum(found.num_dropped_by_cause.values()) == len(found.dropped)
    assert sum(found.num_repaired_by_cause.values()) == len(found.repaired)
    assert len({job.job_id for job in found.jobs}) == len(found.jobs)
    assert all(job.num_gpus_ratio > 0 or job.num_cpus > 0 for job in found.jobs)


NUMBERS = st.sampled_from(["-1", "0", "1", "2", "3", "4", "5", "7", "100", "0.5", "x", "1e400"])


@given(st.lists(st.lists(NUMBERS, min_size=17, max_size=19), max_size=10))
def test_every_line_of_a_workload_is_a_job_or_told(rows):
    text = "\n".join(["; Version: 2", *(" ".join(row) for row in rows)])
    found = traces.read_trace(text.encode(), file="f", form="swf")
    assert found.num_rows == len(rows)
    assert all(job.submit_s >= 0 and job.duration_s >= 0 for job in found.jobs)


def test_the_twin_takes_every_format(tmp_path, capsys):
    for case, (content, _) in CONTENTS.items():
        (tmp_path / "log").write_bytes(content)
        words = ["--nodes", "8", "--trace", str(tmp_path / "log"), "-o", "json"]
        assert run(["simulate", *words]) == 0, case
        assert json.loads(capsys.readouterr().out)["status"]["num_jobs"] > 0
