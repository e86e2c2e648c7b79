"""The records of Slurm's accounting, one by one, as text or as JSON; and what is read from them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model import slurm
from clusterwright.traces import slurm_words as words
from clusterwright.traces.shares import mig_shares
from clusterwright.traces.trace import Cause, Ledger, Place, Reading
from clusterwright.units import SECONDS_PER_MINUTE, Seconds

QUEUES = ("partition", "account", "qos")
"""What of a record may be the queue; the first is, unless another is asked for."""

COLUMNS: Mapping[str, str] = {
    "JobID": "its name; `12_3` is a task of an array, `12+1` a component of job 12, `12.0` a step",
    "Submit": "submission; the earliest of the file is 0 of the trace",
    "Start, End": "whether it ran, and when its wait would be negative",
    "ElapsedRaw or Elapsed": "duration, suspensions not counted; without them End less Start",
    "State": "PENDING, RUNNING and their like are dropped; REQUEUED, PREEMPTED, NODE_FAIL, "
    "RESIZING and BOOT_FAIL are an earlier run of the record that follows",
    "AllocTRES": "accelerators from gres/gpu (MIG profiles as shares), cores from cpu",
    "ReqTRES": "the same, where AllocTRES is empty (repaired)",
    "AllocCPUS or NCPUS": "cores, where there is no AllocTRES",
    "Timelimit": "estimate of the duration; UNLIMITED and Partition_Limit are none",
    "Partition (or Account, QOS)": "queue; of several the first",
    "User": "user",
}
"""Columns of the text that are read."""

JSON_FIELDS: Mapping[str, str] = {
    "job_id, array.{job_id, task_id}, het.job_id": "its name, and the job that it is part of",
    "time.{submission, start, end, elapsed}": "as Submit, Start, End and ElapsedRaw",
    "time.limit": "estimate of the duration, minutes",
    "state.current": "as State; a word or a list",
    "tres.allocated, tres.requested": "as AllocTRES and ReqTRES",
    "partition (or account, qos)": "queue",
    "association.user": "user",
    "steps": "counted only",
}
"""Fields of the JSON that are read."""

_FREE_TEXT = frozenset(
    {"jobname", "comment", "admincomment", "systemcomment", "submitline", "workdir", "constraints"}
)


class _Unreadable(Exception):
    """A record has a value that cannot be read; the arguments are the cause and its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SacctRecord:
    """One record of a job or of a component of it, however it was printed."""

    job_id: str
    """Its number as people write it: `12`, `12_3` for a task of an array."""
    het_id: str = ""
    """Number of the heterogeneous job that it is a component of; empty for none."""
    at: Place
    """Where it stands."""
    state: str
    """State, without who caused it; empty when it is not in the output."""
    submit_s: Seconds
    """Submission, as seconds of the Unix epoch."""
    start_s: Seconds | None
    """Start; absent before it."""
    end_s: Seconds | None
    """End; absent before it."""
    elapsed_s: Seconds | None
    """Time that it ran, suspensions not counted; absent when it is not in the output."""
    limit_s: Seconds | None
    """Time limit; absent for none, or the partition's."""
    granted: words.Tres
    """What it ran on."""
    asked: words.Tres
    """What it asked for."""
    queue: str
    """Partition, account or quality of service."""
    user: str
    """Who submitted it."""


def of_text(text: str, file: str, how: Reading, ledger: Ledger) -> list[SacctRecord]:
    """Return the records of jobs in `sacct --parsable2` with its header.

    Raises
    ------
    InvalidInput
        If the header lacks what a job needs.
    """
    # By newlines alone: names of jobs may hold what else Unicode takes for the end of a line.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    at = next((n for n, line in enumerate(lines) if line.strip()), 0)
    names = [name.lower() for name in lines[at].rstrip("|").split("|")]
    _check_header(names, file, at + 1, how)
    return list(_text_records(lines[at + 1 :], at + 2, names, how, ledger))


def of_json(text: str, file: str, how: Reading, ledger: Ledger) -> list[SacctRecord]:
    """Return the records of jobs in `sacct --json`.

    Raises
    ------
    InvalidInput
        If it is not that.
    """
    try:
        listed = list(json.loads(text)["jobs"])
    except (ValueError, KeyError, TypeError) as error:
        fault = Fault(file=file, message=f"is no output of sacct --json ({error!r})")
        raise InvalidInput([fault]) from error
    records = []
    for n, one in enumerate(listed):
        path = f"jobs[{n}]"
        try:
            record, num_steps = _json_record(one, path, how), len(one.get("steps") or ())
        except _Unreadable as reason:
            ledger.drop(reason.args[0], reason.args[1], Place(path=path))
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            ledger.drop(Cause.MALFORMED, f"is no record of a job ({error!r})", Place(path=path))
        else:
            records.append(record)
            ledger.no_job("job step", num_steps)
    return records


def _check_header(names: Sequence[str], file: str, line: int, how: Reading) -> None:
    has = set(names).__contains__
    missing = [name for name in ("JobID", "Submit") if not has(name.lower())]
    if not (has("elapsedraw") or has("elapsed") or (has("start") and has("end"))):
        missing.append("ElapsedRaw")
    if not any(map(has, ("alloctres", "reqtres", "alloccpus", "ncpus"))):
        missing.append("AllocTRES")
    if how.queue_from and not has(how.queue_from):
        missing.append(how.queue_from)
    if missing:
        fault = Fault(
            file=file,
            line=line,
            message=f"has no column {', '.join(missing)}",
            remedy="print it with `sacct -a -D -P --format=JobID,User,Account,Partition,QOS,Submit,"
            "Start,End,ElapsedRaw,Timelimit,State,AllocCPUS,ReqTRES,AllocTRES`",
        )
        raise InvalidInput([fault])


def _text_records(
    lines: Sequence[str], first: int, names: Sequence[str], how: Reading, ledger: Ledger
) -> Iterator[SacctRecord]:
    zone = ZoneInfo(how.timezone)
    free = [n for n, name in enumerate(names) if name in _FREE_TEXT]
    for line, text in enumerate(lines, first):
        if not text.strip():
            continue
        cells = text.split("|")
        if len(cells) == len(names) + 1 and not cells[-1]:
            cells.pop()  # --parsable ends every row with the delimiter
        extra = len(cells) - len(names)
        mended = extra > 0 and len(free) == 1
        if mended:
            cells[free[0] : free[0] + extra + 1] = ["|".join(cells[free[0] : free[0] + extra + 1])]
        if len(cells) != len(names):
            message = f"has {len(cells)} cells, the header {len(names)}"
            ledger.drop(Cause.MALFORMED, message, Place(line))
            continue
        row = dict(zip(names, cells, strict=True))
        if "." in row["jobid"]:
            ledger.no_job("job step")
            continue
        try:
            record = _text_record(row, line, zone, how, ledger)
        except _Unreadable as reason:
            ledger.drop(reason.args[0], reason.args[1], Place(line, row["jobid"]))
            continue
        if mended:
            message = f"{names[free[0]]} holds the delimiter; its cells were put together"
            ledger.repair(Cause.DELIMITER_IN_TEXT, message, Place(line, row["jobid"]))
        yield record


def _text_record(
    row: Mapping[str, str], line: int, zone: ZoneInfo, how: Reading, ledger: Ledger
) -> SacctRecord:
    job_id = row["jobid"].strip()
    if not job_id:
        raise _Unreadable(Cause.NO_ID, "JobID is empty")
    times = {name: _moment(row.get(name, ""), name, zone) for name in ("submit", "start", "end")}
    if times["submit"] is None:
        raise _Unreadable(Cause.BAD_TIME, f"Submit {row['submit']!r} is no time")
    try:
        limit = slurm.limit_s(row.get("timelimit", ""))
    except ValueError:
        limit = None
        message = f"Timelimit {row['timelimit']!r} is no time limit"
        ledger.repair(Cause.UNKNOWN_ESTIMATE, message, Place(line, job_id))
    raw = row.get("elapsedraw", "")
    cpus = row.get("alloccpus") or row.get("ncpus") or ""
    base, _, component = job_id.partition("+")
    return SacctRecord(
        job_id=job_id,
        het_id=base if component else "",
        at=Place(line, job_id),
        state=words.state(row.get("state", "")),
        submit_s=times["submit"],
        start_s=times["start"],
        end_s=times["end"],
        elapsed_s=float(raw) if raw.isdecimal() else slurm.duration_s(row.get("elapsed", "")),
        limit_s=limit,
        granted=_tres(row.get("alloctres", ""), cpus),
        asked=_tres(row.get("reqtres", ""), row.get("reqcpus", "")),
        queue=row.get(how.queue_from or QUEUES[0], "").partition(",")[0],
        user=row.get("user", ""),
    )


def _json_record(one: Mapping[str, Any], path: str, how: Reading) -> SacctRecord:
    """Return a record of the JSON output; Any, because a foreign program wrote it."""
    times = one.get("time") or {}
    submit, start, end = (slurm.number(times.get(key)) for key in ("submission", "start", "end"))
    array, het = one.get("array") or {}, one.get("het") or {}
    task, het_id = slurm.number(array.get("task_id")), slurm.number(het.get("job_id"))
    of_array, own = slurm.number(array.get("job_id")), one.get("job_id")
    if not own:
        raise _Unreadable(Cause.NO_ID, "job_id is absent")
    if not submit:
        raise _Unreadable(Cause.BAD_TIME, f"job {own}: time.submission is absent")
    state = (one.get("state") or {}).get("current", "")
    limit = slurm.number(times.get("limit"))
    listed = one.get("tres") or {}
    named = {
        "partition": one.get("partition"),
        "account": one.get("account") or (one.get("association") or {}).get("account"),
        "qos": one.get("qos"),
    }
    return SacctRecord(
        job_id=f"{of_array:.0f}_{task:.0f}" if of_array and task is not None else str(own),
        het_id=f"{het_id:.0f}" if het_id else "",
        at=Place(path=path),
        state=words.state(state[0] if isinstance(state, list) and state else str(state or "")),
        submit_s=submit,
        start_s=start or None,
        end_s=end or None,
        elapsed_s=slurm.number(times.get("elapsed")),
        limit_s=limit * SECONDS_PER_MINUTE if limit else None,
        granted=words.tres(words.counts_of(listed.get("allocated") or ()), mig_shares()),
        asked=words.tres(words.counts_of(listed.get("requested") or ()), mig_shares()),
        queue=str(named[how.queue_from or QUEUES[0]] or "").partition(",")[0],
        user=str((one.get("association") or {}).get("user") or one.get("user") or ""),
    )


def _moment(text: str, name: str, zone: ZoneInfo) -> float | None:
    try:
        return words.unix_s(text, zone)
    except (ValueError, OverflowError) as error:
        raise _Unreadable(Cause.BAD_TIME, f"{name.title()} {text!r} is no time") from error


@cache
def _tres(listed: str, cpus: str) -> words.Tres:
    try:
        counts = words.pairs(listed)
    except ValueError as error:
        raise _Unreadable(Cause.BAD_SIZE, str(error)) from error
    if "cpu" not in counts and cpus.isdecimal():
        counts["cpu"] = float(cpus)
    return words.tres(counts, mig_shares() if "g." in listed else {})
