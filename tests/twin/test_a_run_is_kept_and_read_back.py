"""A recording stands alone: what is read is what was written, byte for byte, and says why not."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from tests.report.recordings import RUNS, month
from tests.twin.test_nothing_is_lost_and_nothing_is_booked_twice import runs

from clusterwright import twin
from clusterwright.errors import InvalidInput
from clusterwright.model.event import EventKind
from clusterwright.twin import hourly, spans
from clusterwright.twin.log import EventLog


@pytest.mark.parametrize("name", RUNS)
def test_what_is_read_is_what_was_written(name):
    written = twin.recording_bytes(twin.record(RUNS[name]()))
    found = twin.read_recording(written)
    assert twin.recording_bytes(found) == written
    assert found.log.digest() == RUNS[name]().log.digest()


@settings(max_examples=40, deadline=None)
@given(runs())
def test_a_log_goes_through_its_columns_byte_for_byte(case):
    cluster, jobs, setting = case
    log = twin.run(cluster, jobs, setting).log
    again = EventLog.from_columns(log.columns())
    assert again.to_bytes() == log.to_bytes()
    assert list(again.events()) == list(log.events())


@settings(max_examples=40, deadline=None)
@given(runs())
def test_spans_hold_what_the_records_hold(case):
    outcome = twin.run(*case)
    recording = twin.record(outcome)
    held, waits = spans.attempts(recording), spans.waits(recording)
    for index, kept in enumerate(outcome.records):
        mine = held.subject == index
        time_s = float((held.until_s - held.since_s)[mine].sum())
        assert math.isclose(time_s, kept.held_s, rel_tol=1e-9, abs_tol=1e-6)
        queued = waits.subject == index
        if not np.any(waits.end[queued] == spans.STILL):
            waited = float((waits.until_s - waits.since_s)[queued].sum())
            assert math.isclose(waited, kept.waited_s, rel_tol=1e-9, abs_tol=1e-6)
    units = float((recording.job_gpus > 0).sum() and outcome.records.held_quanta_s.sum())
    used = hourly.queue_use(recording, 7, outcome.end_s / 7 or 1.0).sum() * 7000
    assert math.isclose(used, units, rel_tol=1e-6, abs_tol=1.0)


def test_the_file_can_be_read_with_numpy_alone():
    outcome = month()
    with np.load(io.BytesIO(twin.recording_bytes(twin.record(outcome)))) as events:
        starts = events["kind"] == list(events["kind_name"]).index("START")
        first = events["job_id"][events["job"][starts][0]]
        where = events["node_name"][events["nodes"][: events["num_nodes"][starts][0]]]
    start = next(one for one in outcome.log.events() if one.kind is EventKind.START)
    assert first == outcome.jobs[start.job].job_id
    assert len(where) == len(start.nodes)


def spoilt(**changed):
    with np.load(io.BytesIO(twin.recording_bytes(twin.record(month())))) as found:
        columns = {name: found[name] for name in found.files}
    for name, change in changed.items():
        columns[name] = change(columns[name])
    content = io.BytesIO()
    np.savez(content, **{name: one for name, one in columns.items() if one is not None})
    return content.getvalue()


FILES = {
    "text instead": (lambda: b"time_s,kind\n", "no .npz file"),
    "half of a file": (lambda: spoilt()[:900], "no .npz file"),
    "another version": (lambda: spoilt(format=lambda _: np.array("x/9")), "format 'x/9'"),
    "a column less": (lambda: spoilt(job_id=lambda _: None), "no column job_id"),
    "an event column less": (lambda: spoilt(kind=lambda _: None), "no column 'kind'"),
    "a short column": (lambda: spoilt(node=lambda one: one[:-1]), "column 'node' has"),
    "nodes cut off": (lambda: spoilt(quanta=lambda one: one[:-1]), "column 'quanta' has"),
    "a job that is not there": (lambda: spoilt(job=lambda one: one + 1000), "column 'job' names"),
    "names of two lengths": (lambda: spoilt(job_user=lambda one: one[1:]), "job_… are not"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none_is_refused_with_its_name_and_the_way_out(name):
    content, said = FILES[name]
    with pytest.raises(InvalidInput) as refused:
        twin.read_recording(content(), file="out/events.npz")
    assert said in str(refused.value)
    assert "out/events.npz" in str(refused.value)
    assert "--out DIR" in str(refused.value)


@pytest.mark.parametrize("step_s", [1.0, 7.0, 100.0])
def test_integrals_are_those_of_counting_by_hand(step_s):
    rng = np.random.default_rng(5)
    since = rng.integers(0, 50, 30).astype(float)
    until = since + rng.integers(0, 30, 30)
    weight, group = rng.integers(1, 9, 30), rng.integers(0, 3, 30)
    num = 6
    found = spans.integrals((since, until), weight, group, shape=(3, num), step_s=step_s)
    for one in range(3):
        for step in range(num):
            low, high = step * step_s, (step + 1) * step_s
            inside = np.maximum(0.0, np.minimum(until, high) - np.maximum(since, low))
            assert found[one, step] == pytest.approx((inside * weight)[group == one].sum())
