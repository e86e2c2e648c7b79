"""What a change of the centre would do to those who wait in it, and to those who will come.

The twin plays on from this moment twice, once in the centre as it is and once in the changed one,
under the same run times and the same arrivals, future by future. Nothing is changed.
"""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from clusterwright import twin
from clusterwright.control import fold, orders
from clusterwright.control.book import Book
from clusterwright.control.foretell import Glance, Learned
from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.centre import Centre
from clusterwright.twin import JobStart, Luck, Setting
from clusterwright.units import SECONDS_PER_DAY, Seconds

DAYS, MOST_DAYS = 7.0, 14.0  # arrivals are drawn so far ahead
_NUM_SAMPLES = (10, 40)  # futures: so many at least, and where few jobs are played
_NUM_PLAYED = 30_000  # jobs over all futures of one centre, beyond which there are fewer of these
_SAME_S = 1e-3  # waits that differ by less are the same

Moments = tuple[tuple[JobStart, JobStart], ...]  # the same jobs in both centres


def changed(book: Book, centre: Centre, now_s: float) -> Book:
    """Return what a book would be once its centre were changed; the caller holds the book.

    Raises
    ------
    InvalidInput
        If jobs wait in a queue, or run on nodes, that would be gone.
    """
    other = copy.copy(book)
    # A change of the centre replaces all but these.
    other.groups = dict(book.groups)
    other.there_spans = {name: list(spans) for name, spans in book.there_spans.items()}
    other.down_spans = {name: list(spans) for name, spans in book.down_spans.items()}
    for entry in orders.change_centre(book, centre, now_s):
        fold.apply(other, entry)
    return other


def compared(now: Glance, then: Glance, *, days: float) -> dict[str, Any]:
    """Return, for each queue and for all, how long jobs wait in a centre and in a changed one.

    Parameters
    ----------
    now
        The centre as it is.
    then
        The same moment in the changed one.
    days
        Jobs that come within so many days are told of, beside those that wait.

    Raises
    ------
    InvalidInput
        If one of the two policies orders by true run times and the other does not.
    """
    if twin.knows_run_times(now.policy) is not twin.knows_run_times(then.policy):
        message = "one of the policies orders by true run times, of which limits alone are known"
        remedy = "try one that orders by estimates, as `predicted`"
        raise InvalidInput([Fault(path="policy", message=message, remedy=remedy)])
    queues = {one.queue for one in then.centre.queues}
    recent = tuple(job for job in now.recent if job.queue in queues)
    left_out = sorted({job.queue for job in now.recent} - queues)
    per_day = len(recent) / max(1.0, _days_of(now))
    least, most = _NUM_SAMPLES
    num_played = len(now.jobs) + per_day * MOST_DAYS
    luck = Luck(num_samples=int(min(most, max(least, _NUM_PLAYED // max(1.0, num_played)))))
    until_s = now.picture.at_s + days * SECONDS_PER_DAY
    learned = Learned(now)
    known = [learned.expected(job) for job in now.jobs]
    likely = [learned.expected(job) for job in recent]

    def played(seen: Glance) -> Iterator[tuple[JobStart, ...]]:
        return twin.futures(
            seen.picture,
            seen.centre.cluster,
            known,
            Setting(policy=seen.policy, pooled=True),
            recent=likely,
            until_s=until_s,
            luck=luck,
        )

    pairs = [
        tuple(zip(one, other, strict=True))
        for one, other in zip(played(now), played(then), strict=True)
    ]
    names: list[str | None] = [*sorted({one.queue for future in pairs for one, _ in future})]
    if len(names) > 1:
        names.append(None)
    return {
        "items": list(_rows(pairs, names)),
        "num_samples": luck.num_samples,
        "learned_from_jobs": learned.num_jobs,
        "days": days,
        "queues_left_out": left_out,
    }


def _days_of(seen: Glance) -> float:
    """Return how many days the recent arrivals are from."""
    first_s = min((job.submit_s for job in seen.recent), default=seen.picture.at_s)
    return (seen.picture.at_s - first_s) / SECONDS_PER_DAY


def _rows(futures: Sequence[Moments], queues: Iterable[str | None]) -> Iterator[dict[str, Any]]:
    for queue in queues:
        for coming in (False, True):
            mine = [
                tuple(
                    pair
                    for pair in one
                    if pair[0].coming is coming and queue in (None, pair[0].queue)
                )
                for one in futures
            ]
            mine = [one for one in mine if one]
            if mine:
                jobs = "coming" if coming else "waiting"
                yield {"queue": queue or "all", "jobs": jobs} | _row(mine)


def _row(futures: Sequence[Moments]) -> dict[str, Any]:
    """Return what becomes of some jobs; waits are of those that start in both centres."""
    both = [
        [pair for pair in one if max(_wait_s(pair[0]), _wait_s(pair[1])) < math.inf]
        for one in futures
    ]
    waits = [
        np.array([[_wait_s(first), _wait_s(second)] for first, second in one]).mean(axis=0)
        for one in both
        if one
    ]
    total = sum(map(len, futures))
    row: dict[str, Any] = {"num_jobs": round(total / len(futures), 1)}
    for place, name in enumerate(("", "changed_")):
        never = sum(pair[place].start_s == math.inf for one in futures for pair in one)
        for level in (50, 90):
            found = [float(one[place]) for one in waits]
            row[f"{name}wait_p{level}_s"] = _quantile_s(found, level)
        row[f"{name}never_fraction"] = round(never / total, 4)
    shorter = [one for one in waits if one[1] < one[0] - _SAME_S]
    longer = [one for one in waits if one[1] > one[0] + _SAME_S]
    num = max(1, len(waits))
    return row | {"shorter_fraction": len(shorter) / num, "longer_fraction": len(longer) / num}


def _wait_s(one: JobStart) -> Seconds:
    return one.start_s - one.since_s


def _quantile_s(found: Sequence[float], level: int) -> float | None:
    return round(float(np.percentile(found, level)), 1) if found else None
