"""In which order outlooks put jobs, and how far the guard lets one job be overtaken.

The claim of a job is what starting it takes from the others: its accelerators, for the part of the
next four hours that it is expected to run, and for the day that gathering them is taken to cost. It
was chosen among mean, median, geometric mean, Gittins index and capped means, times accelerators to
the power 0, ½ and 1, on the earlier periods only: docs/decisions/0013.
"""

from bisect import bisect_right
from collections.abc import Sequence

from clusterwright.learn.outlook import Outlook
from clusterwright.model.job import Job
from clusterwright.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Seconds

_LOOK_AHEAD_S = 4 * SECONDS_PER_HOUR
# For how long accelerators stand idle until a gang has all of its own, so that a brief gang is not
# cheap: without it even true durations times accelerators ended jobs up to 1.9 times as late.
_GATHER_S = SECONDS_PER_DAY


def order_value_s(outlook: Outlook) -> Seconds:
    """Return what to multiply by accelerators, as `qssf` does, to put jobs in order."""
    return outlook.capped_mean_s(_LOOK_AHEAD_S) + _GATHER_S


def claim_s(outlook: Outlook, job: Job) -> Seconds:
    """Return accelerator-seconds that starting a job takes from the others; least goes first."""
    return order_value_s(outlook) * (job.num_gpus_ratio or 1.0)


def overtaken_until_s(
    job: Job, claim_s: Seconds, known_claims_s: Sequence[Seconds], window_s: Seconds
) -> Seconds:
    """Return the key under the guard: least goes first, and nobody waits for ever.

    A job with the largest claim of all may be overtaken by what is submitted up to `window_s` after
    it, one in the middle by what comes in half that time, the smallest by nobody. Nothing of its
    priority that is submitted later than that goes before it, so those are finite in number.
    The key does not change while a job waits (a heap stays in order); the order is the same as
    that of the share of the window less the time waited.

    Parameters
    ----------
    job
        The job.
    claim_s
        Its claim.
    known_claims_s
        Claims of jobs of the past, ascending.
    window_s
        How far the largest claim may be overtaken.
    """
    if not known_claims_s:
        return job.submit_s
    rank = bisect_right(known_claims_s, claim_s) / len(known_claims_s)
    return job.submit_s + window_s * rank
