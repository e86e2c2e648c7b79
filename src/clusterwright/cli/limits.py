"""The options of `simulate` for what bounds a start: reservations, power, better hours."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from clusterwright import traces, units
from clusterwright.catalog import Catalog
from clusterwright.catalog.catalog import HourlySeries
from clusterwright.cli import files
from clusterwright.cli.common import FileName
from clusterwright.errors import UnknownName, UsageError
from clusterwright.model.cluster import Cluster
from clusterwright.model.design import Design
from clusterwright.model.power import PowerCap
from clusterwright.sched.prospect import Prospect
from clusterwright.twin import Deferral, Power, Setting
from clusterwright.units import SECONDS_PER_HOUR, Fraction, Seconds, Watts


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may keep a job waiting though nodes are free."""

    reservations: Annotated[FileName | None, Parameter(name="--reservations")] = None
    """CSV table name,start_s,end_s,queue,leaf,nodes,for_queues,for_users,for_projects,for_jobs,
    stops: nodes kept for some jobs, or for nobody in maintenance. A job that cannot end before, by
    its estimate or limit, does not start on them."""
    power_cap: Annotated[str | None, Parameter(name="--power-cap")] = None
    """The most that the centre draws, cooling included, such as "1.2 MW"; or a CSV table
    start_s,cap_w. Jobs that would pass it wait."""
    node_power: Annotated[str | None, Parameter(name="--node-power")] = None
    """What one node draws at most, such as "10.2 kW"; needed where no design says it."""
    zone: Annotated[str | None, Parameter(name="--zone")] = None
    """Zone whose hourly price and carbon are paid, from the catalogue or from --series."""
    series: Annotated[FileName | None, Parameter(name="--series")] = None
    """CSV table, or gzip of it: zone, utc_hour, price_usd_per_mwh, carbon_lifecycle_g_per_kwh."""
    defer: Annotated[Literal["price", "carbon"] | None, Parameter(name="--defer")] = None
    """Jobs with a deadline wait for cheap or clean hours of the zone, and pause at checkpoints; a
    campaign of a demand has one, and so has a job of a trace with deadline_s."""
    market: Annotated[Literal["day-ahead", "spot"], Parameter(name="--market")] = "day-ahead"
    """day-ahead: the next day's prices are published; spot: only the present hour's is known."""
    from_day: Annotated[int, Parameter(name="--from-day")] = 0
    """Day of the series on which the run begins."""

    def cluster(self, cluster: Cluster, power: Power | None) -> Cluster:
        """Return a cluster with its reservations and its cap.

        Raises
        ------
        UsageError
            If nothing says what the nodes draw that a cap is for.
        """
        if self.node_power is not None:
            node_w = units.parse(self.node_power, Watts)
            groups = tuple(replace(group, node_power_w=node_w) for group in cluster.groups)
            cluster = replace(cluster, groups=groups)
        if self.reservations is not None:
            content = files.read_bytes(self.reservations)
            found = traces.read_reservations(content, cluster, file=self.reservations)
            cluster = replace(cluster, reservations=found)
        if self.power_cap is None:
            return cluster
        if power is None:
            msg = (
                f"--power-cap {self.power_cap}: nothing says what the nodes draw. Give a design "
                'or --node-power, such as "10.2 kW".'
            )
            raise UsageError(msg)
        since_s, cap_w = self._steps(self.power_cap)
        cap = PowerCap(
            since_s=since_s,
            cap_w=cap_w,
            idle_fraction=power.idle_fraction,
            busy_fraction=power.busy_fraction,
            other_power_w=power.other_power_w,
            pue_ratio=power.pue_ratio,
        )
        return replace(cluster, power_cap=cap)

    def power(self, power: Power | None, catalog: Catalog) -> Power | None:
        """Return what the centre draws and pays, with the options in place of its own.

        Raises
        ------
        UsageError
            If prices are given for nodes of which nothing says what they draw.
        """
        if power is None and self.node_power is not None:
            power = Power(
                idle_fraction=catalog.default("plan.idle_power", Fraction),
                busy_fraction=catalog.default("plan.busy_power", Fraction),
                asleep_fraction=catalog.default("plan.sleep_power", Fraction),
                down_fraction=catalog.default("plan.down_power", Fraction),
                other_power_w=0.0,
                pue_ratio=1.0,
                price_usd_per_j=(0.0,),
                carbon_g_per_j=(0.0,),
            )
        if self.zone is None:
            if self.series is not None or self.from_day:
                msg = "--series and --from-day are about a zone: name it with --zone"
                raise UsageError(msg)
            return power
        hours = self.hours(catalog)
        if power is None:
            msg = f"--zone {self.zone}: nothing says what the nodes draw. Give --node-power."
            raise UsageError(msg)
        first = 24 * self.from_day
        return replace(
            power,
            price_usd_per_j=hours.price_usd_per_j[first:],
            carbon_g_per_j=hours.carbon_g_per_j[first:],
        )

    def deferred(self, setting: Setting, catalog: Catalog, design: Design | None) -> Setting:
        """Return a setting in which jobs wait as the option says.

        Raises
        ------
        UsageError
            If no zone says when hours are good.
        """
        if self.defer is None:
            return setting
        if self.zone is None:
            msg = f"--defer {self.defer}: which hours are good is a zone's: add --zone, as in DE-LU"
            raise UsageError(msg)
        hours = self.hours(catalog)
        published_s = catalog.default("plan.day_ahead_published", Seconds)
        prospect = Prospect(
            signal=self.defer,
            price_usd_per_j=np.array(hours.price_usd_per_j),
            carbon_g_per_j=np.array(hours.carbon_g_per_j),
            published_hour=round(published_s / SECONDS_PER_HOUR)
            if self.market == "day-ahead"
            else None,
        )
        strategies = () if design is None else design.spec.compute.strategies
        deferral = Deferral(
            prospect=prospect,
            first_hour=24 * self.from_day,
            risk_fraction=catalog.default("plan.deadline_risk", Fraction),
            error_fraction={
                one.workload: one.error_bar_fraction for one in strategies if one.chosen
            },
        )
        return replace(setting, deferral=deferral)

    def hours(self, catalog: Catalog) -> HourlySeries:
        """Return price and carbon of the zone, from the beginning of its series.

        Raises
        ------
        UnknownName
            If there is no such zone.
        UsageError
            If the run begins after the series.
        """
        known = catalog.series
        if self.series is not None:
            known = traces.read_series(files.read_bytes(self.series), file=self.series)
        name = self.zone or ""
        if name not in known:
            raise UnknownName.of("zone", name, known)
        days = len(known[name].price_usd_per_j) // 24
        if not 0 <= self.from_day < days:
            msg = f"--from-day {self.from_day}: the series of {name} has {days} days, from 0 on"
            raise UsageError(msg)
        return known[name]

    @staticmethod
    def _steps(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the steps of a cap: one value, or those of a file."""
        if text == "-" or Path(text).suffix in (".csv", ".gz") or Path(text).is_file():
            return traces.read_cap(files.read_bytes(text), file=text)
        watts = units.parse(text, Watts)
        if not watts > 0:
            msg = f"--power-cap {text}: a cap is above zero"
            raise UsageError(msg)
        return (0.0,), (watts,)
