"""`clusterwright trace`: other people's logs read, looked at, and drawn anew."""

import datetime
import gzip
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from clusterwright import traces
from clusterwright.cli import files
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, Row, emit, items_document
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode, Fault, UsageError
from clusterwright.units import SECONDS_PER_DAY, AcceleratorHours, Seconds
from clusterwright.units import format as show_unit

if TYPE_CHECKING:
    from clusterwright.model.job import Job
    from clusterwright.traces.summary import Summary
    from clusterwright.traces.workload import Workload

_SHOWN = 5  # dropped and repaired rows that are told one by one; all are with -v
_SHARES_SHOWN = (
    *("group", "name", "num_jobs", "jobs_fraction", "accelerator_hours"),
    *("accelerator_hours_fraction", "p50_duration_s", "p95_duration_s", "max_gpus_ratio"),
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a log is read."""

    format: Annotated[str, Parameter(name="--format")] = ""
    """tidy, sacct, sacct-json, swf or kubernetes; told by the content when absent."""
    queue_from: Annotated[str, Parameter(name="--queue-from")] = ""
    """What of a row is the queue, such as account or qos; the format's own choice when absent."""
    queue: Annotated[str, Parameter(name="--queue")] = "all"
    """Queue of jobs whose row names none."""
    processors: Annotated[Literal["cores", "accelerators"], Parameter(name="--processors")] = (
        "cores"
    )
    """What the processors of an SWF log are."""
    timezone: Annotated[str, Parameter(name="--timezone")] = "UTC"
    """Zone of times that name none, such as Europe/Berlin."""


def convert(
    file: FileName,
    *,
    to: Literal["tidy"] = "tidy",
    out: Annotated[str | None, Parameter(name="--out")] = None,
    reading: Reading | None = None,
    common: Common | None = None,
) -> int:
    """Turn a log into our tidy CSV, and say what became of every row.

    Parameters
    ----------
    file
        The log, plain or gzip; `-` for stdin.
    to
        Format to write: tidy.
    out
        File to write, gzip when its name ends in .gz. Without it the CSV goes to stdout, or with
        `-o json` nowhere: the answer is what became of the rows.
    """
    del to  # other formats join here
    common = common or Common()
    found = _read(file, reading, common)
    text = traces.write_tidy(found.jobs)
    if out is not None:
        _write(out, text)
        Progress(common).say(f"wrote {out}: {len(found.jobs):,} jobs")
    elif common.output == "table":
        sys.stdout.write(text)
        return ExitCode.OK
    rows = _outcomes(found)
    status = {**_counts(found), "out": out}
    emit(
        Answer(
            document=items_document("TraceConversion", rows, **status),
            rows=rows,
            columns=("outcome", "cause", "num_rows", "meaning"),
            key="cause",
            text=_sheet(status) if not rows else "",
        ),
        common,
    )
    return ExitCode.OK


def show(
    file: FileName,
    *,
    users: int = 20,
    reading: Reading | None = None,
    common: Common | None = None,
) -> int:
    """Show a trace in figures: jobs, span, accelerator-hours; by size, queue and user.

    Parameters
    ----------
    file
        The log, plain or gzip; `-` for stdin.
    users
        Users that are named, those with most accelerator time first.
    """
    from clusterwright.traces import summary

    common = common or Common()
    found = _read(file, reading, common)
    figures = summary.summarise(found.jobs)
    rows = [asdict(one) for one in summary.shares(found.jobs, most_users=max(users, 0))]
    status = {**asdict(figures), **_counts(found)}
    emit(
        Answer(
            document=items_document("TraceSummary", rows, **status),
            rows=rows,
            columns=_SHARES_SHOWN,
            text="\n".join([_head(file, figures, found), "", *_table(rows)]),
        ),
        common,
    )
    return ExitCode.OK


def generate(
    *,
    like: Annotated[FileName, Parameter(name="--like")],
    jobs: Annotated[int | None, Parameter(name="--jobs")] = None,
    scale: Annotated[float, Parameter(name="--scale")] = 1.0,
    size_scale: Annotated[float, Parameter(name="--size-scale")] = 1.0,
    days: Annotated[float | None, Parameter(name="--days")] = None,
    seed: int = 0,
    out: Annotated[str | None, Parameter(name="--out")] = None,
    model: Annotated[str | None, Parameter(name="--model")] = None,
    reading: Reading | None = None,
    common: Common | None = None,
) -> int:
    """Draw a trace like another, larger or longer, and say how like it is.

    Arrivals follow the hours of the week with the bursts that were seen; sizes, durations, queues
    and users keep to each other. The same seed draws the same trace.

    Parameters
    ----------
    like
        The log to be like, or a model that --model wrote.
    jobs
        How many jobs, exactly; without --days they come at the log's rate times --scale.
    scale
        Arrivals against the log's.
    size_scale
        Accelerators of a job against the log's, rounded to whole ones; shares of one stay.
    days
        How long; the log's own span when neither --jobs nor --days is given.
    seed
        Seed of all draws.
    out
        File for the tidy CSV, gzip when its name ends in .gz.
    model
        File for the fitted model, which --like takes instead of a log.
    """
    import numpy as np

    from clusterwright.traces import generate as drawing
    from clusterwright.traces import likeness, summary, workload

    common = common or Common()
    progress = Progress(common)
    fitted, source = _fitted(like, reading, common)
    drawn = drawing.generate(
        fitted,
        rng=np.random.default_rng(seed),
        num_jobs=jobs,
        span_s=None if days is None else days * SECONDS_PER_DAY,
        rate_ratio=scale,
        size_ratio=size_scale,
    )
    for name, text in ((out, traces.write_tidy(drawn)), (model, workload.to_json(fitted))):
        if name is not None:
            _write(name, text)
            progress.say(f"wrote {name}")
    if out is None:
        progress.say("no trace is written without --out")
    rows = [asdict(one) for one in likeness.compare(source, drawn)]
    status = {**asdict(summary.summarise(drawn)), "seed": seed, "out": out, "model": model}
    emit(
        Answer(
            document=items_document("GeneratedTrace", rows, **status),
            rows=rows,
            columns=(
                *("measure", "source_p50", "other_p50", "source_p95", "other_p95"),
                *("source_mean", "other_mean", "distance_fraction"),
            ),
            key="measure",
            text=_sheet(status) if not rows else "",
        ),
        common,
    )
    return ExitCode.OK


def _fitted(like: str, reading: Reading | None, common: Common) -> "tuple[Workload, Sequence[Job]]":
    """Return a model and the jobs that it was fitted to; none when it was read."""
    from clusterwright.traces import workload

    content = files.read_bytes(like)
    if workload.is_model(content[:200].decode(errors="replace")):
        return workload.from_json(content.decode(errors="replace"), file=like), ()
    found = _parsed(content, like, reading, common)
    return workload.fit(found.jobs, file=like), found.jobs


def _read(file: str, reading: Reading | None, common: Common) -> traces.Trace:
    return _parsed(files.read_bytes(file), file, reading, common)


def _parsed(content: bytes, file: str, reading: Reading | None, common: Common) -> traces.Trace:
    how = reading or Reading()
    found = traces.read_trace(
        content,
        file=file,
        queue=how.queue,
        form=how.format,
        queue_from=how.queue_from,
        processors=how.processors,
        timezone=how.timezone,
    )
    progress = Progress(common)
    _tell("not used", found.dropped, found, common, progress)
    _tell("repaired", found.repaired, found, common, progress)
    return found


def _tell(
    what: str, faults: Sequence[Fault], found: traces.Trace, common: Common, progress: Progress
) -> None:
    if not faults:
        return
    shown = faults if common.verbose else faults[:_SHOWN]
    rest = "" if len(shown) == len(faults) else f"; the first {len(shown)}, all with -v"
    progress.say(f"{len(faults):,} of {found.num_rows:,} rows {what}{rest}:")
    for fault in shown:
        progress.say(f"  {fault}")


def _write(out: str, text: str) -> None:
    path = Path(out)
    if path.is_dir():
        msg = f"{out}: this is a directory; name a file in it"
        raise UsageError(msg)
    content = text.encode()
    # No time in the header: the same jobs are the same bytes.
    packed = gzip.compress(content, mtime=0) if path.suffix == ".gz" else content
    files.write_directory(str(path.parent), {path.name: packed})


def _outcomes(found: traces.Trace) -> list[dict[str, object]]:
    """Return what became of rows, as rows."""
    kinds = (("dropped", found.num_dropped_by_cause), ("repaired", found.num_repaired_by_cause))
    rows: list[dict[str, object]] = [
        {
            "outcome": outcome,
            "cause": cause,
            "num_rows": count,
            "meaning": traces.Cause[cause].value,
        }
        for outcome, counts in kinds
        for cause, count in counts.items()
    ]
    rows += [
        {"outcome": "no job", "cause": what, "num_rows": count, "meaning": "counted only"}
        for what, count in found.num_not_jobs.items()
    ]
    return rows


def _counts(found: traces.Trace) -> dict[str, object]:
    start = found.start_unix_s
    return {
        "format": found.form,
        "num_rows": found.num_rows,
        "num_jobs": len(found.jobs),
        "num_dropped": len(found.dropped),
        "num_repaired": len(found.repaired),
        "dropped": dict(found.num_dropped_by_cause),
        "repaired": dict(found.num_repaired_by_cause),
        "not_jobs": dict(found.num_not_jobs),
        "start": None if start is None else _rfc3339(start),
    }


def _rfc3339(unix_s: float) -> str:
    moment = datetime.datetime.fromtimestamp(unix_s, tz=datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _head(file: str, figures: "Summary", found: traces.Trace) -> str:
    start = found.start_unix_s
    since = "" if start is None else f" from {_rfc3339(start)}"
    lines = [
        f"{file} ({found.form}): {figures.num_jobs:,} jobs over "
        f"{show_unit(figures.span_s, Seconds)}{since}, {figures.num_queues:,} queues, "
        f"{figures.num_users:,} users",
        f"{show_unit(figures.accelerator_hours, AcceleratorHours)}, "
        f"{figures.mean_busy_gpus_ratio:,.1f} accelerators busy on average if none waited; "
        f"{figures.num_cpu_jobs:,} jobs without an accelerator",
        "durations: "
        + ", ".join(
            f"{name} {show_unit(value, Seconds)}"
            for name, value in (
                ("p5", figures.p5_duration_s),
                ("median", figures.p50_duration_s),
                ("p95", figures.p95_duration_s),
                ("p99", figures.p99_duration_s),
                ("longest", figures.max_duration_s),
            )
        ),
    ]
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    cells = [("", "", "jobs", "", "GPU-h", "", "median", "p95", "largest")]
    cells += [
        (
            *(row["group"], row["name"], f"{row['num_jobs']:,}", f"{row['jobs_fraction']:.1%}"),
            f"{row['accelerator_hours']:,.0f}",
            f"{row['accelerator_hours_fraction']:.1%}",
            *(show_unit(row[name], Seconds) for name in ("p50_duration_s", "p95_duration_s")),
            f"{row['max_gpus_ratio']:g}",
        )
        for row in rows
    ]
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
    return [
        "  ".join(
            cell.ljust(width) if n < 2 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _sheet(status: Row) -> str:
    return "\n".join(f"{name:<16}  {value}" for name, value in status.items() if value is not None)
