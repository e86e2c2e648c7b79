"""`clusterwright estimate runtimes`: how long jobs of a trace will run, from what came before."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from clusterwright import learn
from clusterwright.cli import files, learned
from clusterwright.cli.common import Common
from clusterwright.cli.output import Answer, csv_text, emit, items_document
from clusterwright.cli.progress import Progress
from clusterwright.errors import UsageError
from clusterwright.learn import GUESSES, Guess, Outlook, Past, Score
from clusterwright.model.job import Job

_SHOWN = ("job_id", "est_duration_s", "p50_s", "p90_s", "mean_s", "duration_s")


def estimate_runtimes(
    trace: str,
    *,
    history: str | None,
    history_shift: str | None,
    start: str | None,
    model: learned.Model,
    online: bool,
    guess: Guess,
    out: str | None,
    common: Common,
) -> None:
    """Predict the jobs of a trace, say how wrong that was, and write what `simulate` reads."""
    if online and model == "lightgbm":
        msg = "--online goes with --model history; trees are fitted once. Leave one of them out."
        raise UsageError(msg)
    progress = Progress(common)
    found = learned.split(
        trace,
        history=history,
        history_shift=history_shift,
        start=start,
        overlap=online,
        progress=progress,
    )
    with progress.step(f"predicting {len(found.jobs):,} jobs from {len(found.past):,} of before"):
        pairs = _online(found) if online else _offline(found, model)
    jobs, outlooks = [job for job, _ in pairs], [one for _, one in pairs]
    rows = [_row(job, one, guess) for job, one in pairs]
    mine = learn.score(jobs, outlooks)
    known = learn.ended(found.past, found.from_s)
    naive = learn.score_points(jobs, learn.naive_s(jobs, known)) if known else None
    progress.say(_told(mine, naive))
    if out is not None:
        _write(out, csv_text(rows, tuple(rows[0])))
    document = items_document(
        "RunTimeEstimateList",
        rows,
        model=model,
        online=online,
        error=asdict(mine),
        error_of_queue_means=None if naive is None else asdict(naive),
    )
    emit(Answer(document=document, rows=rows, columns=_SHOWN, key="job_id"), common)


def _offline(found: learned.Split, model: learned.Model) -> Sequence[tuple[Job, Outlook]]:
    return list(zip(found.jobs, learned.outlooks(found, model), strict=True))


def _online(found: learned.Split) -> Sequence[tuple[Job, Outlook]]:
    own = [Past(job=job, end_s=job.submit_s + job.duration_s) for job in found.jobs]
    return list(learn.as_they_come(found.jobs, [*found.past, *own]))


def _row(job: Job, outlook: Outlook, guess: Guess) -> dict[str, object]:
    told = {name: tell(outlook) for name, tell in GUESSES.items()}
    return {
        "job_id": job.job_id,
        "est_duration_s": round(told[guess], 3),
        "p50_s": round(told["p50"], 3),
        "p90_s": round(told["p90"], 3),
        "mean_s": round(told["mean"], 3),
        "duration_s": job.duration_s,
    }


def _told(mine: Score, naive: Score | None) -> str:
    lines = ["", "log error", "rank corr.", "pinball P50", "pinball P90", "below P90"]
    rows = [lines, _line("predicted", mine)]
    if naive is not None:
        rows.append(_line("queue means", naive))
    return "\n".join("  ".join(f"{cell:>12}" for cell in row) for row in rows)


def _line(name: str, one: Score) -> list[str]:
    return [
        name,
        f"{one.log_error_ratio:.2f}",
        f"{one.rank_correlation_ratio:.2f}",
        f"{one.pinball_p50_s:,.0f} s",
        f"{one.pinball_p90_s:,.0f} s",
        f"{100 * one.below_p90_fraction:.1f} %",
    ]


def _write(out: str, text: str) -> None:
    target = Path(out)
    files.write_directory(str(target.parent), {target.name: text})
