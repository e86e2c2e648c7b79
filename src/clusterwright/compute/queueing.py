"""How many servers a stream of jobs needs so that people do not wait long.

Legend: lam arrivals per second, E[S] mean service time, c parallel servers, a = lam·E[S] the
offered load, C(c, a) the Erlang-C probability of waiting, cv2 the squared coefficient of variation
of S.

    P(W > t) ≈ C(c, a) · exp(-(c - a) t / E[S] · 2 / (1 + cv2))

Source: Allen, "Probability, Statistics and Queueing Theory", 1990, section 5.4 (Allen-Cunneen
approximation of the M/G/c queue, Poisson arrivals). Checked against the twin in tests/compute.
"""

import math
from dataclasses import dataclass

from clusterwright.model.work import Experiments, Spread
from clusterwright.units import SECONDS_PER_DAY, Fraction, Ratio, Seconds

_Z95 = 1.6448536269514722  # 95th percentile of the standard normal distribution
_TAIL = 0.05  # share of the jobs that may wait longer than p95


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The load that a stream of jobs offers."""

    num_gpus_mean: Ratio
    """GPUs busy on average when nobody waits."""
    largest_gpus: int
    """GPUs of the largest job."""
    mean_s: Seconds
    """Mean run time."""
    variation_ratio: Ratio
    """Squared coefficient of variation of the GPU-time of a job."""
    gpus_per_job_ratio: Ratio
    """GPUs of an average job."""


def lognormal(spread: Spread) -> tuple[float, float]:
    """Return mu and sigma of the log-normal distribution through a median and a 95th percentile."""
    return math.log(spread.median_s), math.log(spread.p95_s / spread.median_s) / _Z95


def offered(stream: Experiments) -> Offered:
    """Return the load that a stream offers (Little's law)."""
    mu, sigma = lognormal(stream.duration)
    mean = math.exp(mu + sigma**2 / 2)
    sizes = stream.gpus_fraction
    per_job = sum(gpus * share for gpus, share in sizes.items())
    squares = sum(gpus**2 * share for gpus, share in sizes.items())
    variation = math.exp(sigma**2) * squares / per_job**2 - 1
    return Offered(
        num_gpus_mean=stream.jobs_per_day / SECONDS_PER_DAY * mean * per_job,
        largest_gpus=max(sizes),
        mean_s=mean,
        variation_ratio=variation,
        gpus_per_job_ratio=per_job,
    )


def gpus_needed(
    load: Offered, *, p95_wait_s: float | None, utilization: Fraction, step: int
) -> int:
    """Return GPUs, in whole servers of `step`, for a load and a bound on waiting.

    Without a bound the pool is sized to the utilisation. The largest job always fits.
    """
    least = max(load.largest_gpus, load.num_gpus_mean / utilization if p95_wait_s is None else 0)
    servers = max(1, math.ceil(max(least, load.num_gpus_mean) / step))
    if p95_wait_s is None:
        return servers * step
    while wait_p95_s(load, servers * step) > p95_wait_s:
        servers += max(1, servers // 64)
    return servers * step


def wait_p95_s(load: Offered, num_gpus: int) -> float:
    """Return the time within which nineteen of twenty jobs start; infinite when overloaded."""
    channels = max(1, int(num_gpus / load.gpus_per_job_ratio))
    busy = load.num_gpus_mean / load.gpus_per_job_ratio
    if busy >= channels:
        return math.inf
    waiting = erlang_c(channels, busy)
    if waiting <= _TAIL:
        return 0.0
    spread = (1 + load.variation_ratio) / 2
    return math.log(waiting / _TAIL) * load.mean_s * spread / (channels - busy)


def erlang_c(channels: int, busy: float) -> float:
    """Return the probability that an arrival waits, with so many channels and so much load.

    Examples
    --------
    >>> round(erlang_c(2, 1.0), 4)
    0.3333
    """
    if busy <= 0:
        return 0.0
    blocked = 1.0  # Erlang B by its recursion, which never overflows
    for number in range(1, channels + 1):
        blocked = busy * blocked / (number + busy * blocked)
    return blocked / (1 - busy / channels * (1 - blocked))
