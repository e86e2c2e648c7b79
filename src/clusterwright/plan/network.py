"""What hangs on which plane, and the three planes that follow."""

import math
from collections.abc import Sequence

from clusterwright import fabric
from clusterwright.catalog import Catalog
from clusterwright.fabric.planes import empty_plane
from clusterwright.model.compute import Pool
from clusterwright.model.network import Attachment, Fabric, Planes
from clusterwright.model.storage import Tier
from clusterwright.plan.terms import FabricKind
from clusterwright.units import Fraction

_TRAY_NICS = 8  # ports of one row of leaves; a rack-scale system is wired tray by tray
MANAGEMENT_SERVER = "management"


def build_fabric(
    pools: Sequence[Pool],
    tiers: Sequence[Tier],
    catalog: Catalog,
    kind: FabricKind,
    *,
    num_pdus: int,
) -> Fabric:
    """Return the three planes for pools and tiers.

    Raises
    ------
    UsageError
        If no switch of the kind connects the training pool.
    """
    wired = [pool for pool in pools if pool.role == "training"]
    compute_plane = (
        fabric.compute_plane(_compute_ports(wired, catalog), catalog.switches.values(), kind)
        if wired
        else empty_plane()
    )
    storage_plane = fabric.storage_plane(
        _storage_ports(pools, tiers, catalog),
        catalog.switch(catalog.default_text("plan.storage_switch")),
        catalog.switches.values(),
    )
    management_plane = fabric.management_plane(
        _management_ports(
            pools,
            tiers,
            catalog,
            num_switches=compute_plane.num_switches + storage_plane.num_switches,
            num_pdus=num_pdus,
        ),
        catalog.switch(catalog.default_text("plan.management_switch")),
        fill=catalog.default("plan.management_fill", Fraction),
        num_uplinks=int(catalog.default("plan.management_uplinks")),
    )
    return Fabric(
        kind=kind,
        planes=Planes(compute=compute_plane, storage=storage_plane, management=management_plane),
    )


def management_servers(catalog: Catalog) -> int:
    """Return how many servers the platform takes."""
    return int(catalog.default("plan.management_servers"))


def _compute_ports(pools: Sequence[Pool], catalog: Catalog) -> list[Attachment]:
    found = []
    for pool in pools:
        server = catalog.server(pool.server)
        trays = max(1, server.num_compute_nics // _TRAY_NICS) if server.whole_rack else 1
        found.append(
            Attachment(
                name=pool.name,
                num_devices=pool.num_servers * trays,
                num_ports=server.num_compute_nics // trays,
                port_bytes_per_s=server.compute_nic_bytes_per_s,
            )
        )
    return found


def _storage_ports(
    pools: Sequence[Pool], tiers: Sequence[Tier], catalog: Catalog
) -> list[Attachment]:
    found = []
    for pool in pools:
        server = catalog.server(pool.server)
        found.append(
            Attachment(
                name=pool.name,
                num_devices=pool.num_servers,
                num_ports=server.num_storage_nics,
                port_bytes_per_s=server.storage_nic_bytes_per_s,
            )
        )
    for tier in tiers:
        if tier.name != "local":
            system = catalog.storage_system(tier.system)
            found.append(
                Attachment(
                    name=tier.name,
                    num_devices=tier.num_servers,
                    num_ports=system.num_nics,
                    port_bytes_per_s=system.nic_bytes_per_s,
                )
            )
    cpu = catalog.server(catalog.default_text("plan.cpu_server"))
    found.append(
        Attachment(
            name=MANAGEMENT_SERVER,
            num_devices=management_servers(catalog),
            num_ports=2 * cpu.num_storage_nics,
            port_bytes_per_s=cpu.storage_nic_bytes_per_s,
        )
    )
    return found


def _management_ports(
    pools: Sequence[Pool],
    tiers: Sequence[Tier],
    catalog: Catalog,
    *,
    num_switches: int,
    num_pdus: int,
) -> list[Attachment]:
    speed = catalog.switch(catalog.default_text("plan.management_switch")).port_bytes_per_s

    def ports(name: str, devices: int, each: int = 1) -> Attachment:
        return Attachment(name=name, num_devices=devices, num_ports=each, port_bytes_per_s=speed)

    found = [
        ports(pool.name, pool.num_servers, catalog.server(pool.server).num_management_ports)
        for pool in pools
    ]
    found += [ports(tier.name, tier.num_servers) for tier in tiers if tier.name != "local"]
    found.append(ports("switch", num_switches))
    found.append(ports(MANAGEMENT_SERVER, management_servers(catalog), 2))
    found.append(ports("pdu", num_pdus))
    return found


def pdus(num_compute_racks: int, num_other_racks: int, catalog: Catalog) -> int:
    """Return rack power distribution units: the published numbers for both kinds of rack."""
    return math.ceil(
        num_compute_racks * catalog.default("plan.pdus_per_compute_rack")
        + num_other_racks * catalog.default("plan.pdus_per_other_rack")
    )
