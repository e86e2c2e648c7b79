"""What starting and pausing by price or carbon saves a design, zone by zone, and what it could.

The demand's jobs run twice through the hours of a real series: at once, and as `sched.deferral`
decides from what is known in each hour. A third figure is the least that perfect foresight could
reach with the same work, deadlines and failures.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clusterwright import twin
from clusterwright.catalog import Catalog
from clusterwright.catalog.catalog import HourlySeries
from clusterwright.errors import UsageError
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design
from clusterwright.model.job import Job
from clusterwright.sched.deferral import Deferrable, decide
from clusterwright.sched.outlook import Hours
from clusterwright.sched.prospect import Prospect, Signal
from clusterwright.sched.sleep import SleepingNode, sleeps_after_s
from clusterwright.study import deferred
from clusterwright.study.deferred import Course, Rule, Task
from clusterwright.study.foresight import least_cost, slot_of
from clusterwright.study.idle import slept_j
from clusterwright.study.terms import Terms, tasks_of, terms_of
from clusterwright.units import (
    GRAMS_PER_TONNE,
    SECONDS_PER_HOUR,
    Fraction,
    Grams,
    Ratio,
    Seconds,
    Usd,
)

Market = Literal["day-ahead", "spot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergySetting:
    """How a study is made."""

    signal: Signal = "price"
    """What the centre waits for: cheap hours, clean hours, or both at a carbon price."""
    market: Market = "day-ahead"
    """Whether prices are known ahead; carbon never is."""
    usd_per_tonne: float = 0.0
    """Price of a tonne of CO2e, for `both`."""
    first_hour: int = 0
    """Hour of the series in which the run begins; earlier ones are known as the past."""
    num_hours: int = 8760
    """Hours of the run."""
    failures: bool = True
    """Whether nodes fail."""
    caution_ratio: Ratio = 1.0
    """How many times its cost a pause must be expected to save."""
    seed: int = 0
    """Seed of the random streams."""

    def __post_init__(self) -> None:
        """Refuse a run of no time and a mix without its price."""
        if self.first_hour < 0 or self.num_hours < 1:
            msg = "a run begins at or after the first hour of the series and lasts an hour or more"
            raise UsageError(msg)
        if self.signal == "both" and not self.usd_per_tonne > 0:
            msg = "the signal `both` weighs carbon by its price: give one above zero in USD/t"
            raise UsageError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneEnergy:
    """One zone with and without waiting for better hours; `after` is with it."""

    zone: str
    """Zone of the series."""
    num_tasks: int
    """Jobs that could wait."""
    num_on_time_before: int
    """Of them through before their deadline when they run at once."""
    num_on_time_after: int
    """Of them through before their deadline when they wait."""
    num_pauses: int
    """Pauses made."""
    saving_fraction: Fraction
    """Saved of the signal, as a share of what the jobs that can wait take above idle."""
    bound_fraction: Fraction
    """What perfect foresight could save of it."""
    of_bound_ratio: Ratio | None
    """Saving over bound; absent where there is nothing to save."""
    cost_saving_fraction: Fraction
    """Saved cost, as a share of what those jobs cost above idle."""
    carbon_saving_fraction: Fraction
    """Saved carbon, likewise."""
    cost_before_usd: Usd
    """What those jobs cost above idle."""
    carbon_before_g: Grams
    """What those jobs emit above idle."""
    deferrable_energy_fraction: Fraction
    """Share of the facility's energy that can wait."""
    bill_before_usd: Usd
    """What the whole facility costs."""
    bill_saving_fraction: Fraction
    """Saved cost, as a share of that."""
    bill_bound_fraction: Fraction | None
    """Cost that foresight could save, as a share of that; absent when the signal is not price."""
    sleep_saving_fraction: Fraction
    """What switching idle nodes off would save of the bill on top, woken without foresight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyStudy:
    """A study: what can wait, and what each zone saves."""

    terms: tuple[Terms, ...]
    """Every workload with what its demand grants."""
    zones: tuple[ZoneEnergy, ...]
    """The zones, in the order asked for."""
    power_w: Hours
    """Draw of the facility by hour in the last zone, at once, for pictures."""
    waited_w: Hours
    """The same with waiting."""


def study_energy(
    demand: Demand,
    design: Design,
    catalog: Catalog,
    zones: Mapping[str, HourlySeries],
    setting: EnergySetting,
) -> EnergyStudy:
    """Return what waiting for better hours saves a design in each zone.

    Raises
    ------
    UsageError
        If nothing of the demand can wait, no deadline lies in the run, or a series is too short.
    """
    horizon = setting.num_hours * SECONDS_PER_HOUR
    jobs = twin.jobs_of(demand, design, catalog, horizon_s=horizon, seed=setting.seed)
    power = twin.power_of(design, catalog, hourly=False)
    tasks = tasks_of(
        demand,
        design,
        catalog,
        jobs,
        power,
        horizon_s=horizon,
        rng=np.random.default_rng([setting.seed, 14]) if setting.failures else None,
    )
    terms = terms_of(demand, design)
    if not tasks:
        words = "; ".join(f"{one.name}: {one.reason}" for one in terms)
        msg = (
            f"no work of {demand.name!r} that can wait has its deadline within "
            f"{setting.num_hours / 24:g} days ({words}). Run longer, or grant a campaign more time."
        )
        raise UsageError(msg)
    centre = _centre(design, catalog, jobs, tasks, power, setting)
    found, before, after = [], centre.base_w, centre.base_w
    for zone, series in zones.items():
        one, before, after = _study_zone(zone, series, centre, setting)
        found.append(one)
    return EnergyStudy(terms=terms, zones=tuple(found), power_w=before, waited_w=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Centre:
    """What is the same in every zone."""

    design: Design
    power: twin.Power
    tasks: Mapping[str, Sequence[Task]]
    room: Mapping[str, Hours]
    used: Mapping[str, Hours]
    at_once: Mapping[str, Course]
    risk_fraction: float
    asleep_fraction: float
    wake_s: float
    published_hour: int | None

    @property
    def base_w(self) -> Hours:
        """Draw of the facility by hour without the tasks."""
        power = self.power
        watts = np.asarray(power.other_power_w)
        for pool in self.design.spec.compute.pools:
            step = (power.busy_fraction - power.idle_fraction) * self.used[pool.name]
            watts = watts + pool.power_w * (power.idle_fraction + step)
        return watts * power.pue_ratio


def held(jobs: Sequence[Job], whole: float, hours: int) -> Hours:
    """Return what jobs take of a pool by hour when they start at once, room permitting.

    What does not fit in an hour is done in the next ones: work is kept, its order is not.
    """
    asked = np.zeros(hours + 1)
    for job in jobs:
        size = job.num_gpus_ratio or job.num_cpus
        begin = job.submit_s / SECONDS_PER_HOUR
        end = min(begin + job.duration_s / SECONDS_PER_HOUR, float(hours))
        first, last = int(begin), int(end)
        asked[first] += size * (min(first + 1, end) - begin)
        if last > first:
            asked[first + 1 : last] += size
            asked[last] += size * (end - last)
    taken, late = np.zeros(hours), 0.0
    for hour in range(hours):
        late += asked[hour]
        taken[hour] = min(late, whole)
        late -= taken[hour]
    return taken


def _centre(
    design: Design,
    catalog: Catalog,
    jobs: Sequence[Job],
    tasks: Mapping[str, Sequence[Task]],
    power: twin.Power,
    setting: EnergySetting,
) -> _Centre:
    names = {task.name for group in tasks.values() for task in group}
    used, room = {}, {}
    for pool in design.spec.compute.pools:
        whole = float(pool.num_accelerators or pool.num_cpus)
        mine = [j for j in jobs if j.queue == pool.name and j.job_id not in names]
        taken = held(mine, whole, setting.num_hours)
        used[pool.name], room[pool.name] = taken / whole, whole - taken
    risk = catalog.default("plan.deadline_risk", Fraction)
    published = catalog.default("plan.day_ahead_published", Seconds) / SECONDS_PER_HOUR
    return _Centre(
        design=design,
        power=power,
        tasks=tasks,
        room=room,
        used=used,
        at_once={
            pool: deferred.run(group, room[pool], deferred.at_once, risk_fraction=risk)
            for pool, group in tasks.items()
        },
        risk_fraction=risk,
        asleep_fraction=catalog.default("plan.sleep_power", Fraction),
        wake_s=catalog.default("plan.wake_time", Seconds),
        published_hour=round(published) if setting.market == "day-ahead" else None,
    )


def _study_zone(
    zone: str, series: HourlySeries, centre: _Centre, setting: EnergySetting
) -> tuple[ZoneEnergy, Hours, Hours]:
    last = setting.first_hour + setting.num_hours
    price, carbon = np.array(series.price_usd_per_j), np.array(series.carbon_g_per_j)
    if price.size < last:
        msg = (
            f"{zone}: its series has {price.size:,} hours, the run needs {last:,}; run shorter or "
            "begin earlier"
        )
        raise UsageError(msg)
    rule = _rule(price, carbon, centre.published_hour, setting)
    price, carbon = price[setting.first_hour : last], carbon[setting.first_hour : last]
    value = _mixed(price, carbon, setting)
    waited = {
        pool: deferred.run(group, centre.room[pool], rule, risk_fraction=centre.risk_fraction)
        for pool, group in centre.tasks.items()
    }
    least = math.fsum(
        least_cost(
            [slot_of(task) for task in group],
            [value * task.power_w * SECONDS_PER_HOUR for task in group],
            centre.room[pool],
        )
        for pool, group in centre.tasks.items()
    )
    before_j, after_j = (_drawn_j(centre, courses) for courses in (centre.at_once, waited))
    base_j = centre.base_w * SECONDS_PER_HOUR
    bill = float((base_j + before_j) @ price)
    saved = before_j - after_j
    signal_before = float(before_j @ value)
    bound = signal_before - least
    found = ZoneEnergy(
        zone=zone,
        num_tasks=sum(len(group) for group in centre.tasks.values()),
        num_on_time_before=_num_on_time(centre.tasks, centre.at_once),
        num_on_time_after=_num_on_time(centre.tasks, waited),
        num_pauses=sum(course.num_pauses for course in waited.values()),
        saving_fraction=_share(float(saved @ value), signal_before),
        bound_fraction=_share(bound, signal_before),
        of_bound_ratio=_share(float(saved @ value), bound) if bound > 0 else None,
        cost_saving_fraction=_share(float(saved @ price), float(before_j @ price)),
        carbon_saving_fraction=_share(float(saved @ carbon), float(before_j @ carbon)),
        cost_before_usd=float(before_j @ price),
        carbon_before_g=float(before_j @ carbon),
        deferrable_energy_fraction=float(before_j.sum() / (base_j + before_j).sum()),
        bill_before_usd=bill,
        bill_saving_fraction=_share(float(saved @ price), bill),
        bill_bound_fraction=_share(bound, bill) if setting.signal == "price" else None,
        sleep_saving_fraction=_share(float(_asleep_j(centre, waited) @ price), bill),
    )
    return found, (base_j + before_j) / SECONDS_PER_HOUR, (base_j + after_j) / SECONDS_PER_HOUR


def _rule(price: Hours, carbon: Hours, published: int | None, setting: EnergySetting) -> Rule:
    """Return the rule of a centre that knows only what has been published."""
    prospect = Prospect(
        signal=setting.signal,
        price_usd_per_j=price,
        carbon_g_per_j=carbon,
        published_hour=published,
        usd_per_tonne=setting.usd_per_tonne,
    )

    def rule(work: Deferrable, hour: int) -> bool:
        ahead = max(1, math.ceil(work.due_s / SECONDS_PER_HOUR))
        seen = prospect.seen(setting.first_hour + hour, ahead)
        return decide(work, seen, caution_ratio=setting.caution_ratio).run

    return rule


def _mixed(price: Hours, carbon: Hours, setting: EnergySetting) -> Hours:
    match setting.signal:
        case "price":
            return price
        case "carbon":
            return carbon
        case "both":
            return price + setting.usd_per_tonne / GRAMS_PER_TONNE * carbon


def _drawn_j(centre: _Centre, courses: Mapping[str, Course]) -> Hours:
    """Return what the tasks take above idle, by hour."""
    drawn = np.zeros_like(centre.base_w)
    for pool, group in centre.tasks.items():
        drawn += np.array([task.power_w for task in group]) @ courses[pool].run_s
    return drawn


def _num_on_time(tasks: Mapping[str, Sequence[Task]], courses: Mapping[str, Course]) -> int:
    return sum(
        end <= task.due_s  # false where it never ended
        for pool, group in tasks.items()
        for task, end in zip(group, courses[pool].ends_s, strict=True)
    )


def _asleep_j(centre: _Centre, courses: Mapping[str, Course]) -> Hours:
    """Return what sleeping nodes save by hour, the rule of `sched.sleep` without a forecast."""
    saved = np.zeros(next(iter(centre.used.values())).size)
    for pool in centre.design.spec.compute.pools:
        fraction = centre.used[pool.name].copy()
        if pool.name in courses:
            gpus = np.array([task.num_gpus_ratio for task in centre.tasks[pool.name]])
            held_s = gpus @ courses[pool.name].run_s
            fraction += held_s / SECONDS_PER_HOUR / pool.num_accelerators
        watts = pool.server_power_w
        node = SleepingNode(
            idle_w=watts * centre.power.idle_fraction,
            asleep_w=watts * centre.asleep_fraction,
            wake_s=centre.wake_s,
            wake_w=watts * centre.power.idle_fraction,
        )
        busy = np.ceil(fraction * pool.num_servers - 1e-9).astype(np.int64)
        saved += slept_j(busy, pool.num_servers, node, after_s=sleeps_after_s(node))
    return saved * centre.power.pue_ratio


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
