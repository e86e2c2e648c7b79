"""The bill of a design: every part with its price, and what a year of running costs."""

from collections.abc import Sequence

from clusterwright.catalog import Catalog
from clusterwright.economics import Bill
from clusterwright.economics.account import equipment_usd, line
from clusterwright.model.compute import Pool, Strategy
from clusterwright.model.economics import BomLine, CostLine
from clusterwright.model.facility import Facility
from clusterwright.model.network import Fabric, Plane
from clusterwright.model.storage import Storage
from clusterwright.plan.network import management_servers
from clusterwright.plan.terms import Terms
from clusterwright.units import SECONDS_PER_YEAR, Fraction, Usd, UsdPerYear


def bill_of(
    pools: Sequence[Pool],
    strategies: Sequence[Strategy],
    planes: Fabric,
    storage: Storage,
    facility: Facility,
    num_pdus: int,
    catalog: Catalog,
    terms: Terms,
) -> Bill:
    """Return the bill of a design."""
    bom = [
        *_servers(pools, catalog),
        *_network(planes, catalog),
        *_storage(storage, catalog),
        *_house(facility, num_pdus, catalog, terms),
    ]
    equipment = equipment_usd(bom)
    installation = catalog.default("plan.installation", Fraction) * equipment
    bom.append(
        line(
            "services",
            "installation and test",
            1,
            installation,
            installation,
            estimated=True,
            source=catalog.cite_default("plan.installation"),
        )
    )
    accelerators = sum(pool.num_accelerators for pool in pools)
    training = sum(pool.num_accelerators for pool in pools if pool.role == "training")
    return Bill(
        bom=tuple(one for one in bom if one.num_items),
        running=_running(facility, equipment, accelerators, catalog, terms),
        num_accelerators=accelerators,
        tokens_per_year=_tokens_per_year(pools, strategies),
        training_share_fraction=training / accelerators if accelerators else 0.0,
    )


def rentable_share(bill: Bill, pools: Sequence[Pool]) -> float:
    """Return the share of the equipment that a rented accelerator comes with.

    A cloud's price covers servers, network, house and staff, but neither a lake and a hot tier nor
    CPU servers; those are left out of the comparison by their share of the equipment.
    """
    equipment = equipment_usd(bill.bom)
    own = {f"({pool.name})" for pool in pools if not pool.num_accelerators}
    apart = sum(
        one.cost_usd
        for one in bill.bom
        if one.category == "storage"
        or (one.category == "compute" and one.item.rsplit(" ", 1)[-1] in own)
    )
    return 1 - apart / equipment if equipment else 1.0


def _servers(pools: Sequence[Pool], catalog: Catalog) -> list[BomLine]:
    found = []
    for pool in pools:
        server = catalog.server(pool.server)
        paid = 0.0 if pool.owned else 1.0
        found.append(
            line(
                "compute",
                f"{pool.server} ({pool.name}{', owned' if pool.owned else ''})",
                pool.num_servers,
                paid * server.price_low_usd,
                paid * server.price_high_usd,
                estimated=server.provenance.estimated("price_low"),
                source=catalog.cite(server.provenance),
            )
        )
    price = catalog.default("plan.management_server_price", Usd)
    found.append(
        line(
            "management",
            "management server",
            management_servers(catalog),
            price,
            price,
            estimated=True,
            source=catalog.cite_default("plan.management_server_price"),
        )
    )
    return found


def _network(planes: Fabric, catalog: Catalog) -> list[BomLine]:
    found = []
    for name in ("compute", "storage", "management"):
        plane: Plane = getattr(planes.planes, name)
        if not plane.num_switches:
            continue
        switch = catalog.switch(plane.switch)
        found.append(
            line(
                "network",
                f"{plane.switch} ({name} plane)",
                plane.num_switches,
                switch.price_low_usd,
                switch.price_high_usd,
                estimated=switch.provenance.estimated("price_low"),
                source=catalog.cite(switch.provenance),
            )
        )
        for link in plane.links:
            part = catalog.links[link.part]
            found.append(
                line(
                    "network",
                    f"{link.part} ({name} plane)",
                    link.num_links,
                    part.price_low_usd,
                    part.price_high_usd,
                    estimated=part.provenance.estimated("price_low"),
                    source=catalog.cite(part.provenance),
                )
            )
    return found


def _storage(storage: Storage, catalog: Catalog) -> list[BomLine]:
    found = []
    for tier in storage.tiers:
        if tier.name == "local":
            continue
        system = catalog.storage_system(tier.system)
        found.append(
            line(
                "storage",
                f"{tier.system} ({tier.name} tier)",
                tier.num_servers,
                system.price_low_usd,
                system.price_high_usd,
                estimated=system.provenance.estimated("price_low"),
                source=catalog.cite(system.provenance),
            )
        )
    return found


def _house(facility: Facility, num_pdus: int, catalog: Catalog, terms: Terms) -> list[BomLine]:
    rack = catalog.default("plan.rack_price", Usd)
    pdu = catalog.default("plan.pdu_price", Usd)
    region = terms.region
    built = region.construction_usd_per_w * facility.it_power_w
    found = [
        line(
            "rack",
            "rack",
            facility.num_racks,
            rack,
            rack,
            estimated=True,
            source=catalog.cite_default("plan.rack_price"),
        ),
        line(
            "rack",
            "rack power distribution unit",
            num_pdus,
            pdu,
            pdu,
            estimated=True,
            source=catalog.cite_default("plan.pdu_price"),
        ),
    ]
    if terms.demand.site.hall is None:
        found.append(
            line(
                "facility",
                f"building for {region.title}",
                1,
                built,
                built,
                estimated=region.provenance.estimated("construction"),
                source=catalog.cite(region.provenance),
            )
        )
    return found


def _running(
    facility: Facility, equipment: float, accelerators: int, catalog: Catalog, terms: Terms
) -> tuple[CostLine, ...]:
    staff = max(
        catalog.default("plan.staff_least", UsdPerYear),
        accelerators * catalog.default("plan.staff_per_accelerator", UsdPerYear),
    )
    return (
        CostLine(
            name="energy",
            cost_usd_per_year=max(0.0, facility.energy_j_per_year * facility.power_price_usd_per_j),
            source=terms.supply.source,
        ),
        CostLine(
            name="maintenance",
            cost_usd_per_year=catalog.default("plan.maintenance", Fraction) * equipment,
            source=catalog.cite_default("plan.maintenance"),
        ),
        CostLine(
            name="staff",
            cost_usd_per_year=staff,
            source=catalog.cite_default("plan.staff_per_accelerator"),
        ),
    )


def _tokens_per_year(pools: Sequence[Pool], strategies: Sequence[Strategy]) -> float:
    duty = {pool.name: pool.demanded_fraction for pool in pools}
    chosen = [one for one in strategies if one.chosen]
    if not chosen:
        return 0.0
    main = max(chosen, key=lambda one: one.model_flop)
    # Tokens per second hold between interruptions; the campaign's wall time counts them in.
    working = main.duration_s and (
        main.model_flop
        / (main.num_accelerators * main.peak_flop_per_s * main.mfu_fraction)
        / main.duration_s
    )
    return main.tokens_per_s * working * SECONDS_PER_YEAR * duty.get(main.pool, 1.0)
