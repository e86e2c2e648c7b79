"""What the commands that learn share: which jobs are history, which are judged, and the model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from clusterwright import learn, traces
from clusterwright.cli import files
from clusterwright.cli.progress import Progress
from clusterwright.errors import UsageError
from clusterwright.learn import Outlook, Past
from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Job
from clusterwright.units import Seconds, UnitError, parse
from clusterwright.units import format as show

Model = Literal["history", "lightgbm"]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Jobs to judge on, and what came before them, on the clock of the trace."""

    jobs: tuple[Job, ...]
    """Jobs submitted from `from_s` on."""
    past: tuple[Past, ...]
    """Jobs of the history, each ending when its run time has passed since submission: a trace does
    not say how long they waited."""
    from_s: Seconds
    """When the period judged begins."""


def split(
    trace: str,
    *,
    history: str | None,
    history_shift: str | None,
    start: str | None,
    overlap: bool,
    progress: Progress,
) -> Split:
    """Read the traces and part them in time.

    Parameters
    ----------
    trace
        The trace judged.
    history
        The earlier trace; absent, what the trace itself holds before `start`.
    history_shift
        How long before the trace's time 0 the history's lies; absent, both have one clock.
    start
        When the period judged begins; absent, with the first job of the trace.
    overlap
        Whether the history may reach into the period judged.
    progress
        Told of rows that were left out.

    Raises
    ------
    UsageError
        If there is no job to judge, or the history reaches into their period and must not.
    """
    own = _jobs(trace, progress)
    if not own:
        msg = f"{trace}: holds no job that could be used"
        raise UsageError(msg)
    from_s = min(job.submit_s for job in own) if start is None else seconds("--from", start)
    judged = tuple(job for job in own if job.submit_s >= from_s)
    if not judged:
        msg = f"--from {start}: {trace} has no job from then on; its last comes at " + show(
            max(job.submit_s for job in own), Seconds
        )
        raise UsageError(msg)
    earlier = [job for job in own if job.submit_s < from_s]
    if history is not None:
        shift_s = 0.0 if history_shift is None else seconds("--history-shift", history_shift)
        told = [replace(job, submit_s=job.submit_s - shift_s) for job in _jobs(history, progress)]
        late = [job for job in told if job.submit_s >= from_s]
        if late and not overlap:
            msg = (
                f"{history}: {len(late):,} of {len(told):,} jobs were submitted in the period "
                f"judged, which begins at {show(from_s, Seconds)}: predictions would know it. "
                "Say with --history-shift how long before the trace's time 0 the history's lies "
                "(30d for the month before)"
            )
            raise UsageError(msg)
        earlier = [*told, *earlier]
    elif history_shift is not None:
        msg = "--history-shift says where --history lies; give that file, or leave it out"
        raise UsageError(msg)
    past = tuple(Past(job=job, end_s=job.submit_s + job.duration_s) for job in earlier)
    return Split(jobs=judged, past=past, from_s=from_s)


def outlooks(found: Split, model: Model) -> list[Outlook]:
    """Return the outlooks of the jobs judged, from what was known when their period began.

    Raises
    ------
    UsageError
        If nothing was known then.
    TargetMissing
        If the model's package is not installed.
    """
    if not found.past:
        msg = "nothing to learn from: give --history FILE, or part the trace with --from"
        raise UsageError(msg)
    if model == "lightgbm":
        return learn.Boosted(found.past, found.from_s).outlooks(found.jobs)
    history = learn.known_at(found.past, found.from_s)
    return [history.outlook(job, found.from_s) for job in found.jobs]


def fitting(
    jobs: tuple[Job, ...], cluster: Cluster, progress: Progress, *, shared: bool = False
) -> tuple[Job, ...]:
    """Return the jobs that their queue can hold; the others would block it for ever.

    With `shared` a queue may use the nodes of all.

    Raises
    ------
    UsageError
        If there is none.
    """
    room: dict[str, int] = {}
    for group in cluster.groups:
        room[group.queue] = room.get(group.queue, 0) + group.num_nodes * group.quanta
    if shared:
        everything = sum(room.values())
        room = dict.fromkeys((*room, *(one.queue for one in cluster.quotas)), everything)
    kept = tuple(job for job in jobs if job.quanta <= room.get(job.queue, 0))
    if len(kept) < len(jobs):
        progress.say(
            f"{len(jobs) - len(kept):,} of {len(jobs):,} jobs left out: their queue has no nodes, "
            "or not enough for them"
        )
    if not kept:
        msg = "no job of the trace is in a queue with nodes; look at the names in --queues"
        raise UsageError(msg)
    return kept


def seconds(option: str, text: str) -> Seconds:
    """Return a time that an option gives.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        return parse(text, Seconds)
    except UnitError as error:
        msg = f"{option} {text}: {error}"
        raise UsageError(msg) from error


def _jobs(file: str, progress: Progress) -> Sequence[Job]:
    found = traces.read_trace(files.read_bytes(file), file=file)
    if found.dropped:
        progress.say(
            f"{file}: {len(found.dropped):,} of {found.num_rows:,} rows left out, the first: "
            f"{found.dropped[0]}"
        )
    return found.jobs
