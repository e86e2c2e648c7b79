"""How wrong the step model was: by family, by regime, in choosing, and at its worst.

Ratios are predicted over measured time. An error is the absolute difference of a ratio from one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.compute import counts
from clusterwright.compute.calibrate import Calibration, Scored
from clusterwright.compute.columns import Array, Layouts
from clusterwright.compute.rows import Run
from clusterwright.compute.stack import regimes_of
from clusterwright.units import Count, Fraction, Ratio, Seconds

BAR = 0.68
"""Share of the rows that an error bar holds."""
_FEWEST = 4  # rows that a regime needs for an error of its own
_LENT = 2.0  # families that the regime around another counts as
_SPANNED = 4.0  # doublings that a family has to span to show a drift
_FEWEST_CHOICES = 3  # strategies of a set in which the model chooses
_FEWEST_RANKS = 5  # of a set whose order is judged


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupError:
    """Errors of a group of rows."""

    name: str
    """What the rows have in common."""
    num_rows: int
    """Rows."""
    num_families: int
    """Families that they come from."""
    median_fraction: Fraction
    """Median error."""
    mean_fraction: Fraction
    """Mean error."""
    bar_fraction: Fraction
    """What two of three rows stay within."""
    bias_ratio: Ratio
    """Geometric mean of predicted over measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeError:
    """Error bar of a regime, and the range of runs that it was seen on."""

    own: GroupError
    """Errors of the regime's rows alone."""
    bar_fraction: Fraction
    """What two of three rows stay within, drawn up to the wider regimes' where families are few."""
    num_least: int
    """Fewest accelerators of a run."""
    num_most: int
    """Most accelerators of a run."""
    num_parameters_smallest: Count
    """Parameters of the smallest model."""
    num_parameters_largest: Count
    """Parameters of the largest model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One row and how far it was missed."""

    name: str
    """The row's id."""
    family: str
    """Its family."""
    software: str
    """Software that it was read as."""
    measured_s: Seconds
    """Measured step time."""
    ratio: Ratio
    """Predicted over measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A set of measured strategies of one question, and what the model would have taken."""

    name: str
    """Family, model, accelerator, count and precision."""
    num_rows: int
    """Strategies."""
    loss_fraction: Fraction
    """Measured time of the model's first choice over the best measured one, minus one."""
    rank_correlation_ratio: Ratio | None
    """Spearman's, of predicted and measured times; absent for a set of few."""


def group_error(
    name: str, ratios: Array, families: npt.NDArray[np.str_] | Sequence[str]
) -> GroupError:
    """Return the errors of rows with these ratios, at least one."""
    wrong = np.abs(ratios - 1.0)
    return GroupError(
        name=name,
        num_rows=len(ratios),
        num_families=len(set(np.asarray(families).tolist())),
        median_fraction=float(np.median(wrong)),
        mean_fraction=float(wrong.mean()),
        bar_fraction=float(np.quantile(wrong, BAR)),
        bias_ratio=float(np.exp(np.log(ratios).mean())),
    )


def by_group(
    found: Scored, ratios: Array, names: Callable[[int], Sequence[str]]
) -> tuple[GroupError, ...]:
    """Return the errors of each group that rows name, in the order of first mention.

    Rows whose ratio is not a number (nothing measured) are left out.
    """
    members: dict[str, list[int]] = {}
    for place in np.flatnonzero(np.isfinite(ratios)).tolist():
        for name in names(place):
            members.setdefault(name, []).append(place)
    return tuple(
        group_error(name, ratios[places], found.families[places])
        for name, places in members.items()
    )


def by_regime(found: Scored, done: Calibration) -> tuple[RegimeError, ...]:
    """Return the error of each regime with enough rows, on families left out.

    Few families that are met well say little of the next one: a regime's bar is at least the mean
    of its own, counted once a family, and of the one of the regime around it, counted as `_LENT`
    families.
    """
    named = [regimes_of(run.case) for run in found.runs]
    groups = by_group(found, done.held_out, lambda place: named[place])
    kept = {one.name: one for one in groups if one.num_rows >= _FEWEST or one.name == "*"}
    around = {
        name: next((wider for wider in names[place + 1 :] if wider in kept), None)
        for names in named
        for place, name in enumerate(names)
    }

    def bar_fraction(name: str) -> float:
        one, wider = kept[name], around[name]
        if wider is None:
            return one.bar_fraction
        lent = _LENT * bar_fraction(wider)
        drawn = (one.num_families * one.bar_fraction + lent) / (one.num_families + _LENT)
        return max(one.bar_fraction, drawn)

    ranks = ranks_of(found.layout)
    sizes = counts.parameters(found.model)
    answers = []
    for name, one in kept.items():
        mine = np.array([name in names for names in named])
        answers.append(
            RegimeError(
                own=one,
                bar_fraction=bar_fraction(name),
                num_least=round(float(ranks[mine].min())),
                num_most=round(float(ranks[mine].max())),
                num_parameters_smallest=float(sizes[mine].min()),
                num_parameters_largest=float(sizes[mine].max()),
            )
        )
    return tuple(answers)


def drift_fraction(found: Scored, ratios: Array) -> float:
    """Return how far errors move with a doubling of accelerators or parameters.

    The root mean square, over families that span enough, of the slope of their errors: what an
    answer beyond the counts and sizes seen may be wrong by, for each doubling.
    """
    slopes = []
    for along in (ranks_of(found.layout), counts.parameters(found.model)):
        doublings = np.log2(along)
        for family in dict.fromkeys(found.families.tolist()):
            mine = found.families == family
            if np.ptp(doublings[mine]) >= _SPANNED:
                slopes.append(np.polyfit(doublings[mine], np.log(ratios[mine]), 1)[0])
    return float(np.sqrt(np.mean(np.square(slopes)))) if slopes else 0.0


def ranks_of(layout: Layouts) -> Array:
    """Return the accelerators of layouts."""
    return np.asarray(layout.tp * layout.cp * layout.pp * layout.dp)


def worst(found: Scored, ratios: Array, most: int) -> tuple[Miss, ...]:
    """Return the rows that were missed most, the worst first."""
    order = np.argsort(-np.abs(np.log(ratios)), kind="stable")[:most]
    return tuple(
        Miss(
            name=found.ids[place],
            family=str(found.families[place]),
            software=found.runs[place].case.software.name,
            measured_s=float(found.seconds[place]),
            ratio=float(ratios[place]),
        )
        for place in order.tolist()
    )


def choices(found: Scored, ratios: Array) -> tuple[Choice, ...]:
    """Return, for each set of comparable rows, what the model's first choice loses.

    A set holds at least three measured strategies of one family, model, accelerator, count, global
    batch, sequence length and precision.
    """
    sets: dict[str, list[int]] = {}
    for place, run in enumerate(found.runs):
        sets.setdefault(_question(found, place, run), []).append(place)
    return tuple(
        _choice(name, found.seconds[places], ratios[places])
        for name, places in sets.items()
        if len(places) >= _FEWEST_CHOICES
    )


def _question(found: Scored, place: int, run: Run) -> str:
    gpus = run.layout["tp"] * run.layout["pp"] * run.layout["dp"] * run.layout["cp"]
    words = (
        *(str(found.families[place]), found.models[place], run.case.accelerator.name),
        *(f"x {gpus:g}", run.case.precision, f"batch {run.layout['global_batch']:g}"),
        f"of {run.model['seq_len']:g}",
    )
    return " ".join(words)


def _choice(name: str, measured: Array, ratios: Array) -> Choice:
    predicted = measured * ratios
    chosen = int(np.argmin(predicted))
    rank = None
    if len(measured) >= _FEWEST_RANKS:
        rank = float(np.corrcoef(_ranks(predicted), _ranks(measured))[0, 1])
    return Choice(
        name=name,
        num_rows=len(measured),
        loss_fraction=float(measured[chosen] / measured.min() - 1.0),
        rank_correlation_ratio=rank,
    )


def _ranks(values: Array) -> Array:
    """Return ranks, equal values sharing their mean rank."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    return np.asarray((ends - (sizes - 1) / 2.0)[group])
