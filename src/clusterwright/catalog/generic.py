"""Servers for accelerators that have none of their own: a stated generic one, marked an estimate.

No vendor is dropped because nobody published a server for it. The generic server holds eight
accelerators; its power and price follow from those of the accelerators by the ratios that the known
8-way servers show.
"""

from dataclasses import replace
from statistics import median

from clusterwright.catalog.catalog import Catalog
from clusterwright.model.parts import Accelerator, Provenance, Server
from clusterwright.units import Fraction

EIGHT = 8  # accelerators of the generic server, as in the published 8-way servers
_YEARS_ALIKE = 2  # accelerators released within so many years share a price per peak FLOP/s


def with_generic_servers(catalog: Catalog) -> Catalog:
    """Return the catalogue with a generic server for every accelerator that has none."""
    known = [server for server in catalog.servers.values() if server.num_accelerators == EIGHT]
    served = {server.accelerator for server in catalog.servers.values()}
    power_ratio = median(
        server.max_power_w / (EIGHT * catalog.accelerators[server.accelerator].tdp_w)
        for server in known
    )
    price_ratio = median(
        server.price_usd / (EIGHT * price)
        for server in known
        if (price := accelerator_price_usd(catalog.accelerators[server.accelerator], catalog)[0])
    )
    pattern = next(server for server in known if server.name == "HGX-H100")
    composed = {
        f"generic-8x-{one.name}": _generic(one, catalog, pattern, power_ratio, price_ratio)
        for one in catalog.accelerators.values()
        if one.name not in served
    }
    return replace(catalog, servers={**catalog.servers, **composed})


def accelerator_price_usd(accelerator: Accelerator, catalog: Catalog) -> tuple[float, bool]:
    """Return the price of an accelerator, and whether it is an estimate.

    Where none is published, the price is that of the same dense 16-bit peak in accelerators of the
    same years, which is what buyers compare.
    """
    if accelerator.price_low_usd is not None and accelerator.price_high_usd is not None:
        return (accelerator.price_low_usd + accelerator.price_high_usd) / 2, False
    priced = [
        one for one in catalog.accelerators.values() if one.price_low_usd and one.price_high_usd
    ]
    alike = [
        one for one in priced if abs(one.release_year - accelerator.release_year) <= _YEARS_ALIKE
    ]
    usd_per_flop_per_s = median(
        ((one.price_low_usd or 0.0) + (one.price_high_usd or 0.0)) / 2 / _peak16(one)
        for one in alike or priced
    )
    return usd_per_flop_per_s * _peak16(accelerator), True


def _peak16(accelerator: Accelerator) -> float:
    peaks = accelerator.peak_flop_per_s
    return peaks.get("bf16") or peaks.get("fp16") or max(peaks.values())


def _generic(
    accelerator: Accelerator,
    catalog: Catalog,
    pattern: Server,
    power_ratio: float,
    price_ratio: float,
) -> Server:
    price, _ = accelerator_price_usd(accelerator, catalog)
    margin = catalog.default("plan.estimate_margin", Fraction)
    nic = accelerator.nic_bytes_per_s or pattern.compute_nic_bytes_per_s
    return replace(
        pattern,
        name=f"generic-8x-{accelerator.name}",
        accelerator=accelerator.name,
        compute_nic_bytes_per_s=_port_speed(nic, catalog),
        max_power_w=EIGHT * accelerator.tdp_w * power_ratio,
        price_low_usd=EIGHT * (accelerator.price_low_usd or price) * price_ratio * (1 - margin),
        price_high_usd=EIGHT * (accelerator.price_high_usd or price) * price_ratio * (1 + margin),
        provenance=Provenance(source="own-estimate", certainty="estimate"),
    )


def _port_speed(nic_bytes_per_s: float, catalog: Catalog) -> float:
    """Return the slowest port of a fabric switch that serves a NIC; the fastest if none does."""
    speeds = sorted(
        {one.port_bytes_per_s for one in catalog.switches.values() if one.kind == "infiniband"}
    )
    return next((speed for speed in speeds if speed >= nic_bytes_per_s), speeds[-1])
