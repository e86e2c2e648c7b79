"""The tidy schema: one row a job, as CSV; and the tables beside it.

A row without a usable identifier, submission, duration or size is dropped, with its line. A column
that a job has a field for is one row of `COLUMNS`.
"""

import csv
import gzip
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job
from clusterwright.traces.trace import Cause, Ledger, Place, Reading, Trace

QUEUES = ("vc", "user")
"""Columns that may be the queue; the first is, unless another is asked for."""

_GZIP = b"\x1f\x8b"


class _Unusable(Exception):
    """A cell without which the row is no job; the arguments are the cause and its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the schema."""

    name: str
    """Its name in the header."""
    meaning: str
    """What stands in it, and what its absence means."""
    field: str = ""
    """Field of a job that it fills; empty where a job has none, and the column is passed over."""
    read: Callable[[str], Any] = str
    """Reader of a cell; it raises ValueError, or _Unusable to drop the row."""
    absent: Any = None
    """Value of an empty cell, and of one that cannot be read and is repaired."""
    is_needed: bool = False
    """True when a file without the column is refused, and its empty cells are read too."""


def _time(text: str) -> float:
    return _at_least_zero(text, Cause.BAD_TIME, "time")


def _accelerators(text: str) -> float:
    return _at_least_zero(text or "0", Cause.BAD_SIZE, "number of accelerators")


def _cores(text: str) -> float:
    return _at_least_zero(text, Cause.BAD_SIZE, "number of cores")


def _at_least_zero(text: str, cause: Cause, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 <= value < math.inf:
        return value
    raise _Unusable(cause, f"{text!r} is no {what}")


def _known_time(text: str) -> float:
    value = number_of(text)
    if value is None:
        msg = f"{text!r} is no time"
        raise ValueError(msg)
    return value


def _known_part(text: str) -> float:
    value = number_of(text)
    if value is None or not 0 <= value <= 1:
        msg = f"{text!r} is no part between 0 and 1"
        raise ValueError(msg)
    return value


def _known_size(text: str) -> float:
    value = number_of(text)
    if value is None or value <= 0:
        msg = f"{text!r} is no number of accelerators"
        raise ValueError(msg)
    return value


COLUMNS = (
    Column(name="job_id", field="job_id", is_needed=True, meaning="its name"),
    Column(
        name="submit_s",
        field="submit_s",
        read=_time,
        is_needed=True,
        meaning="when it was submitted, in seconds from the start of the trace",
    ),
    Column(
        name="duration_s",
        field="duration_s",
        read=_time,
        is_needed=True,
        meaning="how long it ran, in seconds",
    ),
    Column(
        name="gpus",
        field="num_gpus_ratio",
        read=_accelerators,
        is_needed=True,
        meaning="accelerators, below 1 for a share of one; empty or 0 for a job on cores",
    ),
    Column(name="nodes", meaning="nodes that it ran on; not kept yet"),
    Column(name="gpu_type", meaning="model of the accelerators; not kept yet"),
    Column(
        name="cpus", field="num_cpus", read=_cores, absent=0, meaning="cores; parts are rounded up"
    ),
    Column(name="mem_gb", meaning="memory; not kept yet"),
    Column(name="user", field="user", absent="", meaning="who submitted it"),
    Column(name="vc", field="queue", absent="", meaning="the queue; empty for the one of all jobs"),
    Column(
        name="priority",
        field="priority",
        read=lambda text: int(float(text)),
        absent=0,
        meaning="higher goes first; a word is repaired to 0",
    ),
    Column(name="status", meaning="how it ended; not kept"),
    Column(
        name="estimate_s",
        field="estimate_s",
        read=_known_time,
        meaning="duration as guessed beforehand, such as a time limit",
    ),
    Column(
        name="min_gpus",
        field="min_gpus_ratio",
        read=_known_size,
        meaning="fewest accelerators that it can run on; empty when it takes all or none",
    ),
    Column(
        name="deadline_s",
        field="deadline_s",
        read=_known_time,
        meaning="when it should be through, in seconds from the start of the trace; empty for none",
    ),
    Column(
        name="memory_bound",
        field="memory_bound_fraction",
        read=_known_part,
        meaning="part of its time, from 0 to 1, that waits for the memory of its accelerators",
    ),
)
"""Every column, in the order in which they are written."""

NEEDED = tuple(column.name for column in COLUMNS if column.is_needed)
"""Columns without which a file is no trace."""


def read(text: str, file: str, how: Reading) -> Trace:
    """Return the jobs of a trace.

    Raises
    ------
    InvalidInput
        If it is no CSV, or a needed column is missing.
    """
    ledger = Ledger(file)
    rows = _lines(text, file)
    _, names = next(rows, (1, []))
    _check_columns(names, [*NEEDED, *filter(None, [how.queue_from])], file)
    queue = how.queue_from or QUEUES[0]
    plan = tuple(
        (names.index(source), column)
        for column in COLUMNS
        for source in (queue if column.field == "queue" else column.name,)
        if column.field and source in names
    )
    width = max(n for n, _ in plan) + 1
    quick = [(n, one.field, one.read, one.absent, one.is_needed) for n, one in plan]
    seen: set[str] = set()
    jobs: list[Job] = []
    for line, row in rows:
        cells = row if len(row) >= width else [*row, *[""] * (width - len(row))]
        try:
            # All cells at once: most rows have no fault, and finding which cell has one is slow.
            try:
                values = {
                    field: read_cell(cells[n]) if cells[n] or needed else absent
                    for n, field, read_cell, absent, needed in quick
                }
            except (_Unusable, ValueError, OverflowError):
                values = _mended(cells, plan, line, ledger)
            _check(values, seen, line, ledger)
        except _Unusable as reason:
            cause, message, name = reason.args
            ledger.drop(cause, message, Place(line, name))
            continue
        values["queue"] = values.get("queue") or how.queue
        jobs.append(Job(**values))
    return ledger.close(jobs)


def _mended(
    cells: list[str], plan: Iterable[tuple[int, Column]], line: int, ledger: Ledger
) -> dict[str, Any]:
    """Return the fields of a row with a fault, mended where it can be; Any, as they differ."""
    values = {}
    for n, column in plan:
        text = cells[n]
        try:
            value = column.read(text) if text or column.is_needed else column.absent
        except _Unusable as reason:
            raise _Unusable(*reason.args, column.name) from reason
        except (ValueError, OverflowError):
            value = column.absent
            message = f"{text!r} cannot be read; {value!r} is taken"
            ledger.repair(Cause.BAD_VALUE, message, Place(line, column.name))
        values[column.field] = value
    return values


def _check(values: dict[str, Any], seen: set[str], line: int, ledger: Ledger) -> None:
    """Refuse a row that is no job, and make its cores whole."""
    job_id, cores = values["job_id"], values.get("num_cpus", 0)
    if not job_id:
        raise _Unusable(Cause.NO_ID, "is empty", "job_id")
    if job_id in seen:
        raise _Unusable(Cause.TWICE, f"{job_id} stands twice", "job_id")
    if not values["num_gpus_ratio"] and not cores:
        raise _Unusable(Cause.NO_SIZE, "asks for neither accelerators nor cores", "gpus")
    seen.add(job_id)
    if isinstance(cores, float):
        values["num_cpus"] = math.ceil(cores)
        if cores != values["num_cpus"]:
            message = f"{cores:g} cores; {values['num_cpus']} are taken"
            ledger.repair(Cause.CORES_ROUNDED, message, Place(line, "cpus"))


def write(jobs: Iterable[Job]) -> str:
    """Return jobs as a trace in the tidy schema; what a job has no field for stays empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(column.name for column in COLUMNS)
    fields = [column.field for column in COLUMNS]
    for job in jobs:
        writer.writerow([_cell(getattr(job, field)) if field else "" for field in fields])
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Return a value as a cell; Any, because fields differ in type."""
    if isinstance(value, float):
        return int(value) if value == int(value) else repr(value)
    return "" if value is None else value


def read_queues(content: bytes, *, file: str, gpus_per_node: int) -> Cluster:
    """Return the nodes of a queues table: `queue,nodes`.

    Raises
    ------
    InvalidInput
        With every row that is not a queue and a number of nodes.
    """
    groups, faults = [], []
    for line, row in rows_of(content, file, ("queue", "nodes")):
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
    for line, row in rows_of(content, file, ("gpus",)):
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
    for line, row in rows_of(content, file, ("job_id", "est_duration_s")):
        value = number_of(row["est_duration_s"])
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


def rows_of(
    content: bytes, file: str, needed: tuple[str, ...]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows of a CSV table, plain or gzip, each with the number of its line.

    Raises
    ------
    InvalidInput
        If it is no CSV, or a needed column is missing.
    """
    try:
        raw = gzip.decompress(content) if content[:2] == _GZIP else content
        text = raw.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        fault = Fault(file=file, message=f"is neither CSV text nor gzip of it ({error})")
        raise InvalidInput([fault]) from error
    lines = _lines(text, file)
    _, names = next(lines, (1, []))
    _check_columns(names, needed, file)
    for line, row in lines:
        yield line, dict(zip(names, [*row, *[""] * (len(names) - len(row))], strict=False))


def _lines(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV text with the lines that they end on, empty ones left out."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        fault = Fault(file=file, line=reader.line_num, message=f"is no CSV ({error})")
        raise InvalidInput([fault]) from error


def _check_columns(names: Iterable[str], needed: Iterable[str], file: str) -> None:
    missing = [name for name in needed if name not in set(names)]
    if missing:
        message = f"has no column {', '.join(missing)}"
        remedy = f"the first line names the columns; needed: {', '.join(needed)}"
        raise InvalidInput([Fault(file=file, line=1, message=message, remedy=remedy)])


def number_of(text: str) -> float | None:
    """Return the finite number that a cell holds; None when it holds none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
