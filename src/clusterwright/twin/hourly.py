"""A run hour by hour: what each queue uses and who waits, and what the centre draws and pays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.model.job import QUANTA
from clusterwright.twin import spans
from clusterwright.twin.bills import Meter, Power
from clusterwright.twin.kernel import Outcome
from clusterwright.twin.recording import Floats, Recording
from clusterwright.units import SECONDS_PER_HOUR

WHOLE = "*"
"""Name of the rows of the whole centre; no queue is called so."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One queue, or the whole centre, hour by hour; all columns have the shape (num_hours,)."""

    name: str
    """Name of the queue, or `WHOLE`."""
    used: Floats
    """Mean accelerators in use by its jobs; cores for a queue without accelerators."""
    waiting: Floats
    """Mean number of its jobs that wait."""
    nodes_down: Floats
    """Mean number of its nodes that are lost."""
    power_w: Floats | None
    """Mean draw with the facility's share: of the queue's own nodes, or of the whole centre;
    absent where it is not known, or queues share nodes."""
    price_usd_per_j: Floats | None
    """Price of the energy; absent where the power is."""
    carbon_g_per_j: Floats | None
    """Carbon intensity of it; absent where the power is."""


def series(
    outcome: Outcome,
    recording: Recording,
    power: Power | None,
    *,
    sleep_after_s: float | None = None,
) -> tuple[Series, ...]:
    """Return the queues hour by hour, and last the whole centre."""
    meter = Meter(outcome, power, sleep_after_s=sleep_after_s)
    num_hours = max(1, int(np.ceil(outcome.end_s / SECONDS_PER_HOUR)))
    lasts = np.full(num_hours, SECONDS_PER_HOUR)
    lasts[-1] = outcome.end_s - (num_hours - 1) * SECONDS_PER_HOUR or SECONDS_PER_HOUR
    used = queue_use(recording, num_hours, SECONDS_PER_HOUR) / lasts
    waiting = queue_waiting(recording, num_hours, SECONDS_PER_HOUR) / lasts
    down = _nodes_down(recording, num_hours) / lasts
    rows = [
        _row(str(name), (used[i], waiting[i], down[i]), meter, power, lasts)
        for i, name in enumerate(recording.queue_name)
    ]
    counted = has_gpus(recording) if recording.node_gpus.any() else slice(None)
    whole = (used[counted].sum(axis=0), waiting.sum(axis=0), down.sum(axis=0))
    return (*rows, _row(WHOLE, whole, meter, power, lasts))


def has_gpus(recording: Recording) -> npt.NDArray[np.bool_]:
    """Return which queues have jobs or nodes with accelerators, shape (num_queues,)."""
    found = np.zeros(recording.queue_name.size, dtype=np.bool_)
    found[recording.queue_of_node[recording.node_gpus > 0]] = True
    found[recording.queue_of_job[recording.job_gpus > 0]] = True
    return found


def queue_use(recording: Recording, num_steps: int, step_s: float) -> Floats:
    """Return accelerator-seconds in use by each queue's jobs in each step of time.

    The shape is (num_queues, num_steps); jobs without accelerators count core-seconds.
    """
    held = spans.attempts(recording)
    quanta = np.bincount(held.attempt, held.quanta, minlength=held.subject.size)
    return spans.integrals(
        (held.since_s, held.until_s),
        np.where(recording.job_gpus[held.subject] > 0, quanta / QUANTA, quanta),
        recording.queue_of_job[held.subject],
        shape=(recording.queue_name.size, num_steps),
        step_s=step_s,
    )


def queue_waiting(recording: Recording, num_steps: int, step_s: float) -> Floats:
    """Return job-seconds of waiting of each queue's jobs in each step of time, likewise."""
    waits = spans.waits(recording)
    return spans.integrals(
        (waits.since_s, waits.until_s),
        np.ones(waits.subject.size),
        recording.queue_of_job[waits.subject],
        shape=(recording.queue_name.size, num_steps),
        step_s=step_s,
    )


def _nodes_down(recording: Recording, num_hours: int) -> Floats:
    """Return node-seconds lost of each queue's nodes in each hour."""
    lost = spans.losses(recording)
    return spans.integrals(
        (lost.since_s, lost.until_s),
        np.ones(lost.subject.size),
        recording.queue_of_node[lost.subject],
        shape=(recording.queue_name.size, num_hours),
        step_s=SECONDS_PER_HOUR,
    )


def _row(
    name: str,
    levels: tuple[Floats, Floats, Floats],
    meter: Meter,
    power: Power | None,
    lasts: Floats,
) -> Series:
    used, waiting, down = levels
    energy = meter.hourly_j(None if name == WHOLE else name)
    return Series(
        name=name,
        used=used,
        waiting=waiting,
        nodes_down=down,
        power_w=None if energy is None else energy / lasts,
        price_usd_per_j=np.resize(power.price_usd_per_j, lasts.size)
        if power and energy is not None
        else None,
        carbon_g_per_j=np.resize(power.carbon_g_per_j, lasts.size)
        if power and energy is not None
        else None,
    )
