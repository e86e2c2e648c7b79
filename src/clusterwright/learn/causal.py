"""What may be known when: everything here looks at jobs that had ended before the one asked for."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clusterwright.learn.history import History
from clusterwright.learn.outlook import Outlook
from clusterwright.model.job import Job
from clusterwright.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A job of the past, with what is known only once it has ended."""

    job: Job
    """The job, its true duration in it."""
    end_s: Seconds
    """When it ended, on the clock of the jobs that are asked for."""


def ended(past: Sequence[Past], until_s: Seconds, *, after_s: Seconds = -math.inf) -> list[Past]:
    """Return what ended up to a time, and later than another, in the order of the ends."""
    found = [one for one in past if after_s < one.end_s <= until_s]
    return sorted(found, key=lambda one: one.end_s)


def known_at(past: Sequence[Past], until_s: Seconds) -> History:
    """Return what could be learned by a time: what had ended, and how long the others had run."""
    history = History()
    for one in ended(past, until_s):
        history.learn(one.job, one.end_s)
    running = [
        (one.job, until_s - (one.end_s - one.job.duration_s))
        for one in past
        if one.end_s - one.job.duration_s < until_s < one.end_s
    ]
    history.learn_running(running, until_s)
    return history


def as_they_come(jobs: Sequence[Job], past: Sequence[Past]) -> Iterator[tuple[Job, Outlook]]:
    """Yield jobs by submission with their outlooks; each is told what had ended before it.

    Parameters
    ----------
    jobs
        Jobs to predict.
    past
        Jobs with their ends; they may be the same ones. Ends of the second of a submission count.
    """
    history = History()
    waiting = ended(past, math.inf)
    place = 0
    for job in sorted(jobs, key=lambda job: job.submit_s):
        while place < len(waiting) and waiting[place].end_s <= job.submit_s:
            history.learn(waiting[place].job, waiting[place].end_s)
            place += 1
        yield job, history.outlook(job, job.submit_s)


def naive_s(jobs: Sequence[Job], past: Sequence[Past]) -> list[Seconds]:
    """Return the mean run time of each job's queue in the past, or of all where it has none."""
    lists: dict[str, list[float]] = {}
    for one in past:
        lists.setdefault(one.job.queue, []).append(one.job.duration_s)
    every = float(np.mean([one.job.duration_s for one in past])) if past else 0.0
    means = {queue: float(np.mean(found)) for queue, found in lists.items()}
    return [means.get(job.queue, every) for job in jobs]
