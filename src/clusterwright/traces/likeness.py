"""How much one trace is like another: the same measures of both, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clusterwright.model.job import Job
from clusterwright.traces.summary import size_of
from clusterwright.traces.workload import Floats
from clusterwright.units import SECONDS_PER_HOUR, Fraction, InUnit

_NUM_SIZES = 4  # sizes whose durations are compared by themselves, the most usual ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """One measure of two traces. Percentiles are linear ones, in the unit of the measure."""

    measure: str
    """What is measured."""
    source_p50: InUnit
    """Median in the first."""
    other_p50: InUnit
    """Median in the second."""
    source_p95: InUnit
    """95th percentile in the first."""
    other_p95: InUnit
    """95th percentile in the second."""
    source_p99: InUnit
    """99th percentile in the first."""
    other_p99: InUnit
    """99th percentile in the second."""
    source_mean: InUnit
    """Mean in the first."""
    other_mean: InUnit
    """Mean in the second."""
    distance_fraction: Fraction
    """Largest difference of the two distribution functions (Kolmogorov-Smirnov)."""


def compare(source: Sequence[Job], other: Sequence[Job]) -> list[Likeness]:
    """Return the measures of two traces; those that one of them does not have are left out."""
    first, second = _measures(source), _measures(other)
    return [
        _likeness(name, first[name], second[name])
        for name in first
        if len(first[name]) and len(second.get(name, ()))
    ]


def distance_fraction(first: Floats, second: Floats) -> float:
    """Return the largest difference of two empirical distribution functions."""
    at = np.union1d(first, second)
    below = [np.searchsorted(np.sort(one), at, side="right") / len(one) for one in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def _measures(jobs: Sequence[Job]) -> Mapping[str, Floats]:
    submits = np.sort([job.submit_s for job in jobs])
    durations = np.array([job.duration_s for job in jobs])
    gpus = np.array([job.num_gpus_ratio for job in jobs])
    whole = int(submits[-1] // SECONDS_PER_HOUR) if len(jobs) else 0
    hours = (submits // SECONDS_PER_HOUR).astype(int)
    sizes = [size_of(job) for job in jobs]
    usual = sorted(set(sizes), key=lambda name: (-sizes.count(name), name))[:_NUM_SIZES]
    measures = {
        "duration_s": durations,
        "num_gpus": gpus,
        "accelerator_s": durations * gpus,
        "gap_s": np.diff(submits),
        "jobs_per_hour": np.bincount(hours, minlength=whole)[:whole].astype(float),
    }
    for name in usual:
        chosen = np.array([size == name for size in sizes])
        measures[f"duration_s of size {name}"] = durations[chosen]
    return measures


def _likeness(name: str, first: Floats, second: Floats) -> Likeness:
    found = {
        f"{side}_p{at}": float(np.percentile(values, at))
        for side, values in (("source", first), ("other", second))
        for at in (50, 95, 99)
    }
    return Likeness(
        measure=name,
        source_mean=float(first.mean()),
        other_mean=float(second.mean()),
        distance_fraction=distance_fraction(first, second),
        **found,
    )
