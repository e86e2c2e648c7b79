"""One complete design for one candidate: accelerator, kind of fabric, size of the training pool."""

import math
from dataclasses import dataclass

from clusterwright import economics, facility, storage
from clusterwright.catalog import Catalog
from clusterwright.economics import MoneyTerms
from clusterwright.facility import FacilityNeeds, Hall
from clusterwright.model.compute import Compute, Pool, Strategy
from clusterwright.model.design import Derivation
from clusterwright.model.economics import Economics
from clusterwright.model.facility import Facility, PowerShare
from clusterwright.model.network import Fabric
from clusterwright.model.parts import Accelerator
from clusterwright.model.storage import Storage
from clusterwright.model.work import Processing, Training
from clusterwright.plan.bill import bill_of, rentable_share
from clusterwright.plan.cabling import with_links
from clusterwright.plan.fleet import staff_fleet
from clusterwright.plan.hall import build_hall
from clusterwright.plan.network import build_fabric, management_servers, pdus
from clusterwright.plan.pools import Workforce, staff_pools
from clusterwright.plan.terms import FabricKind, Terms
from clusterwright.plan.training import hot_write_bytes_per_s
from clusterwright.storage import StorageNeeds, Systems
from clusterwright.units import (
    AcceleratorHours,
    Bytes,
    FlopPerSecond,
    Fraction,
    Seconds,
    Watts,
)
from clusterwright.units import format as show


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A candidate worked out in every discipline, before it is weighed."""

    accelerator: str
    """Accelerator of training and development."""
    kind: FabricKind
    """Kind of the compute fabric."""
    workforce: Workforce
    """Pools and strategies, with waiting and reliability."""
    fabric: Fabric
    """The three planes."""
    storage: Storage
    """The tiers."""
    facility: Facility
    """Racks, power, energy."""
    economics: Economics
    """Money."""
    hall: Hall
    """Where everything stands."""
    num_pdus: int
    """Rack power distribution units."""
    derivations: tuple[Derivation, ...]
    """How the main figures came about."""

    @property
    def compute(self) -> Compute:
        """The compute part of the design."""
        return Compute(
            pools=self.workforce.pools,
            strategies=self.workforce.strategies,
            serving=self.workforce.serving,
        )

    @property
    def duration_s(self) -> float:
        """Time of the longest campaign; 0 when nothing trains."""
        return max((one.duration_s for one in self.workforce.strategies if one.chosen), default=0.0)


def staff(
    terms: Terms, catalog: Catalog, accelerator: Accelerator, *, training_pool: int | None = None
) -> Workforce:
    """Return what computes in a design on one accelerator, whatever the fabric.

    Raises
    ------
    UnknownName
        If the accelerator cannot do what a workload asks.
    """
    if terms.demand.fleet:
        return staff_fleet(terms, catalog)
    return staff_pools(terms, catalog, accelerator, training_pool=training_pool)


def draft(
    terms: Terms,
    catalog: Catalog,
    accelerator: Accelerator,
    workforce: Workforce,
    kind: FabricKind,
) -> Draft:
    """Return the design for one candidate.

    Raises
    ------
    UsageError
        If no fabric of the kind connects it.
    """
    stored, storage_why = storage.size(_needs(terms, catalog, workforce), _systems(terms, catalog))
    planes, hall, num_pdus = _network_and_hall(workforce, stored, catalog, kind, terms)
    planes = with_links(planes, hall, catalog)
    house, house_why = facility.assemble(
        _facility_needs(workforce, stored, planes, catalog, terms), hall, terms.supply
    )
    money, money_why = _money(workforce, planes, stored, house, num_pdus, catalog, terms)
    return Draft(
        accelerator=accelerator.name,
        kind=kind,
        workforce=workforce,
        fabric=planes,
        storage=stored,
        facility=house,
        economics=money,
        hall=hall,
        num_pdus=num_pdus,
        derivations=(
            *_compute_why(workforce, catalog),
            *_fabric_why(planes),
            *storage_why,
            *house_why,
            *money_why,
        ),
    )


def _needs(terms: Terms, catalog: Catalog, workforce: Workforce) -> StorageNeeds:
    data, hot = terms.demand.data, terms.demand.data.hot
    ingest = data.ingest_bytes_per_s or 0.0
    gpus = sum(pool.num_accelerators for pool in workforce.pools)
    capacity = hot.capacity_bytes if hot is not None else None
    if capacity is None:
        capacity = gpus * catalog.default("data.hot.capacity", Bytes)
    read = hot.read_bytes_per_s if hot is not None else None
    if read is None:
        read = workforce.read_bytes_per_s
    servers = sum(pool.num_servers for pool in workforce.pools)
    block = data.block_bytes
    if block is None:
        block = servers * catalog.default("data.block", Bytes)
    mined = [one for one in terms.demand.workloads if isinstance(one, Processing)]
    return StorageNeeds(
        lake_bytes=(data.existing_bytes or 0.0) + ingest * terms.retain_s,
        lake_read_bytes_per_s=sum(one.input_bytes_per_s for one in mined)
        + _prefetch(terms, workforce),
        lake_write_bytes_per_s=ingest,
        scheme=terms.scheme,
        hot_bytes=capacity,
        hot_read_bytes_per_s=read,
        hot_write_bytes_per_s=hot_write_bytes_per_s(terms, catalog, read),
        block_bytes=block,
        block_replicas=int(catalog.default("plan.block_replicas")),
        local_bytes=sum(
            pool.num_servers * catalog.server(pool.server).local_nvme_bytes
            for pool in workforce.pools
        ),
        num_local_servers=servers,
        checkpoint_bytes=workforce.checkpoint_bytes,
    )


def _prefetch(terms: Terms, workforce: Workforce) -> float:
    """Return the rate at which the samples of all campaigns are brought to the hot tier."""
    rate = 0.0
    for one in terms.demand.workloads:
        strategy = next(
            (s for s in workforce.strategies if s.workload == one.name and s.chosen), None
        )
        if isinstance(one, Training) and strategy is not None:
            samples = one.num_samples or strategy.num_global_batch * (
                strategy.duration_s / strategy.step_time_s
            )
            rate += samples * terms.sample_bytes / strategy.duration_s
    return rate


def _systems(terms: Terms, catalog: Catalog) -> Systems:
    return Systems(
        lake=catalog.storage_system(catalog.default_text("plan.lake_system")),
        hot=catalog.storage_system(catalog.default_text("plan.hot_system")),
        block=catalog.storage_system(catalog.default_text("plan.block_system")),
        rack_units=terms.rack_units,
        rack_power_w=terms.rack_power_w,
    )


def _network_and_hall(
    workforce: Workforce, stored: Storage, catalog: Catalog, kind: FabricKind, terms: Terms
) -> tuple[Fabric, Hall, int]:
    """Return planes and hall: power units take management ports, and its switches take racks."""
    wired = sum(pool.num_racks for pool in workforce.pools if pool.role == "training")
    num_pdus, planes, hall = 0, None, None
    for _ in range(4):
        planes = build_fabric(workforce.pools, stored.tiers, catalog, kind, num_pdus=num_pdus)
        hall = build_hall(workforce.pools, stored.tiers, planes, catalog, terms)
        wanted = pdus(wired, hall.num_racks - wired, catalog)
        if wanted == num_pdus:
            break
        num_pdus = wanted
    assert planes is not None  # the loop ran
    assert hall is not None
    return planes, hall, num_pdus


def _facility_needs(
    workforce: Workforce, stored: Storage, planes: Fabric, catalog: Catalog, terms: Terms
) -> FacilityNeeds:
    network = (
        ("compute plane", planes.planes.compute),
        ("storage plane", planes.planes.storage),
        ("management plane", planes.planes.management),
    )
    power = catalog.default("plan.management_server_power", Watts) * management_servers(catalog)
    others = [
        *(PowerShare(name=f"{tier.name} tier", power_w=tier.power_w) for tier in stored.tiers),
        *(PowerShare(name=name, power_w=plane.power_w) for name, plane in network),
        PowerShare(name="management servers", power_w=power),
    ]
    wired = [pool for pool in workforce.pools if pool.role == "training"]
    return FacilityNeeds(
        region=terms.region.name,
        cooling=terms.cooling.name,
        pue_ratio=terms.pue_ratio,
        servers=tuple(PowerShare(name=pool.name, power_w=pool.power_w) for pool in workforce.pools),
        others=tuple(others),
        compute_pools=tuple(pool.name for pool in wired),
        num_compute_racks=sum(pool.num_racks for pool in wired),
        utilization_fraction=_used(workforce.pools, terms),
        idle_fraction=catalog.default("plan.idle_power", Fraction),
        busy_fraction=catalog.default("plan.busy_power", Fraction),
    )


def _used(pools: tuple[Pool, ...], terms: Terms) -> float:
    """Return the share of the accelerators' time that the demand takes, by their power."""
    power = math.fsum(pool.power_w for pool in pools)
    if not power:
        return terms.utilization_fraction
    return min(1.0, math.fsum(pool.power_w * pool.demanded_fraction for pool in pools) / power)


def _money(
    workforce: Workforce,
    planes: Fabric,
    stored: Storage,
    house: Facility,
    num_pdus: int,
    catalog: Catalog,
    terms: Terms,
) -> tuple[Economics, tuple[Derivation, ...]]:
    bill = bill_of(
        workforce.pools, workforce.strategies, planes, stored, house, num_pdus, catalog, terms
    )
    gpus = [pool for pool in workforce.pools if pool.num_accelerators]
    used = (
        sum(p.num_accelerators * p.demanded_fraction for p in gpus) / bill.num_accelerators
        if gpus
        else 0.0
    )
    money = MoneyTerms(
        depreciation_s=terms.depreciation_s,
        discount_fraction=terms.discount_fraction,
        utilization_fraction=min(1.0, used),
    )
    alone, why = economics.account(bill, money, None)
    main = max(gpus, key=lambda pool: pool.num_accelerators, default=None)
    offer = (
        economics.typical_offer(main.accelerator, catalog.cloud_offers.values())
        if main is not None
        else None
    )
    if offer is None:
        return alone, why
    rent = economics.compare_with_rent(
        offer,
        num_accelerators=bill.num_accelerators,
        tco_usd=alone.tco_usd * rentable_share(bill, workforce.pools),
        depreciation_s=terms.depreciation_s,
        utilization=money.utilization_fraction,
    )
    return economics.account(bill, money, rent)


def _step_flop(one: Strategy) -> float:
    """Return the model FLOPs of one step of a strategy."""
    rate = one.num_accelerators * one.peak_flop_per_s * one.mfu_fraction
    return rate * one.step_time_s


def _compute_why(workforce: Workforce, catalog: Catalog) -> tuple[Derivation, ...]:
    found = []
    for number, one in enumerate(workforce.strategies):
        if not one.chosen:
            continue
        sure = "outside what was checked" if one.estimated else "checked on published runs"
        step = catalog.sources["step-calibration"]
        found.append(
            Derivation(
                path=f"spec.compute.strategies[{number}].duration_s",
                formula=(
                    f"{one.model_flop / _step_flop(one):,.0f} steps of "
                    f"{show(one.step_time_s, Seconds)} (± {show(one.error_bar_fraction, Fraction)},"
                    f" {sure}) over goodput = {show(one.duration_s, Seconds)}, "
                    f"{show(one.accelerator_hours, AcceleratorHours)}; "
                    f"{show(one.mfu_fraction, Fraction)} MFU of {one.num_accelerators:,} × "
                    f"{show(one.peak_flop_per_s, FlopPerSecond)}"
                ),
                source=f"{step.title}, {step.where}, {step.read_on}",
            )
        )
    if workforce.reliability is not None:
        rated = workforce.reliability
        found.append(
            Derivation(
                path="spec.reliability.goodput_fraction",
                formula=(
                    f"{rated.interruptions_per_day:.3g} interruptions a day of "
                    f"{rated.num_accelerators:,} accelerators, "
                    f"{show(rated.detect_and_restart_s, Seconds)} "
                    f"to restart, a checkpoint every {show(rated.checkpoint_interval_s, Seconds)}"
                ),
                source=f"{rated.source}; Daly 2006",
            )
        )
    found.extend(
        Derivation(
            path=f"spec.compute.pools[{pool.name}].num_racks",
            formula=(
                f"{pool.num_servers:,} servers of {show(pool.server_power_w, Watts)}, "
                f"{pool.servers_per_rack} in a rack"
            ),
            source="catalogue: servers; site.rack_power",
        )
        for pool in workforce.pools
    )
    return tuple(found)


def _fabric_why(planes: Fabric) -> tuple[Derivation, ...]:
    found = []
    for name in ("compute", "storage"):
        plane = getattr(planes.planes, name)
        if plane.num_leaf:
            found.append(
                Derivation(
                    path=f"spec.fabric.planes.{name}.num_leaf",
                    formula=(
                        f"{plane.num_endpoints:,} switch ports for devices / {plane.radix // 2} "
                        f"down-ports of a leaf = {plane.num_leaf:,}; spines: {plane.num_spine:,}, "
                        f"so that every leaf-spine pair has equally many links"
                    ),
                    source="counting rule of the DGX SuperPOD reference architectures",
                )
            )
    plane = planes.planes.management
    found.append(
        Derivation(
            path="spec.fabric.planes.management.num_leaf",
            formula=(
                f"{plane.num_endpoints:,} management ports: "
                + ", ".join(
                    f"{one.name} {one.num_devices * one.num_ports:,}" for one in plane.attachments
                )
            ),
            source="one port for every server, switch, storage server and power unit",
        )
    )
    return tuple(found)
