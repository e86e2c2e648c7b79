"""Which limits a design breaks, and what would mend that at the least cost."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from clusterwright.errors import ClusterwrightError
from clusterwright.model.design import Conflict, Relaxation
from clusterwright.model.work import Training
from clusterwright.plan.draft import Draft
from clusterwright.plan.terms import Terms
from clusterwright.units import (
    GramsPerYear,
    Seconds,
    Usd,
    UsdPerYear,
    Watts,
    parse,
)
from clusterwright.units import (
    format as show,
)

_CLOSE = 1e-9  # relative; a limit met to the last digit is met
_STEP = 1e-4  # relative; finer than the four digits that are shown
_TRIES = 12  # of a smaller pool; each halves the distance to the limit

Redraft = Callable[[int], Draft]
"""Draws the same candidate with another size of the training pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broken:
    path: str
    asked: float
    reached: float
    alias: object
    shrinks: bool  # true when a smaller training pool lowers it


def conflicts(draft: Draft, terms: Terms) -> tuple[Conflict, ...]:
    """Return every limit of the demand that a design breaks."""
    found = [
        Conflict(
            limit=one.path,
            asked=_said(one.asked, one.alias),
            reached=_enough(one.reached, one.alias),
            shortfall_ratio=one.reached / one.asked - 1
            if one.asked and math.isfinite(one.reached)
            else None,
        )
        for one in _broken(draft, terms)
    ]
    found += [
        Conflict(limit="workloads", asked="to run", reached=why) for why in draft.workforce.missing
    ]
    found += [
        Conflict(
            limit=f"workloads[{_number(one.workload, terms)}]",
            asked="to fit the accelerator's memory",
            reached=one.reason,
        )
        for one in draft.workforce.strategies
        if one.chosen and not one.fits
    ]
    return tuple(found)


def relaxations(draft: Draft, terms: Terms, redraft: Redraft) -> tuple[Relaxation, ...]:
    """Return changes of the demand that would mend a design, the cheapest first.

    A broken limit can be raised to what the design comes to; where several are broken, all of them
    must be, and they cost what the furthest of them does. A broken deadline can be met by more
    accelerators, at their cost. Limits that the training pool drives can be met by a smaller pool,
    at the time that it then takes.
    """
    broken = list(_broken(draft, terms))
    together = max((_dearness(one) for one in broken), default=0.0)
    found = [(together, _raised(one, broken, draft)) for one in broken]
    for number, campaign in enumerate(terms.demand.workloads):
        late = any(one.path == f"workloads[{number}].within" for one in broken)
        if isinstance(campaign, Training) and late:
            found.extend(_larger(number, campaign, draft, redraft))
    if any(one.shrinks for one in broken):
        found.extend(_smaller(draft, terms, redraft))
    return tuple(one for _, one in sorted(found, key=lambda pair: pair[0]))


def _broken(draft: Draft, terms: Terms) -> Iterator[_Broken]:
    limits, hall = terms.demand.limits, terms.demand.site.hall
    money, house = draft.economics, draft.facility
    candidates: list[tuple[str, float | None, float, object, bool]] = [
        ("limits.capex", limits.capex_usd, money.capex_usd, Usd, True),
        ("limits.opex", limits.opex_usd_per_year, money.opex_usd_per_year, UsdPerYear, True),
        ("limits.power", limits.power_w, house.facility_power_w, Watts, True),
        ("limits.carbon", limits.carbon_g_per_year, house.carbon_g_per_year, GramsPerYear, True),
    ]
    if hall is not None:
        candidates.append(("site.hall.power", hall.power_w, house.it_power_w, Watts, True))
        racks = None if hall.num_racks is None else float(hall.num_racks)
        candidates.append(("site.hall.racks", racks, float(house.num_racks), None, True))
    for group in draft.hall.groups:
        power = group.fullest_power_w
        if group.kind != "network":
            candidates.append(("site.rack_power", group.limit_w, power, Watts, False))
            candidates.append(("site.cooling", terms.cooling.max_rack_power_w, power, Watts, False))
    for number, work in enumerate(terms.demand.workloads):
        if isinstance(work, Training):
            reached = _duration(work.name, draft)
            candidates.append(
                (f"workloads[{number}].within", work.within_s, reached, Seconds, False)
            )
    for one in draft.workforce.waiting:
        path = f"workloads[{_number(one.workload, terms)}].wait.p95"
        candidates.append((path, one.asked_s, one.p95_s, Seconds, False))
    seen = set()
    for path, asked, reached, alias, shrinks in candidates:
        if asked is not None and reached > asked * (1 + _CLOSE) and path not in seen:
            seen.add(path)
            yield _Broken(path=path, asked=asked, reached=reached, alias=alias, shrinks=shrinks)


def _duration(name: str, draft: Draft) -> float:
    return next(
        (s.duration_s for s in draft.workforce.strategies if s.workload == name and s.chosen), 0.0
    )


def _number(name: str, terms: Terms) -> int:
    return next(n for n, one in enumerate(terms.demand.workloads) if one.name == name)


def _said(value: float, alias: object) -> str:
    if math.isinf(value):
        return "no end"
    return f"{value:,.0f}" if alias is None else show(value, alias, digits=4)


def _enough(value: float, alias: object) -> str:
    """Return a value rounded up: a limit that is set to what stands here does hold the value."""
    if alias is None:
        return f"{math.ceil(value - _CLOSE)}" if math.isfinite(value) else "no end"
    text, raised = _said(value, alias), value
    while math.isfinite(value) and parse(text, alias) < value:
        raised *= 1 + _STEP
        text = _said(raised, alias)
    return text


def _dearness(one: _Broken) -> float:
    """Return how far a limit would have to move, as a share of itself."""
    return one.reached / one.asked - 1 if one.asked and math.isfinite(one.reached) else math.inf


def _raised(one: _Broken, broken: Sequence[_Broken], draft: Draft) -> Relaxation:
    others = [other.path for other in broken if other.path != one.path]
    beside = f", with {' and '.join(others)} raised too" if others else ""
    if one.path == "site.cooling":
        return Relaxation(
            path=one.path,
            change="liquid",
            effect=f"cools racks denser than {_said(one.asked, one.alias)}{beside}",
        )
    if math.isinf(one.reached):
        return Relaxation(
            path=one.path.removesuffix(".wait.p95"),
            change="fewer or shorter jobs, or more accelerators",
            effect="the stream offers more work than the pool can do: it never ends",
        )
    build = show(draft.economics.capex_usd, Usd)
    return Relaxation(
        path=one.path,
        change=_enough(one.reached, one.alias),
        effect=f"takes the design as it is{beside}: {build} to build",
    )


def _larger(
    number: int, campaign: Training, draft: Draft, redraft: Redraft
) -> Iterator[tuple[float, Relaxation]]:
    """Offer the pool that would meet the deadline, where the demand fixes a smaller one."""
    if campaign.num_accelerators is None:
        return
    wanted, tried = campaign.num_accelerators, draft
    for _ in range(_TRIES):
        late = _duration(campaign.name, tried) / campaign.within_s
        wanted = math.ceil(wanted * max(late, 1.01))
        try:
            tried = redraft(wanted)
        except ClusterwrightError:
            return
        wanted = next(p.num_accelerators for p in tried.workforce.pools if p.role == "training")
        if _duration(campaign.name, tried) <= campaign.within_s:
            more = tried.economics.capex_usd / draft.economics.capex_usd - 1
            yield (
                more,
                Relaxation(
                    path=f"workloads[{number}].accelerators",
                    change=str(wanted),
                    effect=(
                        f"meets the deadline for {show(tried.economics.capex_usd, Usd)} "
                        f"instead of {show(draft.economics.capex_usd, Usd)}"
                    ),
                ),
            )
            return


def _smaller(draft: Draft, terms: Terms, redraft: Redraft) -> Iterator[tuple[float, Relaxation]]:
    """Offer the deadline at which the largest pool within all limits would finish."""
    campaigns = [
        (number, one)
        for number, one in enumerate(terms.demand.workloads)
        if isinstance(one, Training)
    ]
    pool = next((p for p in draft.workforce.pools if p.role == "training"), None)
    if len(campaigns) != 1 or pool is None:
        return
    number, campaign = campaigns[0]
    low, high, best = 0, pool.num_accelerators, None
    for _ in range(_TRIES):
        middle = (low + high) // 2
        if middle <= low:
            break
        try:
            tried = redraft(middle)
        except ClusterwrightError:
            low = middle
            continue
        if any(one.shrinks for one in _broken(tried, terms)):
            high = middle
        else:
            low, best = middle, tried
    if best is None:
        return
    takes = _duration(campaign.name, best)
    count = next(p.num_accelerators for p in best.workforce.pools if p.role == "training")
    yield (
        takes / campaign.within_s - 1,
        Relaxation(
            path=f"workloads[{number}].within",
            change=_enough(takes, Seconds),
            effect=f"keeps every limit with {count:,} accelerators",
        ),
    )
