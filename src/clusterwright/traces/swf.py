"""The Standard Workload Format of the Parallel Workloads Archive, version 2.2, as jobs.

Source: Feitelson, "The Standard Workload Format",
https://www.cs.huji.ac.il/labs/parallel/workload/swf.html: lines of 18 numbers, -1 for unknown,
comments after a semicolon of which some are `name: value`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from clusterwright.model.job import Job
from clusterwright.traces.trace import Cause, Ledger, Place, Reading, Trace
from clusterwright.units import Seconds

QUEUES = ("queue", "partition", "group")
"""What of a line may be the queue; the first is, unless another is asked for."""

FIELDS: Mapping[str, str] = {
    "1 job number": "its name",
    "2 submit time": "submission, as it stands",
    "3 wait time": "only a negative one, which moves the submission to the start (repaired)",
    "4 run time": "duration; -1 is dropped",
    "5 allocated processors": "cores, or accelerators with `--processors accelerators`",
    "8 requested processors": "the same, where field 5 is unknown (repaired)",
    "9 requested time": "estimate of the duration",
    "11 status": "2, 3 and 4 are parts of a job that has a line of its own; 5 without a run time "
    "is dropped",
    "12 user": "user",
    "15 queue (or 16 partition, 13 group)": "queue, by the name that the header gives it",
    "UnixStartTime (header)": "the moment that is 0",
}
"""Fields that are read."""

_NUM_FIELDS = 18
_QUEUE_FIELDS = {"queue": 14, "partition": 15, "group": 12}
_PARTIAL = frozenset({2, 3, 4})  # status of a part of a job whose whole has a line of its own
_CANCELLED = 5
_HEADER = re.compile(r";\s*(\w+):\s*(.*?)\s*$")
_NAMED = re.compile(r"(\d+)\s+(\S+)")


@dataclass(slots=True, kw_only=True)
class _Header:
    """What the comments say."""

    start_unix_s: Seconds | None
    names: dict[str, dict[int, str]]
    """Names of queues and partitions by number."""


def read(text: str, file: str, how: Reading) -> Trace:
    """Return the jobs of a workload."""
    ledger = Ledger(file)
    header = _Header(start_unix_s=None, names={"queue": {}, "partition": {}, "group": {}})
    jobs: list[Job] = []
    seen: set[str] = set()
    for line, row in enumerate(text.splitlines(), 1):
        if row.lstrip().startswith(";"):
            _note(row.strip(), header)
        elif row.strip():
            job = _job(row.split(), Place(line), header, how, ledger, seen)
            if job is not None:
                seen.add(job.job_id)
                jobs.append(job)
    return ledger.close(jobs, start_unix_s=header.start_unix_s)


def _note(comment: str, header: _Header) -> None:
    found = _HEADER.match(comment)
    if not found:
        return
    name, value = found[1].lower(), found[2]
    if name == "unixstarttime" and value.isdecimal():
        header.start_unix_s = float(value)
    named = _NAMED.match(value)
    if name in header.names and named:
        header.names[name][int(named[1])] = named[2]


def _job(
    cells: list[str], at: Place, header: _Header, how: Reading, ledger: Ledger, seen: set[str]
) -> Job | None:
    """Return the job of a line; None, and told, when it is none."""
    if len(cells) != _NUM_FIELDS:
        ledger.drop(Cause.MALFORMED, f"has {len(cells)} fields of {_NUM_FIELDS}", at)
        return None
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError as error:
        ledger.drop(Cause.MALFORMED, f"has a field that is no number ({error})", at)
        return None
    if not all(map(math.isfinite, numbers)):
        ledger.drop(Cause.MALFORMED, "has a field that is not finite", at)
        return None
    job_id, at = cells[0], Place(at.line, cells[0])
    submit, wait, ran, granted, asked = (numbers[n] for n in (1, 2, 3, 4, 7))
    status = numbers[10]
    if status in _PARTIAL:
        ledger.no_job("part of a job that was stopped and went on")
        return None
    if job_id in seen:
        ledger.drop(Cause.TWICE, f"{job_id} stands twice", at)
        return None
    if submit < 0:
        ledger.drop(Cause.BAD_TIME, f"its submission, field 2, is {cells[1]}", at)
        return None
    if status == _CANCELLED and ran <= 0:
        ledger.drop(Cause.NEVER_STARTED, "was cancelled before it started", at)
        return None
    if ran < 0:
        ledger.drop(Cause.UNKNOWN_DURATION, f"its run time, field 4, is {cells[3]}", at)
        return None
    if granted <= 0 < asked:
        message = f"its allocated processors are {cells[4]}; the {cells[7]} requested are taken"
        ledger.repair(Cause.SIZE_AS_REQUESTED, message, at)
    size = granted if granted > 0 else asked
    if size < 1 or size != int(size):
        ledger.drop(Cause.NO_SIZE, "its processors, fields 5 and 8, are no whole number", at)
        return None
    if wait < 0 and wait != -1:
        message = f"waits {wait:g} s; its start is taken for its submission"
        ledger.repair(Cause.NEGATIVE_WAIT, message, at)
        submit = max(0.0, submit + wait)
    cores = how.processors == "cores"
    return Job(
        job_id=job_id,
        queue=_queue(numbers, header, how),
        user=cells[11] if numbers[11] >= 0 else "",
        submit_s=submit,
        duration_s=ran,
        num_gpus_ratio=0.0 if cores else size,
        num_cpus=int(size) if cores else 0,
        estimate_s=numbers[8] if numbers[8] > 0 else None,
    )


def _queue(numbers: list[float], header: _Header, how: Reading) -> str:
    source = how.queue_from or QUEUES[0]
    number = int(numbers[_QUEUE_FIELDS[source]])
    if number < 0:
        return how.queue
    return header.names[source].get(number, str(number))
