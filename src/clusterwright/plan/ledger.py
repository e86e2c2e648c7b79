"""The bottleneck ledger: every stage of the data's way, what is asked of it and what it can do.

Stages without a limit are left out. A stage binds before another when less of its capacity is left;
what binds next, once the first is relieved, is the stage after it.
"""

import math
from collections.abc import Iterator

from clusterwright import compute
from clusterwright.catalog import Catalog
from clusterwright.model.compute import Strategy
from clusterwright.model.design import Bottleneck
from clusterwright.model.storage import Tier
from clusterwright.model.work import Seats, Training
from clusterwright.plan.draft import Draft
from clusterwright.plan.pools import active_share
from clusterwright.plan.terms import Terms

Stage = tuple[str, str, float, float, str]  # name, unit, demand, capacity, note
_GRADIENT_BYTES = 2.0  # of a bf16 gradient
_ACTIVATION_BYTES = 2.0  # of a bf16 activation
_ALL_REDUCES = 4.0  # of a block under tensor parallelism: two forward, two backward


def ledger(draft: Draft, terms: Terms, catalog: Catalog) -> tuple[Bottleneck, ...]:
    """Return the stages in the order in which they bind."""
    stages = [
        *_storage_stages(draft),
        *_compute_stages(draft, terms, catalog),
        *_house_stages(draft, terms),
        *_money_stages(draft, terms),
        *_people_stages(draft, terms, catalog),
    ]
    rows = [
        (1 - asked / can if can else -math.inf, number, stage)
        for number, stage in enumerate(stages)
        for asked, can in [stage[2:4]]
        if asked > 0 and math.isfinite(can)
    ]
    rows.sort(key=lambda row: (row[0], row[1]))
    return tuple(
        Bottleneck(
            stage=name,
            unit=unit,
            demand=asked,
            capacity=can,
            headroom_fraction=left if math.isfinite(left) else -1.0,
            binds_in_order=order,
            note=note,
        )
        for order, (left, _, (name, unit, asked, can, note)) in enumerate(rows, start=1)
    )


def _storage_stages(draft: Draft) -> Iterator[Stage]:
    for tier in draft.storage.tiers:
        if tier.name == "local":
            continue
        note = f"{tier.num_servers:,} × {tier.system}, sized to fit by {tier.sized_by}"
        yield f"{tier.name} capacity", "B", tier.stored_bytes, tier.usable_bytes, note
        yield from _rates(tier, note)
    plan = draft.storage.checkpoint
    rated = draft.workforce.reliability
    if plan is not None and rated is not None:
        yield (
            "checkpoint write",
            "s",
            plan.write_time_s,
            rated.checkpoint_interval_s,
            "time to write one against the time until the next",
        )


def _rates(tier: Tier, note: str) -> Iterator[Stage]:
    yield (
        f"{tier.name} read",
        "B/s",
        tier.demanded_read_bytes_per_s,
        tier.read_bytes_per_s or math.inf,
        note,
    )
    yield (
        f"{tier.name} write",
        "B/s",
        tier.demanded_write_bytes_per_s,
        tier.write_bytes_per_s or math.inf,
        note,
    )


def _compute_stages(draft: Draft, terms: Terms, catalog: Catalog) -> Iterator[Stage]:
    hot = next((tier for tier in draft.storage.tiers if tier.name == "hot"), None)
    for pool in draft.workforce.pools:
        server = catalog.server(pool.server)
        if pool.role == "training" and hot is not None and pool.num_servers:
            yield (
                "node storage ports",
                "B/s",
                hot.demanded_read_bytes_per_s,
                pool.num_servers * server.num_storage_nics * server.storage_nic_bytes_per_s,
                "hot-tier read over the storage ports of all training servers",
            )
        if pool.num_accelerators:
            asked, unit, can = (
                pool.demanded_fraction * pool.num_accelerators,
                "accelerators",
                float(pool.num_accelerators),
            )
        else:
            asked, unit, can = pool.demanded_fraction * pool.num_cpus, "cores", float(pool.num_cpus)
        yield f"{pool.name} pool", unit, asked, can, f"mean use by {', '.join(pool.workloads)}"
    for campaign in terms.demand.workloads:
        if isinstance(campaign, Training):
            yield from _campaign_stages(campaign, draft, catalog)
    for one in draft.workforce.waiting:
        if one.asked_s is not None:
            yield f"waiting of {one.workload}", "s", one.p95_s, one.asked_s, f"p95 on {one.pool}"


def _campaign_stages(campaign: Training, draft: Draft, catalog: Catalog) -> Iterator[Stage]:
    chosen = next(
        (s for s in draft.workforce.strategies if s.workload == campaign.name and s.chosen), None
    )
    if chosen is None:
        return
    yield f"deadline of {campaign.name}", "s", chosen.duration_s, campaign.within_s, "wall time"
    accelerator = catalog.accelerators[chosen.accelerator]
    usable = accelerator.memory_bytes
    yield f"memory for {campaign.name}", "B", chosen.memory_bytes, usable, "fullest accelerator"
    model = catalog.preset(campaign.model) if isinstance(campaign.model, str) else campaign.model
    shape = compute.shape_of(model)
    if accelerator.scaleup_bytes_per_s and chosen.tp > 1:
        yield (
            f"scale-up for {campaign.name}",
            "B/s",
            _tensor_bytes(chosen, shape) / chosen.step_time_s,
            accelerator.scaleup_bytes_per_s,
            "tensor-parallel traffic of one accelerator, spread evenly over the step",
        )
    server = catalog.server_for(chosen.accelerator)
    if chosen.dp > 1 and server.num_compute_nics:
        each = server.num_compute_nics * server.compute_nic_bytes_per_s / server.num_accelerators
        mine = shape.num_parameters / (chosen.tp * chosen.pp)
        sent = 2 * (chosen.dp - 1) / chosen.dp * mine * _GRADIENT_BYTES
        yield (
            f"scale-out for {campaign.name}",
            "B/s",
            sent / chosen.step_time_s,
            each,
            "gradient traffic of one accelerator, spread evenly over the step",
        )


def _tensor_bytes(one: Strategy, shape: compute.Shape) -> float:
    """Return bytes that one accelerator sends in a step for tensor parallelism."""
    sequences = one.num_global_batch / (one.dp * one.cp)
    message = sequences * shape.sequence_length * shape.hidden * _ACTIVATION_BYTES
    ring = 2 * (one.tp - 1) / one.tp
    return _ALL_REDUCES * ring * message * shape.layers / one.pp


def _house_stages(draft: Draft, terms: Terms) -> Iterator[Stage]:
    house, limits, hall = draft.facility, terms.demand.limits, terms.demand.site.hall
    if limits.power_w is not None:
        yield "facility power", "W", house.facility_power_w, limits.power_w, "limits.power"
    if hall is not None and hall.power_w is not None:
        yield "hall power", "W", house.it_power_w, hall.power_w, "site.hall.power"
    if hall is not None and hall.num_racks is not None:
        yield "rack positions", "racks", house.num_racks, hall.num_racks, "site.hall.racks"
    groups = [group for group in draft.hall.groups if group.kind != "network"]
    hottest = max(groups, key=lambda group: group.fullest_power_w)
    power = hottest.fullest_power_w
    yield "rack power", "W", power, hottest.limit_w, f"fullest rack, {hottest.name}"
    yield (
        "cooling density",
        "W",
        power,
        terms.cooling.max_rack_power_w,
        f"densest rack under {terms.cooling.name} cooling",
    )


def _money_stages(draft: Draft, terms: Terms) -> Iterator[Stage]:
    limits, money, house = terms.demand.limits, draft.economics, draft.facility
    for name, unit, asked, limit in (
        ("capex", "USD", money.capex_usd, limits.capex_usd),
        ("opex", "USD/year", money.opex_usd_per_year, limits.opex_usd_per_year),
        ("carbon", "g/year", house.carbon_g_per_year, limits.carbon_g_per_year),
    ):
        if limit is not None:
            yield name, unit, asked, limit, f"limits.{name}"


def _people_stages(draft: Draft, terms: Terms, catalog: Catalog) -> Iterator[Stage]:
    for one in terms.demand.workloads:
        if not isinstance(one, Seats):
            continue
        pool = next((p for p in draft.workforce.pools if one.name in p.workloads), None)
        if pool is None:
            continue
        accelerator = catalog.accelerators[pool.accelerator]
        per_gpu = 1
        if one.gpu != "whole" and compute.has_profile(accelerator, one.gpu):
            per_gpu = compute.mig_profile(accelerator, one.gpu).num_instances
        yield (
            f"seats of {one.name}",
            "people",
            math.ceil(one.num_people * active_share(one, catalog)),
            float(pool.num_accelerators * per_gpu),
            f"slices of pool {pool.name}, if it held nothing else",
        )
