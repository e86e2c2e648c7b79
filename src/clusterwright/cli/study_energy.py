"""`clusterwright study energy`: what waiting for cheap or clean hours saves, zone by zone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from clusterwright.cli import files, load
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import API_VERSION, Answer, emit
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode, UnknownName, UsageError

if TYPE_CHECKING:
    from clusterwright.catalog import Catalog
    from clusterwright.catalog.catalog import HourlySeries

_SHOWN = (
    *("zone", "num_tasks", "num_on_time_before", "num_on_time_after", "saving_fraction"),
    *("bound_fraction", "of_bound_ratio", "cost_saving_fraction", "carbon_saving_fraction"),
    *("bill_saving_fraction", "sleep_saving_fraction"),
)


def energy(
    design: FileName,
    *,
    demand: Annotated[FileName | None, Parameter(name="--demand")] = None,
    zones: Annotated[str | None, Parameter(name="--zones")] = None,
    series: Annotated[FileName | None, Parameter(name="--series")] = None,
    signal: Literal["price", "carbon", "both"] = "price",
    carbon_price: Annotated[float, Parameter(name="--carbon-price")] = 0.0,
    market: Literal["day-ahead", "spot"] = "day-ahead",
    from_day: Annotated[int, Parameter(name="--from-day")] = 0,
    days: int | None = None,
    failures: Literal["on", "off"] = "on",
    seed: int = 0,
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None,
    common: Common | None = None,
) -> int:
    """Say what waiting for cheap or clean hours saves a design, and what it could save at most.

    Only work to which the demand grants time waits, and its deadline comes first. Each hour is
    decided with what is known in it; the bound is what perfect foresight of the same hours saves.

    Parameters
    ----------
    design
        A design.yaml, or the directory it is in.
    demand
        The demand whose jobs the design gets.
    zones
        Zones of the series, separated by commas; all of them when absent.
    series
        CSV table, or gzip of it: zone, utc_hour, price_usd_per_mwh, carbon_lifecycle_g_per_kwh. The
        catalogue's own series when absent.
    signal
        What is waited for: price, carbon, or both at --carbon-price.
    carbon_price
        Price of a tonne of CO2e in USD, for `--signal both`.
    market
        day-ahead: the next day's prices are published; spot: only the present hour's is known.
        Carbon is known for the present hour only.
    from_day
        Day of the series on which the run begins; earlier ones are known as the past.
    days
        How long the run is; to the end of the shortest series when absent.
    failures
        Whether nodes fail.
    seed
        Seed of all random streams.
    catalog
        Directory of your own parts, laid over the catalogue.
    """
    from clusterwright import study

    common = common or Common()
    if demand is None:
        msg = "study energy needs the jobs: --demand FILE, the demand that the design was drawn for"
        raise UsageError(msg)
    parts = load.the_catalog(catalog)
    chosen = _zones(zones, _series(series, parts))
    hours = min(len(one.price_usd_per_j) for one in chosen.values()) - 24 * from_day
    if from_day < 0 or hours < 24 or (days is not None and days < 1):
        msg = "--from-day is 0 or more and before the end of the series; --days is 1 or more"
        raise UsageError(msg)
    setting = study.EnergySetting(
        signal=signal,
        market=market,
        usd_per_tonne=carbon_price,
        first_hour=24 * from_day,
        num_hours=hours if days is None else 24 * days,
        failures=failures == "on",
        seed=seed,
    )
    found_design, (found_demand, _) = load.design(design), load.demand(demand)
    with Progress(common).step(f"running {setting.num_hours:,} hours in {len(chosen)} zones"):
        found = study.study_energy(found_demand, found_design, parts, chosen, setting)
    rows = [asdict(one) for one in found.zones]
    document = {
        "apiVersion": API_VERSION,
        "kind": "EnergyStudy",
        "name": found_design.name,
        "spec": {**asdict(setting), "workloads": [asdict(one) for one in found.terms]},
        "items": rows,
    }
    emit(Answer(document=document, rows=rows, columns=_SHOWN, key="zone"), common)
    return ExitCode.OK


def _series(path: str | None, parts: "Catalog") -> "Mapping[str, HourlySeries]":
    from clusterwright.traces.energy import read_series

    if path is None:
        return parts.series
    return read_series(files.read_bytes(path), file=path)


def _zones(asked: str | None, known: "Mapping[str, HourlySeries]") -> "Mapping[str, HourlySeries]":
    if asked is None:
        return known
    names: Sequence[str] = [name.strip() for name in asked.split(",") if name.strip()]
    if not names:
        msg = f"--zones {asked!r} names none; write zones separated by commas"
        raise UsageError(msg)
    for name in names:
        if name not in known:
            raise UnknownName.of("zone", name, known)
    return {name: known[name] for name in names}
