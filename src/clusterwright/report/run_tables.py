"""A run as CSV for spreadsheets and programs: its jobs, and its queues hour by hour."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from clusterwright import units
from clusterwright.model import slurm
from clusterwright.model.event import EventKind
from clusterwright.report.numbers import scale
from clusterwright.report.tables import csv_text
from clusterwright.twin import spans
from clusterwright.twin.hourly import Series
from clusterwright.twin.kernel import Outcome
from clusterwright.twin.recording import Floats, Numbers, Recording

JOB_COLUMNS = {
    "job_id": "name of the job",
    "queue": "queue that it waits in",
    "user": "who submitted it; empty when unknown",
    "state": "how it stood when the run was over: COMPLETED, TIMEOUT, CANCELLED, RUNNING, PENDING",
    "num_gpus_ratio": "accelerators that it asks for, a share of one below 1; 0 for a job on cores",
    "num_cpus": "cores that it asks for, where it asks for no accelerators",
    "num_nodes": "nodes that it held last; 0 when it never started",
    "nodes": "those nodes, as a host list",
    "submit_s": "when it was submitted",
    "first_start_s": "when it first started; empty when it never did",
    "end_s": "when it was through; empty when it was not",
    "waited_s": "time in the queue, all times it waited together",
    "held_s": "time on its nodes, all attempts together",
    "lost_s": "of that, time that moved nothing forward for good",
    "num_preemptions": "how often it was stopped for another",
    "num_interruptions": "how often a lost node stopped it",
}
"""Columns of jobs.csv and what they say; times are seconds from the start of the run."""

SERIES_COLUMNS = {
    "queue": "name of the queue; `*` for the whole centre",
    "start_s": "when the hour begins, from the start of the run",
    "used_gpus": "mean accelerators in use by the queue's jobs (cores for a queue without "
    "accelerators; of the whole centre, accelerators)",
    "waiting_jobs": "mean number of its jobs that wait",
    "nodes_down": "mean number of its nodes that are lost",
    "power_w": "mean draw with the facility's share: of its own nodes, or of the whole centre; "
    "empty where it is not known, and for queues that share nodes",
    "price_usd_per_kwh": "price of that energy",
    "carbon_g_per_kwh": "carbon intensity of it",
}
"""Columns of series.csv and what they say; one row a queue and hour."""

_STATES = {
    EventKind.FINISH: "COMPLETED",
    EventKind.TIMEOUT: "TIMEOUT",
    EventKind.CANCEL: "CANCELLED",
    EventKind.START: "RUNNING",
    EventKind.RESIZE: "RUNNING",
}


def jobs_csv(outcome: Outcome, recording: Recording) -> str:
    """Return the jobs of a run as CSV, one a row, in order of submission."""
    return csv_text(tuple(JOB_COLUMNS), _job_rows(outcome, recording))


def series_csv(series: Sequence[Series]) -> str:
    """Return the queues of a run hour by hour as CSV."""
    return csv_text(tuple(SERIES_COLUMNS), (row for one in series for row in _hours(one)))


def _job_rows(outcome: Outcome, recording: Recording) -> Iterator[tuple[object, ...]]:
    held, waits = spans.attempts(recording), spans.waits(recording)
    waited = np.bincount(
        waits.subject, waits.until_s - waits.since_s, minlength=recording.num_jobs
    ).tolist()
    last = np.full(recording.num_jobs, -1)
    last[held.subject] = np.arange(held.subject.size)  # the last one of a job stays
    bounds = np.searchsorted(held.attempt, np.arange(held.subject.size + 1)).tolist()
    held_nodes = held.node.tolist()
    states, names = _states(recording), recording.node_name.tolist()
    for index, (job, row) in enumerate(zip(outcome.jobs, last.tolist(), strict=True)):
        nodes = sorted(held_nodes[bounds[row] : bounds[row + 1]]) if row >= 0 else []
        kept = outcome.records[index]
        yield (
            job.job_id,
            job.queue,
            job.user,
            states[index],
            _seconds(job.num_gpus_ratio),
            0 if job.num_gpus_ratio else job.num_cpus,
            len(nodes),
            slurm.fold([names[node] for node in nodes]),
            _seconds(kept.submit_s),
            _seconds(kept.first_start_s),
            _seconds(kept.end_s),
            _seconds(waited[index]),
            _seconds(kept.held_s),
            _seconds(kept.lost_s),
            kept.num_preemptions,
            kept.num_interruptions,
        )


def _states(recording: Recording) -> list[str]:
    """Return how each job stood at the end: what its last event says."""
    columns = recording.log.columns()
    mine = columns["job"] >= 0
    last: Numbers = np.full(recording.num_jobs, -1)
    last[columns["job"][mine]] = columns["kind"][mine]
    return [_STATES.get(kind, "PENDING") for kind in last.tolist()]


def _hours(one: Series) -> Iterator[tuple[object, ...]]:
    count = one.used.size
    per_kwh = scale(units.UsdPerJoule, "USD/kWh"), scale(units.GramsPerJoule, "g/kWh")
    blank = [""] * count
    power = blank if one.power_w is None else map("{:.1f}".format, one.power_w)
    price = blank if one.price_usd_per_j is None else _rounded(one.price_usd_per_j / per_kwh[0])
    carbon = blank if one.carbon_g_per_j is None else _rounded(one.carbon_g_per_j / per_kwh[1])
    for hour, row in enumerate(
        zip(one.used, one.waiting, one.nodes_down, power, price, carbon, strict=True)
    ):
        used, waiting, down, drawn, paid, emitted = row
        yield (
            one.name,
            _seconds(hour * units.SECONDS_PER_HOUR),
            f"{used:.4f}",
            f"{waiting:.4f}",
            f"{down:.4f}",
            drawn,
            paid,
            emitted,
        )


def _rounded(values: Floats) -> list[float]:
    # Numbers rather than texts: a negative price is none of the formulas that are made harmless.
    return [float(f"{value:.6g}") for value in values]


def _seconds(value: float) -> str:
    """Return a number as short as it may be written without losing anything; nothing for nan."""
    return "" if math.isnan(value) else repr(float(value)).removesuffix(".0")
