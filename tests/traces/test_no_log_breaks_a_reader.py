"""Whatever a log holds, a reader returns what it can use and tells the rest, or refuses it."""

import copy
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.traces.kube import (
    batch_job,
    event,
    job_set,
    listed,
    pod,
    pod_group,
    volcano_job,
    workload,
)

from clusterwright import traces
from clusterwright.errors import InvalidInput

SAMPLES = Path(__file__).parent / "samples"
OWNER = ("Job", "batch/v1", "a")
OBJECTS = [
    batch_job("a", 0, 1, 70, gpus=8),
    pod("a-0", 1, 10, 68, gpus=8, owner=OWNER),
    workload("w", 1, 5, 65, owner=OWNER, evicted=1),
    volcano_job("v", 0, 5, 65, retry=1),
    pod_group("g", 0, minimum={"cpu": "1"}),
    job_set("s", 0, 5, 65, restarts=1),
    event("Pod", "v1", "x", "Started"),
]
RECORDS = json.loads((SAMPLES / "sacct-22.05.json").read_bytes())["jobs"][:4]
JUNK = st.sampled_from([None, "", "x", -1, 1.5, True, [], {}, [None], {"a": 1}, "9" * 400, 1e308])


def broken(draw, whole):
    """Return a copy with a few values, anywhere in it, replaced by ones that do not belong."""
    whole = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        place, at = None, whole
        while isinstance(at, dict | list) and at and (place is None or draw(st.integers(0, 4))):
            key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            place, at = (at, key), at[key]
        if place is not None:
            place[0][place[1]] = copy.deepcopy(draw(JUNK))
    return whole


def accounted(found):
    for job in found.jobs:
        numbers = (job.submit_s, job.duration_s, job.num_gpus_ratio, job.num_cpus)
        assert all(0 <= number < math.inf for number in numbers), job
        assert job.num_gpus_ratio or job.num_cpus, job
    return found.num_rows == len(found.jobs) + len(found.dropped) + sum(found.num_not_jobs.values())


@given(st.data())
def test_objects_of_any_form_are_jobs_or_told(data):
    objects = broken(data.draw, OBJECTS)
    found = traces.read_trace(listed(*objects), file="k", form="kubernetes")
    assert accounted(found)
    assert found.num_rows >= len(OBJECTS)


@given(st.data())
def test_records_of_any_form_are_jobs_or_told(data):
    records = broken(data.draw, RECORDS)
    found = traces.read_trace(json.dumps({"jobs": records}).encode(), file="s", form="sacct-json")
    assert accounted(found)


@pytest.mark.parametrize("form", traces.FORMATS)
@given(st.text(alphabet='|,; \n\x00{}[]":-+0123456789.eJobIDsubmit_', max_size=80))
def test_text_of_any_form_is_read_or_refused(form, text):
    head = {"sacct": "JobID|JobName|Submit|Start|End|Elapsed|AllocTRES\n", "tidy": ""}.get(form, "")
    try:
        found = traces.read_trace((head + text).encode(), file="f", form=form)
    except InvalidInput:
        return
    assert accounted(found)
