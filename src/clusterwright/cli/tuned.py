"""What `study tune` answers: the policy, what it gains, what was tried; for machines and people."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from clusterwright import documents
from clusterwright.cli.output import API_VERSION, Row
from clusterwright.model.policy import Policy
from clusterwright.study import carrying
from clusterwright.study.bench import Bench, Period
from clusterwright.study.carrying import Gain
from clusterwright.study.space import Grid, changes, reads_guesses
from clusterwright.study.tuning import Search, Trial
from clusterwright.study.wishes import Figure, Wishes, alias_of
from clusterwright.units import Ratio, Seconds
from clusterwright.units import format as show

_MOST_TRIED = 15  # trials of the table; all of them stand in JSON and CSV


@dataclass(frozen=True, kw_only=True)
class Result:
    """A search, and what it is worth later."""

    name: str
    """The trace."""
    search: Search
    """What was tried and chosen."""
    grid: Grid
    """Among what."""
    wishes: Wishes
    """For what."""
    gains: tuple[Gain, ...]
    """What the policy found gains on others; empty when none was found."""
    start: str
    """Name of the policy started from."""
    bench: Bench
    """Windows that were searched on."""
    later: Period
    """The later period."""
    seed: int
    """Seed of the search."""
    budget: int
    """Runs that it was given."""

    @property
    def policy(self) -> Policy:
        """The policy found, named for what it is."""
        assert self.search.chosen is not None
        chosen = self.search.chosen.candidate
        rule = f"searched for {self.wishes.objective.text}"
        if self.wishes.limits:
            rule += f" with {', '.join(one.text for one in self.wishes.limits)}"
        if reads_guesses(chosen):
            rule += f"; estimates are {chosen.guess} of learned run times"
        return replace(chosen.policy, name="tuned", rule=rule)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before they use the policy."""
        if self.search.chosen is None:
            missed = "; ".join(self._missed(self.search.nearest))
            return (f"no trial holds the limits; the nearest misses {missed}",)
        return carrying.warnings(self.gains, start=self.start)

    def document(self) -> dict[str, Any]:
        """Return everything for machines."""
        chosen = self.search.chosen
        periods = [*self.bench.periods, self.later]
        spans = [
            {"from_s": one.from_s, "to_s": one.to_s, "num_jobs": len(one.jobs)} for one in periods
        ]
        return {
            "apiVersion": API_VERSION,
            "kind": "PolicyTuning",
            "name": self.name,
            "spec": {
                "objective": self.wishes.objective.text,
                "limits": [one.text for one in self.wishes.limits],
                "start": documents.as_dict(self.grid.start.policy),
                "space": {field: list(values) for field, values in self._searched().items()},
                "windows": spans[:-1],
                "later": spans[-1],
                "budget": self.budget,
                "seed": self.seed,
            },
            "items": [self._item(one) for one in self.search.trials],
            "status": {
                "feasible": chosen is not None,
                "num_runs": self.search.num_runs,
                "policy": None if chosen is None else documents.as_dict(self.policy),
                "guess": self._guess(),
                "gains": [asdict(one) for one in self.gains],
                "warnings": list(self.warnings),
            },
        }

    def rows(self) -> list[Row]:
        """Return what was tried, a row for each."""
        return [self._row(one) for one in self._ranked()]

    def text(self) -> str:
        """Return the answer as people read it."""
        if self.search.chosen is None:
            lines = [self.warnings[0], ""]
        else:
            what = _told(changes(self.search.chosen.candidate, self.grid.start))
            lines = [f"tuned from {self.start}: {what or 'no change'}"]
            if self._guess() is not None:
                lines.append(
                    f"Its estimates are learned run times (`--guess {self._guess()}`); without "
                    "`--estimates` a simulation takes the true ones."
                )
            lines += ["", *_table([self._gain(one) for one in self.gains]), ""]
        rows, figure = self.rows(), self.wishes.objective.figure
        lines += _table(
            [
                {
                    "trial": f"{row['number']}{', chosen' if row['chosen'] else ''}",
                    self.wishes.objective.text: _value(figure, row["objective"]),
                    "windows": row["num_windows"],
                    "misses": row["misses"],
                    "from": row["origin"],
                    "changes": row["changes"] or "none",
                }
                for row in rows[:_MOST_TRIED]
            ]
        )
        if len(rows) > _MOST_TRIED:
            lines.append(f"and {len(rows) - _MOST_TRIED} more: -o csv shows all")
        return "\n".join(lines)

    def _guess(self) -> str | None:
        chosen = self.search.chosen
        if chosen is None or not reads_guesses(chosen.candidate):
            return None
        return chosen.candidate.guess

    def _searched(self) -> Mapping[str, Sequence[Any]]:
        found = dict(self.grid.values)
        if self.grid.free_ageing:  # its values follow from the order: in seconds of waiting
            found.pop("ageing_ratio")
        return {field: values for field, values in found.items() if len(values) > 1}

    def _ranked(self) -> list[Trial]:
        """Return the trials, those that ran furthest first, then the best first."""
        return sorted(
            self.search.trials,
            key=lambda one: (-len(one.measured), *self._standing(one), one.number),
        )

    def _standing(self, trial: Trial) -> tuple[float, float]:
        start = self.search.trials[0]
        return trial.standing(self.wishes, start).key

    def _objective(self, trial: Trial) -> float:
        cost = self._standing(trial)[1]
        return -cost if self.wishes.objective.figure.more_is_better else cost

    def _missed(self, trial: Trial) -> list[str]:
        """Return the limits that a trial misses, each with what it came to."""
        base = self.search.trials[0].measured[: len(trial.measured)]
        return [
            f"{limit.text} ({_value(limit.figure, limit.value(trial.measured))})"
            for limit in self.wishes.limits
            if limit.excess_ratio(trial.measured, base)
        ]

    def _row(self, trial: Trial) -> dict[str, Any]:
        return {
            "number": trial.number,
            "origin": trial.origin,
            "changes": _told(changes(trial.candidate, self.grid.start)),
            "num_windows": len(trial.measured),
            "objective": self._objective(trial),
            "excess_ratio": self._standing(trial)[0],
            "misses": ", ".join(self._missed(trial)),
            "chosen": trial is self.search.chosen,
        }

    def _item(self, trial: Trial) -> dict[str, Any]:
        limits = [
            {
                "limit": one.text,
                "values": [one.value([measured]) for measured in trial.measured],
            }
            for one in self.wishes.limits
        ]
        return {
            **self._row(trial),
            "policy": documents.as_dict(trial.candidate.policy),
            "guess": trial.candidate.guess,
            "objectives": [self.wishes.objective.of(one) for one in trial.measured],
            "limits": limits,
        }

    def _gain(self, one: Gain) -> dict[str, str]:
        figure = self.wishes.objective.figure
        ends = (one.low_fraction, one.high_fraction)
        sure = "–" if None in ends else f"{_share(ends[0])} to {_share(ends[1])}"
        return {
            "period": one.period,
            "against": one.against,
            "before": _value(figure, one.objective_before),
            "tuned": _value(figure, one.objective_after),
            "gain": _share(one.gain_fraction),
            "95 % of days drawn again": sure,
            "limits": f"{_yes(one.before_meets)} → {_yes(one.after_meets)}",
        }


def _told(changed: Mapping[str, Any]) -> str:
    return "; ".join(f"{_short(field)} {_written(field, one)}" for field, one in changed.items())


def _short(field: str) -> str:
    return field.removesuffix("_s").removesuffix("_ratio")


def _written(field: str, value: Any) -> str:
    match value:
        case None:
            return "never"
        case tuple():
            return ",".join(value) or "nobody"
        case float() if field.endswith("_s"):
            return show(value, Seconds)
        case float():
            return show(value, Ratio)
        case _:
            return str(value)


def _value(figure: Figure, value: float | None) -> str:
    alias = alias_of(figure.field)
    if value is None:
        return "–"
    return f"{value:,.0f}" if alias is None else show(value, alias, digits=4)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1%}"


def _yes(holds: bool) -> str:
    return "held" if holds else "missed"


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return rows as lines in columns, words to the left and figures to the right."""
    if not rows:
        return []
    table = [[*rows[0]], *([str(cell) for cell in row.values()] for row in rows)]
    wide = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip()
        for row in table
    ]
