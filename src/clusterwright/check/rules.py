"""The rules over a design. Each is a small function listed in `RULES`; ids are never reused."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from clusterwright.model.design import Design
from clusterwright.units import Fraction, Usd, Watts
from clusterwright.units import format as show

Level = Literal["error", "warning", "note"]
Found = Iterator[tuple[str, str]]  # path in the design, message

ESTIMATE_SHARE_WORTH_A_NOTE = (
    0.25  # of the capex; a quarter moves any decision that a price can move
)
TIGHT_HEADROOM = 0.05  # of a capacity; less is used up by the first change


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing to look for."""

    rule_id: str
    """Stable id, `CW` and four digits."""
    level: Level
    """How bad it is."""
    title: str
    """What the rule demands, in a sentence."""
    why: str
    """What goes wrong otherwise."""
    remedy: str
    """How to mend it."""
    look: Callable[[Design], Found]
    """Yields path and message of every place that breaks the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A place that breaks a rule."""

    rule_id: str
    """Id of the rule."""
    level: Level
    """How bad it is."""
    path: str
    """Path in the design."""
    message: str
    """What is wrong there, with the figures."""


def check(design: Design) -> tuple[Finding, ...]:
    """Return every finding of every rule, in the order of the rules."""
    return tuple(
        Finding(rule_id=rule.rule_id, level=rule.level, path=path, message=message)
        for rule in RULES
        for path, message in rule.look(design)
    )


def _conflicts(design: Design) -> Found:
    for index, conflict in enumerate(design.status.conflicts):
        yield (
            f"status.conflicts[{index}]",
            f"{conflict.limit}: {conflict.asked} asked, the design comes to {conflict.reached}",
        )


def _hot_racks(design: Design) -> Found:
    for group in design.spec.facility.groups:
        if group.fullest_power_w > group.limit_w:
            yield (
                f"spec.facility.groups[{group.name}].device_power_w",
                f"{show(group.fullest_power_w, Watts)} in a rack of {show(group.limit_w, Watts)}",
            )


def _gangs(design: Design) -> Found:
    size = {pool.name: pool.num_accelerators for pool in design.spec.compute.pools}
    for index, strategy in enumerate(design.spec.compute.strategies):
        if strategy.chosen and strategy.num_accelerators > size.get(strategy.pool, 0):
            yield (
                f"spec.compute.strategies[{index}].num_accelerators",
                f"{strategy.workload} takes {strategy.num_accelerators:,} of the "
                f"{size.get(strategy.pool, 0):,} accelerators of pool {strategy.pool!r}",
            )


def _memory(design: Design) -> Found:
    for index, strategy in enumerate(design.spec.compute.strategies):
        if strategy.chosen and not strategy.fits:
            yield (
                f"spec.compute.strategies[{index}].memory_bytes",
                f"{strategy.workload} needs more memory than {strategy.accelerator} has",
            )


def _failure_domains(design: Design) -> Found:
    for tier in design.spec.storage.tiers:
        if not tier.scheme.startswith("ec "):
            continue
        data, _, parity = tier.scheme.removeprefix("ec ").partition("+")
        domains = int(data) + int(parity)
        if 0 < tier.num_servers < domains:
            yield (
                f"spec.storage.tiers[{tier.name}].num_servers",
                f"{tier.num_servers} servers for {tier.scheme}, which spreads over {domains} hosts",
            )


def _balance(design: Design) -> Found:
    economics = design.spec.economics
    total = sum(line.cost_usd for line in economics.bom)
    if abs(total - economics.capex_usd) > max(1.0, 1e-6 * economics.capex_usd):
        yield (
            "spec.economics.capex_usd",
            f"{show(economics.capex_usd, Usd)}, while the bill of materials sums to "
            f"{show(total, Usd)}",
        )
    facility = design.spec.facility
    power = sum(share.power_w for share in facility.shares)
    if abs(power - facility.facility_power_w) > max(1.0, 1e-6 * facility.facility_power_w):
        yield (
            "spec.facility.facility_power_w",
            f"{show(facility.facility_power_w, Watts)}, while its shares sum to "
            f"{show(power, Watts)}",
        )


def _manager_ports(design: Design) -> Found:
    plane = design.spec.fabric.planes.compute
    if plane is not None and plane.num_leaf and not plane.num_manager_ports:
        yield (
            "spec.fabric.planes.compute.num_manager_ports",
            "no leaf port is kept for a fabric manager",
        )


def _oversubscription(design: Design) -> Found:
    plane = design.spec.fabric.planes.compute
    if plane is not None and plane.oversubscription_ratio > 1:
        yield (
            "spec.fabric.planes.compute.oversubscription_ratio",
            f"{plane.oversubscription_ratio:g} : 1",
        )


def _spares(design: Design) -> Found:
    for pool in design.spec.compute.pools:
        whole = [
            strategy.workload
            for strategy in design.spec.compute.strategies
            if strategy.chosen
            and strategy.pool == pool.name
            and strategy.num_accelerators == pool.num_accelerators
        ]
        if whole and not pool.num_spare_servers:
            yield (
                f"spec.compute.pools[{pool.name}].num_spare_servers",
                f"{', '.join(whole)} takes the whole pool and no spare server stands by",
            )


def _estimates(design: Design) -> Found:
    economics = design.spec.economics
    guessed = sum(line.cost_usd for line in economics.bom if line.estimated)
    share = guessed / economics.capex_usd if economics.capex_usd else 0.0
    if share > ESTIMATE_SHARE_WORTH_A_NOTE:
        yield (
            "spec.economics.bom",
            f"{show(share, Fraction)} of the capex rests on estimated prices; ask for offers",
        )


def _tight(design: Design) -> Found:
    for stage in design.spec.bottlenecks:
        if 0 <= stage.headroom_fraction < TIGHT_HEADROOM:
            yield (
                f"spec.bottlenecks[{stage.binds_in_order - 1}]",
                f"{stage.stage}: {stage.headroom_fraction:.1%} of the capacity is left",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        rule_id="CW1001",
        level="error",
        title="A design meets its demand.",
        why="A limit of the demand is broken, so the centre would be late, too dear or too hot.",
        remedy="Take one of the relaxations that the design names, or raise the limit.",
        look=_conflicts,
    ),
    Rule(
        rule_id="CW2001",
        level="error",
        title="No rack draws more than it can be fed and cooled.",
        why="The breaker trips or the servers throttle.",
        remedy="Put fewer servers into the rack, or raise site.rack_power with its cooling.",
        look=_hot_racks,
    ),
    Rule(
        rule_id="CW2002",
        level="error",
        title="A gang is no larger than its pool.",
        why="A gang starts whole or not at all: it would wait for ever.",
        remedy="Enlarge the pool or spread the workload over fewer accelerators.",
        look=_gangs,
    ),
    Rule(
        rule_id="CW2003",
        level="error",
        title="A strategy fits the memory of its accelerator.",
        why="The job ends with out-of-memory in its first step.",
        remedy="Raise tp, pp or the ZeRO stage, or choose an accelerator with more memory.",
        look=_memory,
    ),
    Rule(
        rule_id="CW2004",
        level="error",
        title="An erasure code has as many hosts as chunks.",
        why="With fewer hosts one host holds several chunks, so a loss is worse than counted.",
        remedy="Add storage servers or take a narrower code, such as 4+2.",
        look=_failure_domains,
    ),
    Rule(
        rule_id="CW2005",
        level="error",
        title="Sums balance.",
        why="A bill whose lines do not sum to it cannot be defended.",
        remedy="Plan again; if it stays, it is a fault of clusterwright.",
        look=_balance,
    ),
    Rule(
        rule_id="CW3001",
        level="warning",
        title="A fabric keeps ports for its manager.",
        why="A full leaf has no port for an external fabric manager; published designs drop a "
        "server to free some.",
        remedy="Run the subnet manager on a server or switch, or drop one server.",
        look=_manager_ports,
    ),
    Rule(
        rule_id="CW3002",
        level="warning",
        title="The compute fabric is not oversubscribed.",
        why="All-to-all and all-reduce between leaves slow down by the ratio.",
        remedy="Add spine switches, or state that the ratio is wanted.",
        look=_oversubscription,
    ),
    Rule(
        rule_id="CW3003",
        level="warning",
        title="A gang that takes a whole pool has a spare server.",
        why="The first failed server stops the gang until it is repaired.",
        remedy="Add spare servers to the pool, or leave a data-parallel replica out.",
        look=_spares,
    ),
    Rule(
        rule_id="CW4001",
        level="note",
        title="Prices are known.",
        why="Estimated prices move the total more than any choice the plan makes.",
        remedy="Ask for offers and lay them over the catalogue with --catalog.",
        look=_estimates,
    ),
    Rule(
        rule_id="CW4002",
        level="note",
        title="Every stage keeps some headroom.",
        why="A stage without headroom binds at the first growth of the demand.",
        remedy="See the bottleneck ledger of the report for what binds next.",
        look=_tight,
    ),
)
