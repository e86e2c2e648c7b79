"""Demand in, design out: candidates drawn, weighed, one taken, every reason kept."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clusterwright import documents
from clusterwright.catalog import Catalog
from clusterwright.documents import Places
from clusterwright.errors import ClusterwrightError
from clusterwright.model.compute import Strategy
from clusterwright.model.demand import Demand
from clusterwright.model.design import (
    Alternative,
    Choice,
    Conflict,
    Design,
    DesignSpec,
    DesignStatus,
    Rejected,
)
from clusterwright.model.work import Experiments, Inference, Seats, Simulation, Training
from clusterwright.plan import claims, pareto
from clusterwright.plan.draft import Draft, draft, staff
from clusterwright.plan.ledger import ledger
from clusterwright.plan.limits import conflicts, relaxations
from clusterwright.plan.terms import FabricKind, Terms, resolve
from clusterwright.units import Fraction, GramsPerYear, Seconds, Usd
from clusterwright.units import format as show


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One way of meeting the demand, worked out or known to fail."""

    accelerator: str
    kind: FabricKind
    allowed: bool
    draft: Draft | None
    broken: tuple[Conflict, ...]
    failure: str

    @property
    def name(self) -> str:
        return f"{self.accelerator}, {self.kind}"

    @property
    def feasible(self) -> bool:
        return self.allowed and self.draft is not None and not self.broken


def plan(
    demand: Demand, catalog: Catalog, *, file: str = "-", places: Places | None = None
) -> Design:
    """Return the design that meets a demand best, or comes closest to it.

    Parameters
    ----------
    demand
        As read.
    catalog
        What can be bought.
    file, places
        For messages: the demand's file, and where its values stand.

    Raises
    ------
    InvalidInput
        If the demand names what the catalogue does not know.
    """
    terms = resolve(demand, catalog, file=file, places=places)
    candidates = _candidates(terms, catalog)
    order = _order(candidates, terms, catalog)
    best = candidates[order[0]]
    if best.draft is None:
        raise _nothing_fits(candidates)
    return _design(terms, catalog, candidates, order, best, best.draft)


def _candidates(terms: Terms, catalog: Catalog) -> list[_Candidate]:
    """Draw every accelerator under every fabric; forbidden ones are drawn to compare."""
    allowed = {one.name for one in terms.allowed}
    accelerators = list(catalog.accelerators.values())
    kinds: tuple[FabricKind, ...] = terms.fabrics
    if terms.demand.fleet:
        given = catalog.accelerator(terms.demand.fleet[0].accelerator)
        accelerators, allowed = [given], {given.name}
    elif not needs_accelerators(terms.demand):
        accelerators, kinds = [terms.allowed[0]], kinds[:1]  # nothing hangs on the choice
    found = []
    for accelerator in accelerators:
        workforce, cannot = None, ""
        try:
            workforce = staff(terms, catalog, accelerator)
        except ClusterwrightError as error:
            cannot = str(error)
        for kind in kinds:
            work, failure = None, cannot
            try:
                if workforce is not None:
                    work = draft(terms, catalog, accelerator, workforce, kind)
            except ClusterwrightError as error:
                failure = str(error)
            found.append(
                _Candidate(
                    accelerator=accelerator.name,
                    kind=kind,
                    allowed=accelerator.name in allowed,
                    draft=work,
                    broken=conflicts(work, terms) if work is not None else (),
                    failure=failure,
                )
            )
    return found


def needs_accelerators(demand: Demand) -> bool:
    """Return whether any workload of a demand runs on accelerators."""
    return any(
        isinstance(one, Training | Experiments | Seats | Inference)
        or (isinstance(one, Simulation) and one.case.num_gpus > 0)
        for one in demand.workloads
    )


def _order(candidates: Sequence[_Candidate], terms: Terms, catalog: Catalog) -> list[int]:
    """Return candidates from best to worst: feasible ones by the objective, others by shortfall."""
    points = _points(candidates)
    margin = 1 + catalog.default("plan.estimate_margin", Fraction)
    guessed = np.array([_estimated(one, catalog) for one in candidates])
    points[guessed] *= margin  # an estimate has to win by more than what it may be wrong
    ranks = pareto.ranked(points, [one.feasible for one in candidates], terms.demand.objective)
    place = {index: rank for rank, index in enumerate(ranks)}

    def key(index: int) -> tuple[bool, bool, bool, int, float, int]:
        one = candidates[index]
        return (
            not one.feasible,
            not one.allowed,
            one.draft is None,
            len(one.broken),
            sum(1.0 if c.shortfall_ratio is None else c.shortfall_ratio for c in one.broken),
            place[index],
        )

    return sorted(range(len(candidates)), key=key)


def _points(candidates: Sequence[_Candidate]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    worst = 1e30  # beyond any real figure, and far from overflow in what is done with it
    return np.array(
        [
            (worst, worst, worst)
            if one.draft is None
            else (
                one.draft.economics.tco_usd,
                one.draft.duration_s,
                one.draft.facility.carbon_g_per_year,
            )
            for one in candidates
        ]
    )


def _nothing_fits(candidates: Sequence[_Candidate]) -> ClusterwrightError:
    reasons = sorted({one.failure for one in candidates if one.allowed and one.failure})
    return ClusterwrightError("no candidate could be drawn at all:\n  " + "\n  ".join(reasons[:8]))


def _design(
    terms: Terms,
    catalog: Catalog,
    candidates: Sequence[_Candidate],
    order: Sequence[int],
    best: _Candidate,
    work: Draft,
) -> Design:
    demand = terms.demand
    text = documents.dump(demand, format="json")
    relaxed = relaxations(work, terms, lambda count: _redraw(terms, catalog, work, count))
    design = Design(
        name=demand.name,
        spec=DesignSpec(
            demand_digest=hashlib.sha256(text.encode()).hexdigest(),
            catalog_digest=catalog.digest,
            scalable_unit=_scalable_unit(work, catalog),
            compute=work.compute,
            fabric=work.fabric,
            storage=work.storage,
            facility=work.facility,
            economics=work.economics,
            reliability=work.workforce.reliability,
            bottlenecks=ledger(work, terms, catalog),
            choices=_choices(terms, candidates, order, best, work),
            assumptions=terms.assumptions,
            derivations=work.derivations,
            alternatives=_alternatives(candidates, order, catalog),
        ),
        status=DesignStatus(
            feasible=best.feasible,
            conflicts=best.broken,
            relaxations=relaxed if best.broken else (),
        ),
    )
    judged = claims.judged(demand.claims, design)
    return replace(design, spec=replace(design.spec, deviations=judged))


def _redraw(terms: Terms, catalog: Catalog, work: Draft, count: int) -> Draft:
    accelerator = catalog.accelerators[work.accelerator]
    workforce = staff(terms, catalog, accelerator, training_pool=count)
    return draft(terms, catalog, accelerator, workforce, work.kind)


def _scalable_unit(work: Draft, catalog: Catalog) -> str:
    servers = int(catalog.default("plan.scalable_unit_servers"))
    pool = next((one for one in work.workforce.pools if one.role == "training"), None)
    if pool is None or pool.num_servers < servers:
        return ""
    units = pool.num_servers / servers
    return f"{servers} servers ({units:,.4g} of them here)"


def _choices(
    terms: Terms,
    candidates: Sequence[_Candidate],
    order: Sequence[int],
    best: _Candidate,
    work: Draft,
) -> tuple[Choice, ...]:
    goal = terms.demand.objective if isinstance(terms.demand.objective, str) else "weighted goals"
    others = [candidates[index] for index in order if candidates[index] is not best]
    per_accelerator: dict[str, _Candidate] = {}
    for one in others:
        if one.accelerator != best.accelerator:
            per_accelerator.setdefault(one.accelerator, one)
    fabrics = [one for one in others if one.accelerator == best.accelerator]
    found = _hardware_choices(terms, best, work, per_accelerator, fabrics, goal)
    for name in dict.fromkeys(one.workload for one in work.workforce.strategies):
        shown = [one for one in work.workforce.strategies if one.workload == name]
        found.append(
            Choice(
                what=f"parallel strategy of {name}",
                chosen=_strategy_name(shown[0]),
                reason=shown[0].reason,
                rejected=tuple(
                    Rejected(
                        candidate=_strategy_name(one),
                        reason=f"{show(one.duration_s, Seconds)}; {one.reason}",
                    )
                    for one in shown[1:]
                ),
            )
        )
    found += [
        Choice(
            what=f"{tier.name} tier",
            chosen=f"{tier.num_servers:,} × {tier.system}, {tier.scheme}",
            reason=f"decided by {tier.sized_by}",
        )
        for tier in work.storage.tiers
        if tier.name != "local"
    ]
    found += _size_choices(terms, work)
    return tuple(found)


def _size_choices(terms: Terms, work: Draft) -> list[Choice]:
    campaigns = [one for one in terms.demand.workloads if isinstance(one, Training)]
    pool = next((one for one in work.workforce.pools if one.role == "training"), None)
    if not campaigns or pool is None or pool.owned or terms.demand.fleet:
        return []
    stated = any(one.num_accelerators for one in campaigns)
    found = [
        Choice(
            what="size of the training pool",
            chosen=f"{pool.num_accelerators:,}",
            reason="the demand states it" if stated else "the deadline decides, goodput included",
        )
    ]
    if pool.num_spare_servers:
        found.append(
            Choice(
                what="spare servers",
                chosen=f"{pool.num_spare_servers:,}",
                reason="so many are seldom out at once, and the gang goes on without repair",
            )
        )
    return found


def _hardware_choices(
    terms: Terms,
    best: _Candidate,
    work: Draft,
    per_accelerator: Mapping[str, _Candidate],
    fabrics: Sequence[_Candidate],
    goal: str,
) -> list[Choice]:
    if not needs_accelerators(terms.demand):
        return []
    return [
        Choice(
            what="accelerator",
            chosen=best.accelerator,
            reason=_why_best(best, terms, goal),
            rejected=tuple(
                Rejected(candidate=name, reason=_why_not(one, work))
                for name, one in per_accelerator.items()
            ),
        ),
        Choice(
            what="compute fabric",
            chosen=f"{best.kind}: {work.fabric.planes.compute.switch or 'none needed'}",
            reason=(
                "the only kind that the demand allows"
                if len(terms.fabrics) == 1
                else f"best by {goal} among the kinds allowed"
            ),
            rejected=tuple(
                Rejected(candidate=one.kind, reason=_why_not(one, work)) for one in fabrics
            ),
        ),
    ]


def _strategy_name(one: Strategy) -> str:
    parts = [f"TP{one.tp}", f"PP{one.pp}", f"DP{one.dp}"]
    parts += [f"CP{one.cp}"] if one.cp > 1 else []
    parts += [f"EP{one.ep}"] if one.ep > 1 else []
    return f"{'·'.join(parts)}, ZeRO-{one.zero_stage}"


def _why_best(best: _Candidate, terms: Terms, goal: str) -> str:
    if len(terms.allowed) == 1:
        return "the only one that the demand allows"
    if terms.demand.fleet:
        return "the demand gives the accelerators"
    state = "meets the demand" if best.feasible else "comes closest to the demand"
    return f"{state} and is best by {goal} among those allowed"


def _why_not(one: _Candidate, work: Draft) -> str:
    if one.draft is None:
        return one.failure
    cost = one.draft.economics.tco_usd / work.economics.tco_usd - 1
    figures = f"TCO {show(one.draft.economics.tco_usd, Usd)} ({cost:+.0%})"
    if one.draft.duration_s and work.duration_s:
        figures += f", {show(one.draft.duration_s, Seconds)} to train"
    figures += f", {show(one.draft.facility.carbon_g_per_year, GramsPerYear)}"
    if not one.allowed:
        return f"the demand does not allow it; {figures}"
    if one.broken:
        first = one.broken[0]
        return f"breaks {first.limit} ({first.reached}, asked {first.asked}); {figures}"
    return figures


def _alternatives(
    candidates: Sequence[_Candidate], order: Sequence[int], catalog: Catalog
) -> tuple[Alternative, ...]:
    drawn = [candidates[index] for index in order if candidates[index].draft is not None]
    front = pareto.undominated(_points(drawn))
    best = drawn[0].draft
    assert best is not None  # drawn
    return tuple(
        _alternative(one, best, catalog, pareto_best=bool(keep), first=number == 0)
        for number, (one, keep) in enumerate(zip(drawn, front, strict=True))
    )


def _alternative(
    one: _Candidate, best: Draft, catalog: Catalog, *, pareto_best: bool, first: bool
) -> Alternative:
    work = one.draft
    assert work is not None  # asked only for those that could be drawn
    training = [p for p in work.workforce.pools if p.role == "training"]
    return Alternative(
        name=one.name,
        accelerator=one.accelerator,
        fabric=one.kind,
        num_accelerators=sum(p.num_accelerators for p in training)
        or sum(p.num_accelerators for p in work.workforce.pools),
        feasible=one.feasible,
        duration_s=work.duration_s,
        capex_usd=work.economics.capex_usd,
        tco_usd=work.economics.tco_usd,
        it_power_w=work.facility.it_power_w,
        carbon_g_per_year=work.facility.carbon_g_per_year,
        pareto=pareto_best,
        estimated=_estimated(one, catalog),
        reason="taken" if first else _why_not(one, best),
    )


def _estimated(one: _Candidate, catalog: Catalog) -> bool:
    """Return whether price or step time of a candidate's accelerator is an estimate."""
    if one.draft is None or catalog.server_for(one.accelerator).provenance.estimated(""):
        return True
    return any(s.estimated for s in one.draft.workforce.strategies)
