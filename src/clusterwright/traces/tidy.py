"""The tidy trace schema: one row a job, gzip or plain CSV; and the tables beside it.

Needed columns: job_id, submit_s, duration_s, gpus. Used where they are there: vc (the queue), user,
priority, cpus. A row without a usable submission, duration or size is dropped, with its line.
"""

import csv
import gzip
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job

_NEEDED = ("job_id", "submit_s", "duration_s", "gpus")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The jobs of a trace, and what became of its other rows."""

    jobs: tuple[Job, ...]
    """Jobs in the order of the file."""
    dropped: tuple[Fault, ...]
    """Rows that could not be used, each with its line and its reason."""
    num_rows: int
    """Rows of the file."""


def read_trace(content: bytes, *, file: str, queue: str = "all") -> Trace:
    """Return the jobs of a trace.

    Parameters
    ----------
    content
        The file's bytes.
    file
        Its name for messages.
    queue
        Queue of jobs whose row names none.

    Raises
    ------
    InvalidInput
        If it is no CSV, or a needed column is missing.
    """
    jobs: list[Job] = []
    dropped: list[Fault] = []
    seen: set[str] = set()
    for line, row in _rows(content, file, _NEEDED):
        reason = _unusable(row, seen)
        if reason:
            path, message = reason
            dropped.append(Fault(file=file, line=line, path=path, message=message))
            continue
        seen.add(row["job_id"])
        jobs.append(_job(row, queue))
    return Trace(jobs=tuple(jobs), dropped=tuple(dropped), num_rows=len(jobs) + len(dropped))


def read_queues(content: bytes, *, file: str, gpus_per_node: int) -> Cluster:
    """Return the nodes of a queues table: `queue,nodes`.

    Raises
    ------
    InvalidInput
        With every row that is not a queue and a number of nodes.
    """
    groups, faults = [], []
    for line, row in _rows(content, file, ("queue", "nodes")):
        count = row["nodes"].strip()
        if row["queue"] and count in ("", "0"):
            continue  # a queue above others, or one that owns no nodes
        if not row["queue"] or not count.isdecimal() or int(count) < 1:
            message = f"{row['queue']!r} with {count!r} nodes"
            remedy = "write a name and a whole number above zero"
            faults.append(Fault(file=file, line=line, message=message, remedy=remedy))
            continue
        groups.append(
            NodeGroup(queue=row["queue"], num_nodes=int(count), gpus_per_node=gpus_per_node)
        )
    if faults:
        raise InvalidInput(faults)
    return Cluster(groups=tuple(groups))


def read_nodes(content: bytes, *, file: str, queue: str = "all") -> Cluster:
    """Return the nodes of a nodes table with the columns gpus, and gpu_model where it is known.

    Raises
    ------
    InvalidInput
        With every row without a number of accelerators.
    """
    groups: dict[tuple[int, str], int] = {}
    faults = []
    for line, row in _rows(content, file, ("gpus",)):
        text = (row.get("gpus") or "").strip()
        if not text.replace(".0", "").isdecimal():
            faults.append(
                Fault(file=file, line=line, path="gpus", message=f"{text!r} is no number")
            )
            continue
        key = (int(float(text)), row.get("gpu_model") or row.get("gpu_type") or "")
        groups[key] = groups.get(key, 0) + 1
    if faults:
        raise InvalidInput(faults)
    return Cluster(
        groups=tuple(
            NodeGroup(queue=queue, num_nodes=count, gpus_per_node=gpus, gpu_model=model)
            for (gpus, model), count in groups.items()
            if gpus
        )
    )


def read_estimates(content: bytes, jobs: tuple[Job, ...], *, file: str) -> tuple[Job, ...]:
    """Return jobs with the durations guessed for them: `job_id,est_duration_s`.

    Raises
    ------
    InvalidInput
        With every estimate that is no number.
    """
    guessed: dict[str, float] = {}
    faults = []
    for line, row in _rows(content, file, ("job_id", "est_duration_s")):
        value = _number(row["est_duration_s"])
        if value is None:
            message = f"{row['est_duration_s']!r} is no number"
            faults.append(Fault(file=file, line=line, path="est_duration_s", message=message))
        else:
            guessed[row["job_id"]] = value
    if faults:
        raise InvalidInput(faults)
    return tuple(
        replace(job, estimate_s=guessed[job.job_id]) if job.job_id in guessed else job
        for job in jobs
    )


def _rows(
    content: bytes, file: str, needed: tuple[str, ...]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        raw = gzip.decompress(content) if content[:2] == _GZIP else content
        text = raw.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        fault = Fault(file=file, message=f"is neither CSV text nor gzip of it ({error})")
        raise InvalidInput([fault]) from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        message = f"has no column {', '.join(missing)}"
        remedy = f"the first line names the columns; needed: {', '.join(needed)}"
        raise InvalidInput([Fault(file=file, line=1, message=message, remedy=remedy)])
    for row in reader:
        yield reader.line_num, {key: value or "" for key, value in row.items() if key}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _unusable(row: Mapping[str, str], seen: set[str]) -> tuple[str, str] | None:
    if not row["job_id"]:
        return "job_id", "is empty"
    if row["job_id"] in seen:
        return "job_id", f"{row['job_id']} stands twice"
    for name in ("submit_s", "duration_s"):
        value = _number(row[name])
        if value is None or value < 0:
            return name, f"{row[name]!r} is no time"
    gpus, cpus = _number(row["gpus"] or "0"), _number(row.get("cpus") or "0")
    if gpus is None or gpus < 0:
        return "gpus", f"{row['gpus']!r} is no number of accelerators"
    if not gpus and not cpus:
        return "gpus", "asks for neither accelerators nor cores"
    return None


def _job(row: Mapping[str, str], queue: str) -> Job:
    priority = _number(row.get("priority") or "0")
    return Job(
        job_id=row["job_id"],
        queue=row.get("vc") or queue,
        user=row.get("user") or "",
        submit_s=float(row["submit_s"]),
        duration_s=float(row["duration_s"]),
        num_gpus_ratio=float(row["gpus"] or 0),
        num_cpus=int(float(row.get("cpus") or 0)),
        priority=int(priority or 0),
    )
