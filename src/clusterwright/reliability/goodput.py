"""Failure rates to interruptions, the checkpoint interval that loses least, and goodput.

Legend: M mean time between interruptions, delta time that one checkpoint stops the work, R time to
notice and restart, tau time of work between checkpoints; all in seconds.

    tau  = sqrt(2 delta M) · (1 + sqrt(delta/2M)/3 + delta/18M) - delta   while delta < 2M, else M
    T/Ts = M e^(R/M) (e^((tau+delta)/M) - 1) / tau

Source: Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future
Generation Computer Systems 22 (2006), equations 20 and 37; Young, CACM 17 (1974), for the
first term.

Interruptions grow with the number of accelerators at the rates of one published cluster of 16,384
H100. At about 1,000 accelerators of an older cluster the published mean time between failures was
7.9 h, a quarter of what a constant rate gives (arXiv 2410.21680): below a few thousand
accelerators the figure is a first guess.
"""

import math
from collections.abc import Iterable

from clusterwright.model.parts import FailureRate
from clusterwright.model.reliability import FailureShare, Reliability
from clusterwright.units import SECONDS_PER_DAY


def checkpoint_interval_s(checkpoint_s: float, between_s: float) -> float:
    """Return the time of work between checkpoints that loses least.

    Examples
    --------
    >>> round(checkpoint_interval_s(30, 2.6 * 3600))
    729
    """
    if checkpoint_s <= 0:
        return min(between_s, SECONDS_PER_DAY)
    if checkpoint_s >= 2 * between_s:
        return between_s
    ratio = checkpoint_s / (2 * between_s)
    return (
        math.sqrt(2 * checkpoint_s * between_s) * (1 + math.sqrt(ratio) / 3 + ratio / 9)
        - checkpoint_s
    )


def goodput_fraction(
    interval_s: float, checkpoint_s: float, restart_s: float, between_s: float
) -> float:
    """Return the share of the wall time that moves the work forward."""
    if math.isinf(between_s):
        return interval_s / (interval_s + checkpoint_s)
    exponent = (interval_s + checkpoint_s) / between_s
    if exponent + restart_s / between_s > 500:
        return 1e-12
    stretched = between_s * math.exp(restart_s / between_s) * math.expm1(exponent)
    return min(1.0, interval_s / stretched)


def assess(
    num_accelerators: int,
    rates: Iterable[FailureRate],
    *,
    checkpoint_stall_s: float,
    restart_s: float,
    source: str,
) -> Reliability:
    """Return the reliability of a gang of so many accelerators.

    Parameters
    ----------
    num_accelerators
        Accelerators of the gang, at least 1.
    rates
        Interruptions by component.
    checkpoint_stall_s
        Time that one checkpoint stops the work.
    restart_s
        Time to notice a failure, replace what failed and load the checkpoint.
    source
        Where the rates come from.
    """
    shares = tuple(
        FailureShare(
            component=rate.name,
            interruptions_per_day=rate.per_accelerator_day * num_accelerators,
        )
        for rate in rates
    )
    per_day = sum(share.interruptions_per_day for share in shares)
    between = SECONDS_PER_DAY / per_day if per_day else math.inf
    interval = checkpoint_interval_s(checkpoint_stall_s, between)
    return Reliability(
        num_accelerators=num_accelerators,
        interruptions_per_day=per_day,
        mean_time_between_s=between,
        detect_and_restart_s=restart_s,
        checkpoint_write_s=checkpoint_stall_s,
        checkpoint_interval_s=interval,
        goodput_fraction=goodput_fraction(interval, checkpoint_stall_s, restart_s, between),
        shares=shares,
        source=source,
    )
