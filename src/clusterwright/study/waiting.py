"""At one moment of a run: why every waiting job waits, and when it will start."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from clusterwright import sched, twin
from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Job, Reason
from clusterwright.sched import Blocked, Picture, State
from clusterwright.sched.state import Rate
from clusterwright.study.starts import Known
from clusterwright.twin import Luck, Setting
from clusterwright.units import Ratio, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRow:
    """A job that waits."""

    job_id: str
    """The job."""
    queue: str
    """Its queue."""
    num_gpus_ratio: Ratio
    """Accelerators that it asks for."""
    waited_s: Seconds
    """How long since it was submitted."""
    reason: Reason
    """Why it waits."""
    message: str
    """The reason with its figures."""
    start_in_p10_s: Seconds | None
    """Time after which it has started with a chance of one in ten; absent where that is not to be
    seen, as for a job that somebody holds."""
    start_in_p50_s: Seconds | None
    """Likewise, an even chance."""
    start_in_p90_s: Seconds | None
    """Likewise, nine in ten."""


def waiting(
    cluster: Cluster,
    jobs: Sequence[Job],
    setting: Setting,
    *,
    at_s: Seconds,
    luck: Luck,
    rate: Callable[[Sequence[Job]], Rate] | None = None,
) -> tuple[WaitingRow, ...]:
    """Run jobs up to a moment and return those that wait then.

    Parameters
    ----------
    cluster
        The nodes.
    jobs
        The jobs.
    setting
        How the run is made; its horizon is not looked at.
    at_s
        The moment.
    luck
        How many futures are drawn, and from what.
    rate
        As for `twin.run`.
    """
    seen: list[Picture] = []
    blocked: dict[str, Blocked] = {}

    def look(state: State, now_s: float) -> None:
        seen.append(sched.picture(state, now_s))
        numbers = {job.job_id: number for number, job in enumerate(state.jobs)}
        for one in seen[0].waiting:
            blocked[one.job] = sched.why(state, numbers[one.job], now_s)

    until = replace(setting, horizon_s=at_s)
    outcome = twin.run(cluster, jobs, until, rate=rate, looks_s=(at_s,), look=look)
    if not seen:
        return ()  # all was through before
    known = Known(outcome)
    known.learn_up_to(seen[0])
    expected = known.expected(seen[0])
    recent = known.recent(at_s)
    found = twin.forecast(seen[0], cluster, expected, setting, recent=recent, luck=luck, rate=rate)
    told = {one.job: one for one in found}
    by_name = {one.job.job_id: one.job for one in expected}

    def until_s(name: str, level: float) -> float | None:
        start_s = told[name].quantile_s(level) if name in told else math.inf
        return None if start_s == math.inf else start_s - at_s

    return tuple(
        WaitingRow(
            job_id=name,
            queue=by_name[name].queue,
            num_gpus_ratio=by_name[name].num_gpus_ratio,
            waited_s=at_s - by_name[name].submit_s,
            reason=why.reason,
            message=why.message,
            start_in_p10_s=until_s(name, 0.1),
            start_in_p50_s=until_s(name, 0.5),
            start_in_p90_s=until_s(name, 0.9),
        )
        for name, why in blocked.items()
    )
