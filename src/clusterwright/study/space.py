"""What a policy is searched among: values for each of its fields, and the points of that grid.

A point has one place for each dimension. Fields that do nothing beside others (ageing in order of
submission, a half-life without fair sharing) are held at the value of the policy started from, so
that one policy is one candidate however it is reached.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from clusterwright import documents, sched
from clusterwright.errors import Fault, InvalidInput
from clusterwright.learn import Guess
from clusterwright.model.policy import Backfill, Policy, Preempt
from clusterwright.units import (
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    SECONDS_PER_MINUTE,
    Ratio,
    Seconds,
)

Never = Literal["never"]
Point = tuple[int, ...]
Spread = Callable[[tuple[str, ...], Guess], float]

ORACLES = ("duration", "remaining")
"""Order keys that read what nobody knows beforehand."""

_DAY, _HOUR, _MINUTE = SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE
# What the first key spreads over is outweighed by so much waiting.
_AGED_S = (30 * _DAY, 10 * _DAY, 3 * _DAY, _DAY, 8 * _HOUR)
_GUESSED = frozenset({"estimate", "work"})
_SORTED = (
    *("ageing_ratio", "patience_s", "backfill_depth", "shield_s"),
    *("reclaim_after_s", "half_life_s", "sleep_after_s"),
)


@documents.kind("PolicySpace", layout="flat")
@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpace:
    """Which policies are searched: a field that is left out takes the values of the study."""

    name: str = "space"
    """Its name."""
    order: tuple[tuple[str, ...], ...] | None = None
    """Lists of order keys; keys that know true durations are refused."""
    guess: tuple[Guess, ...] | None = None
    """What is told as the estimate of a job: `order` (what orders jobs when multiplied by
    accelerators), `mean`, `p50` or `p90` of its run time."""
    ageing_ratio: tuple[Ratio, ...] | None = None
    """How far a job moves up for each second that it waits."""
    patience_s: tuple[Seconds | Never, ...] | None = None
    """Times after which a waiting job goes first."""
    backfill: tuple[Backfill, ...] | None = None
    """Kinds of backfill."""
    backfill_depth: tuple[int, ...] | None = None
    """How many waiting jobs backfill looks at."""
    placement: tuple[str, ...] | None = None
    """Placements."""
    preempt: tuple[tuple[Preempt, ...], ...] | None = None
    """Lists of who may stop running jobs; `order` is refused, it compares true times left."""
    shield_s: tuple[Seconds, ...] | None = None
    """Times that a job runs before it may be stopped."""
    reclaim_after_s: tuple[Seconds, ...] | None = None
    """Times that a queue waits for what it is owed."""
    half_life_s: tuple[Seconds | Never, ...] | None = None
    """Times in which past usage counts half."""
    sleep_after_s: tuple[Seconds | Never, ...] | None = None
    """Idle times after which a node is put to sleep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A policy, and what it is told of run times."""

    policy: Policy
    """The policy."""
    guess: Guess = "order"
    """Which number of an outlook stands as the estimate of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What of a policy can matter at all where it is to run."""

    lending: bool
    """True when queues share nodes by quotas."""
    priorities: bool
    """True when jobs differ in priority."""
    deadlines: bool
    """True when a job has a deadline."""
    topology: bool
    """True when leaves or scale-up domains are known."""
    power: bool
    """True when it is known what nodes draw."""


_FIELDS = tuple(name for name in PolicySpace.__dataclass_fields__ if name != "name")


def refuse_oracles(policy: Policy, *, file: str = "") -> None:
    """Refuse a policy that reads what is not known beforehand.

    Raises
    ------
    InvalidInput
        If it does.
    """
    faults = _oracles(policy.order, policy.preempt, file)
    if faults:
        raise InvalidInput(faults)


def check(space: PolicySpace, *, file: str = "") -> None:
    """Refuse a space that holds what does not exist, or what only an oracle could follow.

    Raises
    ------
    InvalidInput
        With every fault at once.
    """
    faults = [
        Fault(file=file, path=field, message="is empty", remedy="name a value")
        for field in _FIELDS
        if getattr(space, field) == ()
    ]
    for order in space.order or ():
        faults += _faults(Policy(name=space.name, order=order), file)
        faults += _oracles(order, (), file)
    for placement in space.placement or ():
        faults += _faults(Policy(name=space.name, placement=placement), file)
    for depth in space.backfill_depth or ():
        faults += _faults(Policy(name=space.name, backfill_depth=depth), file)
    for rules in space.preempt or ():
        faults += _oracles((), rules, file)
    if faults:
        raise InvalidInput(faults)


class Grid:
    """Every candidate of a space."""

    def __init__(
        self, space: PolicySpace, start: Candidate, facts: Facts, spread_of: Spread
    ) -> None:
        """Lay out the values.

        Parameters
        ----------
        space
            What was asked for.
        start
            The policy started from.
        facts
            What can matter; the study's own values leave out what cannot.
        spread_of
            From order keys and a guess to the standard deviation over the jobs of the key that
            ages.
        """
        own = _usual(start, facts)
        asked = {field: getattr(space, field) for field in _FIELDS}
        self.start = start
        self.lending = facts.lending
        self._spread_of = spread_of
        self._aged: dict[tuple[tuple[str, ...], Guess], tuple[float, ...]] = {}
        self.values: Mapping[str, tuple[Any, ...]] = {
            field: tuple(None if one == "never" else one for one in asked[field] or own[field])
            for field in _FIELDS
        }
        self.free_ageing = asked["ageing_ratio"] is None

    def candidate(self, point: Point) -> Candidate:
        """Return the candidate at a point."""
        told = {field: self.values[field][i] for field, i in zip(self.values, point, strict=True)}
        guess: Guess = told.pop("guess")
        if self.free_ageing:
            told["ageing_ratio"] = self._ageing(told["order"], guess)[
                point[self._at("ageing_ratio")]
            ]
        policy = replace(self.start.policy, **told)
        return effective(Candidate(policy=policy, guess=guess), self.start, lending=self.lending)

    def point_of(self, candidate: Candidate) -> Point | None:
        """Return a point of a candidate; None where the space does not hold it."""
        point = []
        for field in self.values:
            value = candidate.guess if field == "guess" else getattr(candidate.policy, field)
            values = self.values[field]
            if field == "ageing_ratio" and self.free_ageing:
                values = self._ageing(candidate.policy.order, candidate.guess)
            if value not in values:
                return None
            point.append(values.index(value))
        return tuple(point)

    def filling(self, count: int, rng: np.random.Generator) -> list[Point]:
        """Return points that take every value of every dimension about equally often."""
        columns = [
            rng.permutation(np.resize(rng.permutation(len(values)), count))
            for values in self.values.values()
        ]
        return [tuple(int(column[i]) for column in columns) for i in range(count)]

    @property
    def num_dimensions(self) -> int:
        """Fields of a point."""
        return len(self.values)

    def along(self, point: Point, place: int) -> list[Point]:
        """Return the points that differ from one in one dimension, the nearest first."""
        values = range(len(list(self.values.values())[place]))
        return [
            (*point[:place], other, *point[place + 1 :])
            for other in sorted(values, key=lambda other: abs(other - point[place]))
            if other != point[place]
        ]

    def _at(self, field: str) -> int:
        return list(self.values).index(field)

    def _ageing(self, order: tuple[str, ...], guess: Guess) -> tuple[float, ...]:
        if (order, guess) not in self._aged:
            spread = self._spread_of(order, guess)
            # Four digits are enough, and can be read in a file.
            more = [float(f"{spread / aged_s:.4g}") for aged_s in _AGED_S]
            self._aged[order, guess] = (self.start.policy.ageing_ratio, *more)
        return self._aged[order, guess]


def effective(candidate: Candidate, start: Candidate, *, lending: bool) -> Candidate:
    """Return a candidate with what does nothing beside the rest as in the policy started from."""
    policy, base = candidate.policy, start.policy
    idle: dict[str, Any] = {}
    if aged_key(policy.order) in (None, "submitted"):
        idle["ageing_ratio"] = base.ageing_ratio
    if policy.backfill == "none":
        idle["backfill_depth"] = base.backfill_depth
    if not sched.may_stop(policy, lending=lending):
        idle["shield_s"] = base.shield_s
    if not lending:
        idle["reclaim_after_s"] = base.reclaim_after_s
    if "fair" not in policy.order:
        idle["half_life_s"] = base.half_life_s
    guess = candidate.guess if reads_guesses(candidate) else start.guess
    return Candidate(policy=replace(policy, **idle), guess=guess)


def reads_guesses(candidate: Candidate) -> bool:
    """Return whether a candidate decides by estimates of run times."""
    return candidate.policy.backfill != "none" or bool(_GUESSED & {*candidate.policy.order})


def changes(candidate: Candidate, start: Candidate) -> dict[str, Any]:
    """Return the fields in which a candidate differs from the policy started from."""
    found = {
        field: getattr(candidate.policy, field)
        for field in _FIELDS
        if field != "guess" and getattr(candidate.policy, field) != getattr(start.policy, field)
    }
    return found | ({"guess": candidate.guess} if candidate.guess != start.guess else {})


def aged_key(order: Sequence[str]) -> str | None:
    """Return the key of an order that ageing works on."""
    return next((name for name in order if name not in ("priority", "fair")), None)


def _usual(start: Candidate, facts: Facts) -> dict[str, tuple[Any, ...]]:
    """Return the values that are searched where nothing else is asked for, the start's first."""
    policy = start.policy
    orders = [("submitted",), ("size", "submitted"), ("estimate",), ("work",)]
    orders += [("fair", "submitted"), ("fair", "work")]
    if facts.deadlines:
        orders.append(("deadline",))
    rules: list[tuple[str, ...]] = [("reclaim",)] if facts.lending else []
    if facts.priorities:
        rules.append((*policy.preempt, "priority"))
    mine = {field: getattr(policy, field) for field in _FIELDS if field != "guess"}
    more: dict[str, Sequence[Any]] = {
        "order": [("priority", *order) for order in orders],
        "guess": ["order", "p50", "p90"],
        "patience_s": [None, 30 * _DAY, 10 * _DAY, 3 * _DAY, _DAY, 8 * _HOUR],
        "backfill": ["none", "easy", "conservative"],
        "placement": ["consolidate", "spread", *(["leaf"] if facts.topology else [])],
        "preempt": rules,
        "shield_s": [0.0, 10 * _MINUTE, _HOUR, 4 * _HOUR] if rules else [],
        "reclaim_after_s": [0.0, 10 * _MINUTE, _HOUR] if facts.lending else [],
        "half_life_s": [None, 30 * _DAY, 7 * _DAY, _DAY],
        "sleep_after_s": [None, _HOUR, 10 * _MINUTE] if facts.power else [],
    }
    found = {
        field: tuple(dict.fromkeys([mine.get(field, start.guess), *more.get(field, [])]))
        for field in _FIELDS
    }
    # Values of ageing follow from the order: here stand their places.
    for field in _SORTED:
        found[field] = tuple(sorted(found[field], key=lambda one: math.inf if one is None else one))
    found["ageing_ratio"] = tuple(range(1 + len(_AGED_S)))
    return found


def _faults(policy: Policy, file: str) -> list[Fault]:
    try:
        sched.checked(policy, file=file)
    except InvalidInput as error:
        return list(error.faults)
    return []


def _oracles(order: Sequence[str], preempt: Sequence[str], file: str) -> list[Fault]:
    remedy = "order by estimate, work or size; estimates are learned from what had ended"
    faults = [
        Fault(file=file, path="order", message=f"{key!r} reads true durations", remedy=remedy)
        for key in order
        if key in ORACLES
    ]
    if "order" in preempt:
        message = "'order' compares true times left"
        faults.append(Fault(file=file, path="preempt", message=message, remedy="leave it out"))
    return faults
