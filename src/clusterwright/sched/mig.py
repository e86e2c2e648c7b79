"""MIG: how one accelerator may be cut, by slices and start positions, and when to cut it again.

An instance covers `memory_slices` slices from one of its profile's `starts` on; instances may not
overlap. A layout is a set of instances; it is full when nothing can be added. Sizes in GB do not
tell what is legal: 3g and 4g cover as many memory slices, but 4g may stand at 0 only.

An instance exists or not; it can be destroyed while nothing runs on it, whatever runs beside it.

Source of positions: NVIDIA, Multi-Instance GPU User Guide, as the catalogue holds them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import LinearConstraint, milp

from clusterwright.errors import UnknownName, UsageError
from clusterwright.model.parts import Accelerator, MigProfile


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Instance:
    """One piece of an accelerator."""

    start: int
    """Memory slice that it starts at."""
    profile: str
    """Name of its profile, such as `1g.10gb`."""


Layout = tuple[Instance, ...]  # by start


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One accelerator as it is cut now."""

    running: Layout = ()
    """Instances that something runs on."""
    idle: Layout = ()
    """Instances that nothing runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is destroyed and made on one accelerator."""

    gpu: int
    """Which of the accelerators given."""
    destroyed: Layout
    """Instances that go first."""
    created: Layout
    """Instances that are made in the room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recut:
    """The fewest changes after which the idle instances wanted are there."""

    changes: tuple[Change, ...]
    """Changes by accelerator, untouched ones left out."""
    missing: Mapping[str, int]
    """Instances by profile that no cutting can provide; empty when all are there."""

    @property
    def num_changes(self) -> int:
        """Instances destroyed and created."""
        return sum(len(one.destroyed) + len(one.created) for one in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatsFitting:
    """How many people one accelerator holds, each with so much memory of their own."""

    exclusive: int
    """With an accelerator each: 1, or 0 when the memory is not there."""
    mig: int
    """With an instance each: memory and compute are their own."""
    mig_profile: str
    """The instance; empty when none is large enough."""
    time_sliced: int
    """By turns: memory is divided by agreement only, compute by who else works."""


class Geometry:
    """The legal positions of one accelerator model."""

    def __init__(self, accelerator: Accelerator) -> None:
        """Take an accelerator of the catalogue.

        Raises
        ------
        UsageError
            If it cannot be cut.
        """
        if not accelerator.mig:
            msg = f"{accelerator.name} cannot be cut into MIG instances; see `catalog mig`"
            raise UsageError(msg)
        self.accelerator = accelerator
        self.profiles: Mapping[str, MigProfile] = {one.name: one for one in accelerator.mig}
        self.positions: Mapping[Instance, int] = {
            Instance(profile=one.name, start=start): ((1 << one.memory_slices) - 1) << start
            for one in accelerator.mig
            for start in one.starts
        }
        """Every legal instance with the slices it covers, as bits."""
        self._ways = cache(self._count_ways)

    def taken(self, layout: Iterable[Instance]) -> int:
        """Return the slices that instances cover, as bits.

        Raises
        ------
        UsageError
            If two overlap, or one stands where none may.
        """
        bits = 0
        for one in layout:
            if one.profile not in self.profiles:
                what = f"MIG profile of {self.accelerator.name}"
                raise UnknownName.of(what, one.profile, self.profiles)
            if one not in self.positions:
                starts = ", ".join(map(str, self.profiles[one.profile].starts))
                msg = f"{one.profile} may not start at {one.start}; it may at {starts}"
                raise UsageError(msg)
            if bits & self.positions[one]:
                msg = f"{one.profile} at {one.start} overlaps another instance"
                raise UsageError(msg)
            bits |= self.positions[one]
        return bits

    def layouts(self) -> tuple[Layout, ...]:
        """Return every full layout, largest instances first."""
        every = self._sets(0, tuple(self.positions), full=True)
        return tuple(sorted(every, key=self._order))

    def num_futures(self, taken: int) -> int:
        """Return how many layouts, full or not, the slices that are left still allow."""
        return self._ways(taken, 0)

    def best_start(self, profile: str, layout: Iterable[Instance]) -> int | None:
        """Return where an instance leaves most futures open, the highest of equals; None if full.

        >>> from clusterwright import catalog
        >>> a100 = Geometry(catalog.load().accelerator("A100-SXM4-40GB"))
        >>> a100.best_start("2g.10gb", (Instance(profile="1g.5gb", start=6),))
        4
        """
        taken = self.taken(layout)
        if profile not in self.profiles:
            raise UnknownName.of(f"MIG profile of {self.accelerator.name}", profile, self.profiles)
        open_to = [
            (self.num_futures(taken | bits), one.start)
            for one, bits in self.positions.items()
            if one.profile == profile and not taken & bits
        ]
        return max(open_to)[1] if open_to else None

    def cover(self, wanted: Mapping[str, int]) -> tuple[tuple[Layout, int], ...]:
        """Return the fewest accelerators that hold so many instances: full layouts with counts.

        Raises
        ------
        UnknownName
            If a profile is none of the accelerator's.
        """
        self._check(wanted)
        chosen = {frozenset(self._counts(one).items()): one for one in reversed(self.layouts())}
        layouts = list(chosen.values())
        if not any(wanted.values()):
            return ()
        holds = np.array([[self._counts(one)[name] for one in layouts] for name in wanted])
        needs = np.array(list(wanted.values()))
        counts = _cheapest(np.ones(len(layouts)), [LinearConstraint(holds, lb=needs)])
        used = [pair for pair in zip(layouts, counts, strict=True) if pair[1]]
        return tuple(sorted(used, key=lambda pair: self._order(pair[0])))

    def recut(self, cuts: Sequence[Cut], wanted: Mapping[str, int]) -> Recut:
        """Return the fewest instances to destroy and create, so that so many stand idle.

        What runs stays where it is. Equal accelerators are decided together, by an integer program
        over what each may become; instances that nothing can provide are told as missing.
        """
        self._check(wanted)
        wanted = {name: count for name, count in wanted.items() if count}
        groups: dict[Cut, list[int]] = {}
        for gpu, cut in enumerate(cuts):
            self.taken((*cut.running, *cut.idle))
            groups.setdefault(cut, []).append(gpu)
        options = [
            (cut, target) for cut in groups for target in self._targets(cut, frozenset(wanted))
        ]
        chosen, missing = _fewest_changes(groups, options, wanted)
        changes = []
        for (cut, target), count in zip(options, chosen, strict=True):
            for gpu in (groups[cut].pop(0) for _ in range(count)):
                gone = tuple(one for one in cut.idle if one not in target)
                made = tuple(one for one in target if one not in cut.idle)
                if gone or made:
                    changes.append(Change(gpu=gpu, destroyed=gone, created=made))
        return Recut(changes=tuple(sorted(changes, key=lambda one: one.gpu)), missing=missing)

    def seats(self, memory_bytes: float) -> SeatsFitting:
        """Return how many people fit who need so much memory each."""
        whole = self.accelerator.memory_bytes
        enough = [one for one in self.profiles.values() if one.memory_bytes >= memory_bytes]
        best = max(enough, key=lambda one: (one.num_instances, -one.memory_bytes), default=None)
        return SeatsFitting(
            exclusive=int(whole >= memory_bytes),
            mig=best.num_instances if best else 0,
            mig_profile=best.name if best else "",
            time_sliced=int(whole // memory_bytes),
        )

    def _check(self, wanted: Mapping[str, int]) -> None:
        for name, count in wanted.items():
            if name not in self.profiles:
                what = f"MIG profile of {self.accelerator.name}"
                raise UnknownName.of(what, name, self.profiles)
            if count < 0:
                msg = f"{count} instances of {name}; write zero or more"
                raise UsageError(msg)

    def _targets(self, cut: Cut, profiles: frozenset[str]) -> list[Layout]:
        # Idle instances of no use to anyone may stay; new ones are only made of what is wanted.
        useful = tuple(one for one in self.positions if one.profile in profiles or one in cut.idle)
        return self._sets(self.taken(cut.running), useful, full=False)

    def _sets(self, taken: int, positions: Layout, *, full: bool) -> list[Layout]:
        """Return the sets of instances that fit beside what is taken; only full ones if asked."""
        found: list[Layout] = []

        def extend(chosen: Layout, bits: int, rest: Layout) -> None:
            if not full or all(bits & other for other in self.positions.values()):
                found.append(tuple(sorted(chosen)))
            for place, one in enumerate(rest):
                if not bits & self.positions[one]:
                    extend((*chosen, one), bits | self.positions[one], rest[place + 1 :])

        extend((), taken, positions)
        return found

    def _count_ways(self, taken: int, first: int) -> int:
        rest = list(self.positions.values())[first:]
        return 1 + sum(
            self._ways(taken | bits, first + place + 1)
            for place, bits in enumerate(rest)
            if not taken & bits
        )

    def _counts(self, layout: Layout) -> Counter[str]:
        return Counter(one.profile for one in layout)

    def _order(self, layout: Layout) -> tuple[tuple[int, int], ...]:
        return tuple((-self.profiles[one.profile].memory_slices, one.start) for one in layout)


def _fewest_changes(
    groups: Mapping[Cut, Sequence[int]],
    options: Sequence[tuple[Cut, Layout]],
    wanted: Mapping[str, int],
) -> tuple[list[int], dict[str, int]]:
    """Return how many accelerators become what, and what stays missing."""
    if not options or not wanted:
        return [0] * len(options), dict(wanted)
    changes = [len(set(cut.idle) ^ set(target)) for cut, target in options]
    holds = [[Counter(o.profile for o in target)[name] for _, target in options] for name in wanted]
    # One instance missing outweighs all changes that could be made.
    absent = 1 + max(changes) * sum(map(len, groups.values()))
    each = np.zeros((len(groups), len(options) + len(wanted)))
    for row, cut in enumerate(groups):
        each[row, : len(options)] = [one == cut for one, _ in options]
    enough = np.hstack([np.array(holds).reshape(len(wanted), -1), np.eye(len(wanted))])
    have = [len(gpus) for gpus in groups.values()]
    counts = _cheapest(
        np.array([*changes, *[absent] * len(wanted)], dtype=np.float64),
        [
            LinearConstraint(each, lb=have, ub=have),
            LinearConstraint(enough, lb=list(wanted.values())),
        ],
    )
    short = zip(wanted, counts[len(options) :], strict=True)
    return counts[: len(options)], {name: count for name, count in short if count}


def _cheapest(costs: npt.NDArray[np.float64], constraints: list[LinearConstraint]) -> list[int]:
    """Return the whole numbers that cost least; there always are some."""
    whole = np.ones(len(costs), dtype=np.int64)
    found = milp(costs, constraints=constraints, integrality=whole, options={"mip_rel_gap": 0.0})
    assert found.x is not None, found.message
    return [round(one) for one in found.x.tolist()]
