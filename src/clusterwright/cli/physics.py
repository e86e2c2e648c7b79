"""The options of `simulate` for what is physical: spares, lemons, speed by place, staging."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from clusterwright import twin, units
from clusterwright.catalog import Catalog
from clusterwright.errors import UsageError
from clusterwright.model.cluster import Cluster
from clusterwright.model.design import Design
from clusterwright.model.job import Job
from clusterwright.twin import Setting, Speeds
from clusterwright.units import Fraction, Seconds

if TYPE_CHECKING:
    from clusterwright.twin.matching import Matching


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Physics:
    """What a run knows of the machines beneath the jobs."""

    spares: Annotated[str | None, Parameter(name="--spares")] = None
    """Share of each queue's nodes that stands by to take the place of failed ones, such as "2 %";
    absent, those of the design, or none."""
    lemons: Annotated[Literal["none", "out", "stay"], Parameter(name="--lemons")] = "none"
    """Whether a few nodes fail again and again: out takes them out by their history, stay lets
    them be, none spreads their failures over all."""
    spread_penalty: Annotated[str | None, Parameter(name="--spread-penalty")] = None
    """What a job of a trace loses of its speed for each level (nodes, leaves, pods) on which it
    spreads over more than it must; absent, nothing."""
    model_speeds: Annotated[bool, Parameter(name="--model-speeds", negative=())] = False
    """Jobs run faster on faster accelerators and try them first; durations are those on the
    fastest that a job may use."""
    matching: Annotated[Literal["fastest", "best"], Parameter(name="--matching")] = "fastest"
    """With --model-speeds, which accelerators jobs try: fastest, the faster ones first; best, what
    each makes best use of beside the others, and on busy nodes no other (column memory_bound)."""
    staging: Annotated[Literal["none", "ahead", "at-start"], Parameter(name="--staging")] = "none"
    """How a design's campaigns get their data from lake to hot tier: ahead while they wait,
    at-start on nodes that wait for them, or none: they are there."""

    def cluster(self, cluster: Cluster) -> Cluster:
        """Return nodes of which a share stands by.

        Raises
        ------
        UsageError
            If that leaves a queue without nodes.
        """
        if self.spares is None:
            return cluster
        share = _share("--spares", self.spares)
        groups = []
        for group in cluster.groups:
            every = group.num_nodes + group.num_spares
            spares = round(share * every)
            if spares == every:
                msg = f"--spares {self.spares}: queue {group.queue!r} keeps no node to work on"
                raise UsageError(msg)
            groups.append(replace(group, num_nodes=every - spares, num_spares=spares))
        return replace(cluster, groups=tuple(groups))

    def setting(self, setting: Setting, catalog: Catalog, *, failures: bool) -> Setting:
        """Return a setting with failures, lemons and the time to wake up."""
        if self.lemons != "none" and not failures:
            msg = f"--lemons {self.lemons}: nothing fails in this run. Add --failures on."
            raise UsageError(msg)
        setting = replace(setting, wake_s=catalog.default("plan.wake_time", Seconds))
        if not failures:
            return setting
        found = twin.failures_of(catalog, lemons=self.lemons != "none")
        if found.lemons is not None and self.lemons == "stay":
            found = replace(found, lemons=replace(found.lemons, out_after=None))
        return replace(setting, failures=found)

    def staged(self, setting: Setting, design: Design | None) -> Setting:
        """Return a setting with the way of a design's data."""
        if self.staging == "none":
            return setting
        if design is None:
            msg = f"--staging {self.staging}: only a design under its demand tells sizes and tiers"
            raise UsageError(msg)
        way = twin.staging_of(design, prefetch=self.staging == "ahead")
        return replace(setting, staging=way)

    def speeds(
        self,
        cluster: Cluster,
        jobs: tuple[Job, ...],
        catalog: Catalog,
        design: Design | None,
        *,
        pooled: bool,
        say: Callable[[str], None],
    ) -> tuple[Speeds, tuple[Job, ...]]:
        """Return what speeds depend on, and the jobs with the accelerators that they try first.

        Raises
        ------
        UnknownName
            If the catalogue does not know an accelerator whose speed is asked for.
        """
        speeds = twin.of_design(design, catalog) if design is not None else Speeds()
        if self.spread_penalty is not None:
            share = _share("--spread-penalty", self.spread_penalty)
            speeds = replace(speeds, spread_penalty_fraction=share)
        if self.model_speeds:
            models = [group.gpu_model for group in cluster.groups if group.gpus_per_node]
            bounds = twin.rooflines(models, catalog)
            speeds = replace(speeds, rooflines=bounds)
            if self.matching == "best":
                from clusterwright.twin.matching import matched  # a solver that few runs need

                found = matched(cluster, jobs, bounds, pooled=pooled)
                _tell(found, say)
                return replace(speeds, usable=found.usable), found.jobs
            jobs = twin.fastest_first(jobs, bounds)
        elif self.matching != "fastest":
            msg = (
                f"--matching {self.matching}: all accelerators count as equal. Add --model-speeds."
            )
            raise UsageError(msg)
        return speeds, jobs


def _tell(found: "Matching", say: Callable[[str], None]) -> None:
    """Say what the accelerators of each pool are worth, and how many jobs are held to some."""
    for name, pool in found.pools.items():
        least = min(pool.price_ratio.values())
        worth = ", ".join(
            f"{model} {(1 + price) / (1 + least):.2f}" for model, price in pool.price_ratio.items()
        )
        say(f"{name}: load {pool.load_ratio:.2f} at the best match; an hour is worth {worth}")
    say(f"{found.num_held:,} of {len(found.jobs):,} jobs are held to some of the accelerators")


def _share(option: str, text: str) -> float:
    share = units.parse(text, Fraction)
    if not 0 <= share < 1:
        msg = f"{option} {text}: a share from 0 % to below 100 %"
        raise UsageError(msg)
    return share
