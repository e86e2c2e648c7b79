"""What a policy is searched for: one objective and limits, over the figures of a run.

A figure is written `FIELD`, `QUEUE:FIELD` or `*:FIELD` (the worst of all queues), its field with or
without the unit at its end. A limit holds a figure against a value, or against the same figure of
the policy started from: `p99_wait<=2d`, `*:p95_wait<=1.1*start`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_type_hints

from clusterwright import documents
from clusterwright.errors import Fault, InvalidInput, nearest
from clusterwright.model.run import Figures, Run
from clusterwright.units import InUnit, Ratio, UnitError, parse, unit_of

Sign = Literal["<=", ">=", "=="]
Measured = Mapping[str, Mapping[str, float]]
"""Figures by queue and field; those of the whole run stand under the empty name."""

ALL = ""
EACH = "*"
_MORE_IS_BETTER = frozenset(
    {
        *("num_jobs", "gpu_utilization_fraction", "gpu_allocation_fraction"),
        "goodput_fraction",
    }
)
_HINTS = get_type_hints(Figures, include_extras=True)
_NAMES = {info.path: field for info, field in zip(documents.fields(Figures), _HINTS, strict=True)}
_LIMIT = re.compile(r"(?P<figure>[^<>=]+?)\s*(?P<sign><=|>=|==)\s*(?P<bound>[^<>=]+)")
_OF_START = re.compile(r"(?:(?P<times>\d+(?:\.\d+)?)\s*\*\s*)?start")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of a run: of all, of a queue, or of the worst queue."""

    field: str
    """Field of the summary."""
    queue: str
    """Name of the queue; empty for all of them, `*` for the worst."""

    @property
    def more_is_better(self) -> bool:
        """Whether it is to be large."""
        return self.field in _MORE_IS_BETTER

    def of(self, measured: Measured, *, least: bool) -> float | None:
        """Return its value; None where no job of the queue came.

        With `least` the smallest of the queues is the worst, else the largest.
        """
        if self.queue != EACH:
            found = measured.get(self.queue)
            return None if found is None else found[self.field]
        values = [one[self.field] for queue, one in measured.items() if queue != ALL]
        return (min if least else max)(values, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The figure that is to become better."""

    text: str
    """As it was written."""
    figure: Figure
    """Which figure."""

    def of(self, measured: Measured) -> float:
        """Return its value; 0 where no job of the queue came."""
        return self.figure.of(measured, least=self.figure.more_is_better) or 0.0

    def cost(self, measured: Measured) -> float:
        """Return its value so that less is better."""
        value = self.of(measured)
        return -value if self.figure.more_is_better else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A bound on a figure."""

    text: str
    """As it was written."""
    figure: Figure
    """Which figure."""
    sign: Sign
    """How it is held against the bound."""
    bound: InUnit
    """The bound, in the unit of the field; times the start's figure where `of_start` is set."""
    of_start: bool
    """True when the bound is a multiple of the figure of the policy started from."""

    def value(self, runs: Sequence[Measured]) -> float | None:
        """Return what is held against the bound, the mean over runs; None where no job came."""
        found = [self.figure.of(one, least=self.sign == ">=") for one in runs]
        values = [one for one in found if one is not None]
        return math.fsum(values) / len(values) if values else None

    def excess_ratio(self, runs: Sequence[Measured], start: Sequence[Measured]) -> Ratio:
        """Return by how much it is missed, of the bound where that is not 0; 0 when it holds.

        A queue without jobs misses nothing. The mean over runs counts, as for the objective: the
        99th percentile of a window with two hundred jobs hangs on two of them.
        """
        value, bound = self.value(runs), self.bound
        if self.of_start:
            bound *= self.value(start) or 0.0
        if value is None:
            return 0.0
        off = {"<=": value - bound, ">=": bound - value, "==": abs(value - bound)}[self.sign]
        return max(0.0, off) / (abs(bound) or 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """All that is asked of a policy."""

    objective: Objective
    """What is to become better."""
    limits: tuple[Limit, ...]
    """What must hold."""

    def excess_ratio(self, runs: Sequence[Measured], start: Sequence[Measured]) -> Ratio:
        """Return by how much all limits are missed together, by the means over runs.

        No policy may leave jobs unfinished that the one started from finishes: their waits would
        not be counted.
        """
        pairs = zip(runs, start, strict=True)
        left = [one[ALL]["num_unfinished"] - base[ALL]["num_unfinished"] for one, base in pairs]
        missed = [limit.excess_ratio(runs, start) for limit in self.limits]
        return math.fsum([max(0.0, *left), *missed])


def measured_of(run: Run) -> Measured:
    """Return the figures of a run; a guarantee that nobody can break counts as kept."""
    return {
        name: {field: float(getattr(one, field) or 0.0) for field in _HINTS}
        for name, one in ((ALL, run.status), *((item.name, item) for item in run.items))
    }


def read(objective: str, limits: Sequence[str], queues: Sequence[str], *, power: bool) -> Wishes:
    """Return what texts ask for.

    Parameters
    ----------
    objective
        A figure.
    limits
        Limits.
    queues
        Queues that there are.
    power
        Whether it is known what nodes draw; without it energy, cost and carbon are refused.

    Raises
    ------
    InvalidInput
        With every fault at once.
    """
    faults: list[Fault] = []
    wanted = _figure(objective, f"--objective {objective}", queues, faults, power=power)
    found = [_limit(text, queues, faults, power=power) for text in limits]
    if faults or wanted is None:
        raise InvalidInput(faults)
    return Wishes(
        objective=Objective(text=objective, figure=wanted),
        limits=tuple(limit for limit in found if limit is not None),
    )


def alias_of(field: str) -> object | None:
    """Return the unit of a figure; None for counts."""
    hint: object = _HINTS[field]
    return hint if unit_of(hint) is not None else None


def _figure(
    text: str, place: str, queues: Sequence[str], faults: list[Fault], *, power: bool
) -> Figure | None:
    queue, colon, name = text.strip().rpartition(":")
    before = len(faults)
    field = name if name in _HINTS else _NAMES.get(name)
    if field is None:
        known = [*_NAMES, *_HINTS]
        near = nearest(name, known)
        remedy = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(_NAMES)}"
        faults.append(Fault(file=place, message=f"there is no figure {name!r}", remedy=remedy))
    elif not power and field in ("energy_j", "cost_usd", "carbon_g"):
        message = "nothing tells what the nodes draw"
        faults.append(Fault(file=place, message=message, remedy="give --design"))
    if colon and queue != EACH and queue not in queues:
        near = nearest(queue, queues)
        remedy = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(queues)}"
        faults.append(Fault(file=place, message=f"there is no queue {queue!r}", remedy=remedy))
    if field is None or len(faults) > before:
        return None
    return Figure(field=field, queue=queue if colon else ALL)


def _limit(text: str, queues: Sequence[str], faults: list[Fault], *, power: bool) -> Limit | None:
    place = f"--limit {text}"
    match = _LIMIT.fullmatch(text.strip())
    if match is None:
        remedy = "write a figure, then <=, >= or ==, then a value: p99_wait<=2d"
        faults.append(Fault(file=place, message="is no limit", remedy=remedy))
        return None
    figure = _figure(match["figure"], place, queues, faults, power=power)
    relative = _OF_START.fullmatch(match["bound"].strip())
    if figure is None:
        return None
    bound = float(relative["times"] or 1.0) if relative else None
    if bound is None:
        try:
            bound = _value(match["bound"].strip(), figure.field)
        except (UnitError, ValueError) as error:
            remedy = "or write start, or 1.1*start, to hold it against the policy started from"
            faults.append(Fault(file=place, message=str(error), remedy=remedy))
            return None
    sign: Sign = match["sign"]  # type: ignore[assignment]  # the pattern knows these three alone
    return Limit(text=text, figure=figure, sign=sign, bound=bound, of_start=relative is not None)


def _value(text: str, field: str) -> float:
    alias = alias_of(field)
    if alias is not None:
        return parse(text, alias)
    try:
        return float(int(text))
    except ValueError as error:
        msg = f"{text!r} is no whole number"
        raise ValueError(msg) from error
