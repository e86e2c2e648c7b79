"""Slurm's accounting, `sacct --parsable2` or `sacct --json`, as jobs.

The records of a job are brought together first: the runs of one that was requeued, and the
components of a heterogeneous one. Steps belong to their job and are only counted.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from clusterwright.model.job import Job
from clusterwright.traces import slurm_records
from clusterwright.traces import slurm_words as words
from clusterwright.traces.slurm_records import SacctRecord
from clusterwright.traces.trace import Cause, Ledger, Reading, Trace


def read_text(text: str, file: str, how: Reading) -> Trace:
    """Return the jobs of `sacct --parsable2` with its header.

    Raises
    ------
    InvalidInput
        If the header lacks what a job needs.
    """
    ledger = Ledger(file)
    return _jobs(slurm_records.of_text(text, file, how, ledger), how, ledger)


def read_json(text: str, file: str, how: Reading) -> Trace:
    """Return the jobs of `sacct --json`.

    Raises
    ------
    InvalidInput
        If it is not that.
    """
    ledger = Ledger(file)
    return _jobs(slurm_records.of_json(text, file, how, ledger), how, ledger)


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
