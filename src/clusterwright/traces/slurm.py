"""Slurm's accounting, `sacct --parsable2` or `sacct --json`, as jobs.

The records of a job are brought together first: the runs of one that was requeued, and the
components of a heterogeneous one. Steps belong to their job and are only counted.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.job import Job
from clusterwright.traces import slurm_words as words
from clusterwright.traces.shares import mig_shares
from clusterwright.traces.trace import Cause, Ledger, Place, Reading, Trace
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


def read_text(text: str, file: str, how: Reading) -> Trace:
    """Return the jobs of `sacct --parsable2` with its header.

    Raises
    ------
    InvalidInput
        If the header lacks what a job needs.
    """
    ledger = Ledger(file)
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines) if line.strip()), 0)
    names = [name.lower() for name in lines[at].rstrip("|").split("|")] if lines else []
    _check_header(names, file, at + 1, how)
    records = list(_text_records(lines[at + 1 :], at + 2, names, how, ledger))
    return _jobs(records, how, ledger)


def read_json(text: str, file: str, how: Reading) -> Trace:
    """Return the jobs of `sacct --json`.

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
    ledger = Ledger(file)
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
    return _jobs(records, how, ledger)


# --- reading one record ---------------------------------------------------------------------------


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
        limit = words.limit_s(row.get("timelimit", ""))
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
        elapsed_s=float(raw) if raw.isdecimal() else words.duration_s(row.get("elapsed", "")),
        limit_s=limit,
        granted=_tres(row.get("alloctres", ""), cpus),
        asked=_tres(row.get("reqtres", ""), row.get("reqcpus", "")),
        queue=row.get(how.queue_from or QUEUES[0], "").partition(",")[0],
        user=row.get("user", ""),
    )


def _json_record(one: Mapping[str, Any], path: str, how: Reading) -> SacctRecord:
    """Return a record of the JSON output; Any, because a foreign program wrote it."""
    times = one.get("time") or {}
    submit, start, end = (words.number(times.get(key)) for key in ("submission", "start", "end"))
    array, het = one.get("array") or {}, one.get("het") or {}
    task, het_id = words.number(array.get("task_id")), words.number(het.get("job_id"))
    of_array, own = words.number(array.get("job_id")), one.get("job_id")
    if not own:
        raise _Unreadable(Cause.NO_ID, "job_id is absent")
    if not submit:
        raise _Unreadable(Cause.BAD_TIME, f"job {own}: time.submission is absent")
    state = (one.get("state") or {}).get("current", "")
    limit = words.number(times.get("limit"))
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
        elapsed_s=words.number(times.get("elapsed")),
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


# --- records become jobs --------------------------------------------------------------------------


def _jobs(records: Sequence[SacctRecord], how: Reading, ledger: Ledger) -> Trace:
    usable = [record for record in _runs(records, ledger) if _ran(record, ledger)]
    whole = sorted(_whole(usable, ledger), key=lambda record: record.submit_s)
    start = min((record.submit_s for record in whole), default=0.0)
    jobs = [
        Job(
            job_id=record.job_id,
            queue=record.queue or how.queue,
            user=record.user,
            submit_s=record.submit_s - start,
            duration_s=record.elapsed_s or 0.0,
            num_gpus_ratio=record.granted.num_gpus_ratio,
            num_cpus=record.granted.num_cpus,
            estimate_s=record.limit_s,
        )
        for record in whole
    ]
    return ledger.close(jobs, start_unix_s=start if jobs else None)


def _runs(records: Sequence[SacctRecord], ledger: Ledger) -> Iterator[SacctRecord]:
    """Yield one record a job: the last run of one that ran again, submitted when its first was."""
    by_id: dict[str, list[SacctRecord]] = {}
    for record in records:
        by_id.setdefault(record.job_id, []).append(record)
    for same in by_id.values():
        same.sort(key=lambda record: record.submit_s)
        first, runs, used = same[0].submit_s, 1, 0
        for record, after in zip(same, [*same[1:], None], strict=True):
            if after is not None and record.state in words.RUNS_AGAIN:
                ledger.no_job("earlier run")
                runs += 1
                continue
            kept = replace(record, submit_s=first)
            if runs > 1:
                message = f"ran {runs} times; the last run is taken, from its first submission on"
                ledger.repair(Cause.RUN_AGAIN, message, record.at)
            if used:
                kept = replace(kept, job_id=f"{record.job_id}.{used + 1}")
                message = f"the number was used before; called {kept.job_id}"
                ledger.repair(Cause.ID_REUSED, message, record.at)
            used, runs = used + 1, 1
            first = after.submit_s if after is not None else first
            yield kept


def _ran(record: SacctRecord, ledger: Ledger) -> bool:
    """Return whether a record is of a finished run; if not, note why."""
    if record.state in words.WAITS or (record.start_s is None and not record.elapsed_s):
        message = f"never started; its state is {record.state or 'not told'}"
        ledger.drop(Cause.NEVER_STARTED, message, record.at)
        return False
    if record.state in words.RUNS or (record.end_s is None and record.elapsed_s is None):
        message = f"has not ended; its state is {record.state or 'not told'}"
        ledger.drop(Cause.STILL_RUNNING, message, record.at)
        return False
    return True


def _whole(records: Sequence[SacctRecord], ledger: Ledger) -> Iterator[SacctRecord]:
    """Yield jobs with their time and size: components brought together, faults mended or told."""
    parts: dict[str, list[SacctRecord]] = {}
    for record in records:
        if record.het_id:
            parts.setdefault(record.het_id, []).append(record)
    for record in records:
        same = parts.pop(record.het_id, None) if record.het_id else [record]
        if same is None:
            ledger.no_job("component of a heterogeneous job")
            continue
        timed = [_timed(one, ledger) for one in same]
        known = [one for one in timed if one is not None]
        if len(known) < len(same):
            message = "start, end and elapsed time do not give how long it ran"
            ledger.drop(Cause.UNKNOWN_DURATION, message, record.at)
            continue
        sized = _sized(known, ledger)
        if sized is None:
            continue
        yield replace(
            record,
            job_id=record.het_id or record.job_id,
            submit_s=min(one.submit_s for one in known),
            elapsed_s=max(one.elapsed_s or 0.0 for one in known),
            granted=sized,
        )


def _timed(record: SacctRecord, ledger: Ledger) -> SacctRecord | None:
    """Return a record whose elapsed time and submission hold; None when they cannot be had."""
    start, end, elapsed = record.start_s, record.end_s, record.elapsed_s
    if elapsed is not None and not 0 <= elapsed < math.inf:
        return None
    if start is not None and end is not None and end < start:
        if not elapsed:
            return None
        message = f"ends {start - end:g} s before it starts; {elapsed:g} s elapsed are taken"
        ledger.repair(Cause.END_BEFORE_START, message, record.at)
    elif elapsed is None:
        if start is None or end is None:
            return None
        elapsed = end - start
    submit = record.submit_s
    if start is not None and start < submit:
        message = f"starts {submit - start:g} s before its submission; the start is taken for both"
        ledger.repair(Cause.NEGATIVE_WAIT, message, record.at)
        submit = start
    return replace(record, elapsed_s=elapsed, submit_s=submit)


def _sized(records: Sequence[SacctRecord], ledger: Ledger) -> words.Tres | None:
    """Return what a job ran on, all components together; None, and told, when it is not known."""
    at = records[0].at
    granted = [record.granted for record in records]
    for n, record in enumerate(records):
        if record.granted.is_empty and not record.asked.is_empty:
            granted[n] = record.asked
            message = "what it was granted is not told; what it asked for is taken"
            ledger.repair(Cause.SIZE_AS_REQUESTED, message, at)
    uncounted = next((one.uncounted for one in granted if one.uncounted), "")
    if uncounted:
        message = f"{uncounted}: how much of an accelerator that is, is not told"
        ledger.drop(Cause.UNKNOWN_SIZE, message, at)
        return None
    total = words.Tres(
        num_gpus_ratio=math.fsum(one.num_gpus_ratio for one in granted),
        num_cpus=sum(one.num_cpus for one in granted),
    )
    if not (0 <= total.num_gpus_ratio < math.inf and total.num_cpus >= 0):
        ledger.drop(Cause.BAD_SIZE, "ran on less than nothing, or without end", at)
        return None
    if total.is_empty:
        ledger.drop(Cause.NO_SIZE, "has neither accelerators nor cores", at)
        return None
    return total
