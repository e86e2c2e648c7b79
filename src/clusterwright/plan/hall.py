"""What stands in which rack: groups of racks for pools, tiers, switches and management."""

import math
from collections.abc import Sequence

from clusterwright import facility
from clusterwright.catalog import Catalog
from clusterwright.facility import Hall
from clusterwright.model.compute import Pool
from clusterwright.model.facility import RackGroup
from clusterwright.model.network import Fabric, Plane
from clusterwright.model.parts import Server
from clusterwright.model.storage import Tier
from clusterwright.plan.network import MANAGEMENT_SERVER, management_servers
from clusterwright.plan.terms import Terms
from clusterwright.units import Metres, Watts


def build_hall(
    pools: Sequence[Pool], tiers: Sequence[Tier], planes: Fabric, catalog: Catalog, terms: Terms
) -> Hall:
    """Return the hall with every device in a rack."""
    groups = [
        *(_pool_group(pool, catalog, terms) for pool in pools),
        *(_tier_group(tier, catalog, terms) for tier in tiers if tier.name != "local"),
        *_switch_groups(planes, catalog, terms),
        _management_group(catalog, terms),
    ]
    return hall_of(groups, catalog)


def hall_of(groups: Sequence[RackGroup], catalog: Catalog) -> Hall:
    """Return where racks stand, by the catalogue's pitches."""
    return facility.lay_out(
        groups,
        racks_per_row=int(catalog.default("plan.racks_per_row")),
        rack_width=catalog.default("plan.rack_width", Metres),
        row_pitch=catalog.default("plan.row_pitch", Metres),
    )


def _pool_group(pool: Pool, catalog: Catalog, terms: Terms) -> RackGroup:
    server = catalog.server(pool.server)
    return RackGroup(
        name=pool.name,
        kind="compute" if pool.role == "training" else "service",
        part=pool.server,
        device=pool.name,
        num_devices=pool.num_servers,
        num_per_rack=pool.servers_per_rack,
        num_units=min(server.rack_units, terms.rack_units),
        device_power_w=server.max_power_w,
        limit_w=_limit_w(server, terms),
    )


def _limit_w(server: Server, terms: Terms) -> float:
    """Return what a rack of such servers can be fed.

    A rack-scale system brings its own feeds, so the default limit of a rack does not bind it; one
    that the demand states does.
    """
    if server.whole_rack and terms.demand.site.rack_power_w is None:
        return max(terms.rack_power_w, server.max_power_w)
    return terms.rack_power_w


def _tier_group(tier: Tier, catalog: Catalog, terms: Terms) -> RackGroup:
    system = catalog.storage_system(tier.system)
    return RackGroup(
        name=tier.name,
        kind="storage",
        part=tier.system,
        device=tier.name,
        num_devices=tier.num_servers,
        num_per_rack=math.ceil(tier.num_servers / tier.num_racks),
        num_units=system.rack_units,
        device_power_w=system.max_power_w,
        limit_w=terms.rack_power_w,
    )


def _switch_groups(planes: Fabric, catalog: Catalog, terms: Terms) -> list[RackGroup]:
    limit = min(catalog.default("plan.network_rack_power", Watts), terms.rack_power_w)
    found = []
    for name in ("compute", "storage", "management"):
        plane: Plane = getattr(planes.planes, name)
        if not plane.num_switches:
            continue
        switch = catalog.switch(plane.switch)
        by_power = int(limit // switch.max_power_w)
        found.append(
            RackGroup(
                name=f"{name}-network",
                kind="network",
                part=plane.switch,
                device=f"{name}-switch",
                num_devices=plane.num_switches,
                num_per_rack=max(1, min(by_power, terms.rack_units // switch.rack_units)),
                num_units=switch.rack_units,
                device_power_w=switch.max_power_w,
                limit_w=limit,
            )
        )
    return found


def _management_group(catalog: Catalog, terms: Terms) -> RackGroup:
    power = catalog.default("plan.management_server_power", Watts)
    return RackGroup(
        name=MANAGEMENT_SERVER,
        kind="management",
        part="management server",
        device=MANAGEMENT_SERVER,
        num_devices=management_servers(catalog),
        num_per_rack=max(1, min(int(terms.rack_power_w // power), terms.rack_units // 2)),
        num_units=2,
        device_power_w=power,
        limit_w=terms.rack_power_w,
    )
