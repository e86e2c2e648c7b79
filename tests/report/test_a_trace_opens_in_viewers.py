"""The trace of a run by the rules of the trace event format, as strict as the viewers are."""

import gzip
import json
from collections import Counter, defaultdict

import pytest
from tests.report.recordings import RUNS, month

from clusterwright import report, twin
from clusterwright.report import chrome
from clusterwright.twin import spans

KEYS = {
    "X": {"ph", "name", "cat", "ts", "dur", "pid", "tid", "args"},
    "C": {"ph", "name", "ts", "pid", "tid", "args"},
    "M": {"ph", "name", "ts", "pid", "tid", "args"},
}
NUMBERS = {int, float}
METADATA = {
    "process_name": {"name": str},
    "thread_name": {"name": str},
    "process_sort_index": {"sort_index": int},
    "thread_sort_index": {"sort_index": int},
}


def faults(text):
    """Return every breach of the trace event format, phases X, C and M, in a trace."""
    found = []

    def no_constant(word):
        found.append(f"{word} is not JSON")

    trace = json.loads(text, parse_constant=no_constant)
    if not isinstance(trace, dict) or not isinstance(trace.get("traceEvents"), list):
        return ["no object with traceEvents"]
    if trace.get("displayTimeUnit") not in {"ms", "ns"}:
        found.append("displayTimeUnit is ms or ns")
    rows = trace["traceEvents"]
    broken = [one for row in rows for one in faults_of_row(row)]
    return [*found, *broken] if broken else [*found, *faults_together(rows)]


def faults_of_row(row):
    kind = row.get("ph")
    if kind not in KEYS:
        return [f"phase {kind!r}"]
    if KEYS[kind] - row.keys() or row.keys() - KEYS[kind] - {"cname"}:
        return [f"keys of {row}"]
    numbers = [row[key] for key in ("pid", "tid", "ts", "dur") if key in row]
    given = {key: type(value) for key, value in row["args"].items()}
    wrong = {
        "a number that is none, or below zero": any(
            type(one) is not int or one < 0 for one in numbers
        ),
        "no name": not isinstance(row["name"], str) or not row["name"],
        "metadata of another form": kind == "M" and given != METADATA.get(row["name"]),
        "a counter of nothing": kind == "C" and not given,
        "a counter of words": kind == "C" and bool(set(given.values()) - NUMBERS),
    }
    return [f"{what}: {row}" for what, is_so in wrong.items() if is_so]


def faults_together(rows):
    """Return what each row may say alone, but not beside the others."""
    found = []
    processes = [row["pid"] for row in rows if row["name"] == "process_name"]
    threads = [(row["pid"], row["tid"]) for row in rows if row["name"] == "thread_name"]
    for names in (processes, threads):
        found += [f"named twice: {one}" for one, count in Counter(names).items() if count > 1]
    found += [f"process {one} has no name" for one in {row["pid"] for row in rows} - {*processes}]
    tracks, counters = defaultdict(list), defaultdict(list)
    for row in rows:
        if row["ph"] == "C":
            counters[row["pid"], row["name"]].append(row["ts"])
        elif row["ph"] == "X":
            tracks[row["pid"], row["tid"]].append((row["ts"], row["ts"] + row["dur"]))
    found += [f"track {one} has no name" for one in tracks.keys() - {*threads}]
    found += [f"counter {key} goes back" for key, at in counters.items() if at != sorted(set(at))]
    found += [f"slices of {key} cross" for key, slices in tracks.items() if cross(slices)]
    return found


def cross(slices):
    """Return whether slices of a track neither lie side by side nor one within the other."""
    still = []
    for since, until in sorted(slices, key=lambda one: (one[0], -one[1])):
        while still and still[-1] <= since:
            still.pop()
        if still and still[-1] < until:
            return True
        still.append(until)
    return False


def unpacked(recording):
    return gzip.decompress(report.trace_json(recording)).decode()


@pytest.mark.parametrize("name", RUNS)
def test_a_trace_keeps_every_rule_of_the_format(name):
    assert faults(unpacked(twin.record(RUNS[name]()))) == []


BREACHES = {
    "slices that cross": ('"dur":10,', '"dur":25,'),
    "a time in fractions": ('"ts":20', '"ts":20.5'),
    "a track without a name": ('"thread_name"', '"thread_sort_index"'),
    "a phase of its own": ('"ph":"X"', '"ph":"Z"'),
    "a number that is none": ('"gpus":1', '"gpus":NaN'),
    "a counter of words": ('"gpus":1', '"gpus":"one"'),
}
GOOD = json.dumps(
    {
        "displayTimeUnit": "ms",
        "traceEvents": [
            {"ph": "M", "name": "process_name", "ts": 0, "pid": 1, "tid": 0, "args": {"name": "p"}},
            {"ph": "M", "name": "thread_name", "ts": 0, "pid": 1, "tid": 1, "args": {"name": "t"}},
            {"ph": "C", "name": "c", "ts": 0, "pid": 1, "tid": 0, "args": {"gpus": 1}},
            *(
                {
                    "ph": "X",
                    "name": "j",
                    "cat": "q",
                    "ts": ts,
                    "dur": 10,
                    "pid": 1,
                    "tid": 1,
                    "args": {},
                }
                for ts in (0, 20, 30)
            ),
        ],
    },
    separators=(",", ":"),
)


@pytest.mark.parametrize("name", BREACHES)
def test_the_reader_of_the_format_sees(name):
    assert faults(GOOD) == []
    assert faults(GOOD.replace(*BREACHES[name])) != []


def test_every_attempt_and_every_lost_node_is_a_slice_where_it_was():
    recording = twin.record(month())
    rows = json.loads(unpacked(recording))["traceEvents"]
    tracks = {
        (row["pid"], row["tid"]): row["args"]["name"].split(" (")[0]
        for row in rows
        if row["name"] == "thread_name"
    }
    drawn = sorted(
        (row["name"], tracks[row["pid"], row["tid"]], row["ts"], row["ts"] + row["dur"])
        for row in rows
        if row["ph"] == "X"
    )
    held, lost = spans.attempts(recording), spans.losses(recording)
    micro = 1e6
    jobs = [
        (
            str(recording.job_id[held.subject[attempt]]),
            str(recording.node_name[node]),
            round(held.since_s[attempt] * micro),
            round(held.until_s[attempt] * micro),
        )
        for attempt, node in zip(held.attempt, held.node, strict=True)
    ]
    nodes = [
        ("node lost", str(recording.node_name[node]), round(since * micro), round(until * micro))
        for node, since, until in zip(lost.subject, lost.since_s, lost.until_s, strict=True)
    ]
    assert len(nodes) > 0
    assert drawn == sorted(jobs + nodes)


def test_beyond_the_limit_the_shortest_slices_are_left_out_and_counted(monkeypatch):
    monkeypatch.setattr(chrome, "MOST_SLICES", 50)
    whole = json.loads(unpacked(twin.record(month())))
    kept = [row["dur"] for row in whole["traceEvents"] if row["ph"] == "X"]
    monkeypatch.undo()
    everything = json.loads(unpacked(twin.record(month())))
    lasts = sorted(row["dur"] for row in everything["traceEvents"] if row["ph"] == "X")
    assert sorted(kept) == lasts[-50:]
    assert whole["otherData"]["shortest_slices_left_out"] == len(lasts) - 50
    assert faults(json.dumps(whole)) == []


def test_the_same_run_gives_the_same_bytes():
    assert report.trace_json(twin.record(month())) == report.trace_json(twin.record(month()))
