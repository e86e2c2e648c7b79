"""Two designs side by side: which figures differ, and by how much."""

from dataclasses import dataclass
from typing import Literal

from clusterwright.model.design import Design
from clusterwright.model.paths import leaves
from clusterwright.units import Ratio

Kind = Literal["changed", "added", "removed"]
Leaf = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure that two designs do not share."""

    path: str
    """Path of the figure; items with a name are addressed by it."""
    kind: Kind
    """Whether both have it, or only one."""
    before: Leaf
    """Its value in the first design; absent when it was added."""
    after: Leaf
    """Its value in the second design; absent when it was removed."""
    change_ratio: Ratio | None
    """After over before; absent where there is no ratio."""


def compare(before: Design, after: Design) -> tuple[Difference, ...]:
    """Return what differs between two designs, in the order of the documents.

    Explanations (derivations, assumptions' reasons) follow from figures and are not compared.
    """
    left, right = _figures(before), _figures(after)
    paths = list(dict.fromkeys([*left, *right]))
    return tuple(
        _difference(path, left, right)
        for path in paths
        if path not in left or path not in right or left[path] != right[path]
    )


def _figures(design: Design) -> dict[str, Leaf]:
    skipped = ("spec.derivations", "spec.alternatives", "spec.choices", "spec.deviations")
    return {
        path: value if isinstance(value, str | int | float | bool | None) else str(value)
        for path, value in leaves(design)
        if not path.startswith(skipped)
    }


def _difference(path: str, left: dict[str, Leaf], right: dict[str, Leaf]) -> Difference:
    before, after = left.get(path), right.get(path)
    kind: Kind = "changed"
    if path not in left:
        kind = "added"
    elif path not in right:
        kind = "removed"
    return Difference(
        path=path, kind=kind, before=before, after=after, change_ratio=_ratio(before, after)
    )


def _ratio(before: Leaf, after: Leaf) -> float | None:
    numbers = [
        float(value)
        for value in (before, after)
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return numbers[1] / numbers[0] if len(numbers) == 2 and numbers[0] else None
