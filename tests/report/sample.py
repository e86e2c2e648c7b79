"""A hand-made design of the worked case, and designs at its edges, for the tests of the report.

Quantities are those of the source document where it gives them (1,024 H100 in 128 servers and 32
racks, TP8 PP4 DP32, 32 + 16 switches, code 8+3, 1.306 MW); the rest is plausible and sums.
"""

from dataclasses import replace

from clusterwright.model.compute import Compute, Pool, ServingPlan, StepPart, Strategy
from clusterwright.model.design import (
    Alternative,
    Assumption,
    Bottleneck,
    Choice,
    Conflict,
    Derivation,
    Design,
    DesignSpec,
    DesignStatus,
    Deviation,
    Rejected,
    Relaxation,
)
from clusterwright.model.economics import BomLine, CostLine, Economics, Rent
from clusterwright.model.facility import Facility, PowerShare, RackGroup, RackKind
from clusterwright.model.network import Attachment, Cable, Fabric, LinkCount, Plane, Planes
from clusterwright.model.reliability import FailureShare, Reliability
from clusterwright.model.run import HourlyQueue, QueueSummary, Run, RunSpec, RunStatus
from clusterwright.model.storage import CheckpointPlan, Storage, Tier

YEAR = 365 * 86400.0
DAY = 86400.0
RA = "NVIDIA DGX SuperPOD reference architecture H100, RA-11333-001"
OWN = "Estimate of the clusterwright authors; replace it by an offer"


def design(name: str = "autonomous-driving") -> Design:
    """Return the worked case."""
    return Design(
        name=name,
        spec=DesignSpec(
            demand_digest="3f" * 32,
            catalog_digest="a7" * 32,
            scalable_unit="32 servers on eight rail leaves; the centre is four of them",
            compute=_compute(),
            fabric=_fabric(),
            storage=_storage(),
            facility=_facility(),
            economics=_economics(),
            reliability=_reliability(),
            bottlenecks=_bottlenecks(),
            choices=_choices(),
            assumptions=_assumptions(),
            derivations=_derivations(),
            alternatives=_alternatives(),
            deviations=_deviations(),
        ),
        status=DesignStatus(feasible=True),
    )


def infeasible() -> Design:
    """Return the worked case under a budget and a deadline that it cannot keep."""
    return replace(
        design(),
        status=DesignStatus(
            feasible=False,
            conflicts=(
                Conflict(
                    limit="limits.capex",
                    asked="90 MUSD",
                    reached="119 MUSD",
                    shortfall_ratio=0.33,
                ),
                Conflict(
                    limit="workloads[0].within",
                    asked="10 days",
                    reached="12.6 days",
                    shortfall_ratio=0.26,
                ),
                Conflict(limit="limits.fabric", asked="ethernet", reached="infiniband"),
            ),
            relaxations=(
                Relaxation(
                    path="data.retain",
                    change="9 months",
                    effect="frees 31 lake servers and 1.1 MUSD",
                ),
                Relaxation(
                    path="limits.capex", change="120 MUSD", effect="the design as it stands"
                ),
            ),
        ),
    )


def without_training() -> Design:
    """Return a centre that only serves: no strategy, no reliability, no duration."""
    base = design("inference-only")
    spec = base.spec
    pool = replace(spec.compute.pools[0], name="serving", role="serving", workloads=("assistant",))
    serving = ServingPlan(
        workload="assistant",
        pool="serving",
        accelerator="H100-SXM5-80GB",
        num_accelerators=1000,
        requests_per_s=900.0,
        demanded_tokens_per_s=412_000.0,
        accelerator_tokens_per_s=550.0,
        estimated=True,
        reason="MLPerf Inference v4.1 Llama 2 70B, scaled by peak",
    )
    return replace(
        base,
        spec=replace(
            spec,
            compute=Compute(pools=(pool,), strategies=(), serving=(serving,)),
            storage=replace(spec.storage, checkpoint=None),
            reliability=None,
            economics=replace(spec.economics, usd_per_million_tokens=None),
            alternatives=tuple(replace(one, duration_s=0.0) for one in spec.alternatives),
        ),
    )


def without_accelerators() -> Design:
    """Return a centre of CPUs alone."""
    base = without_training()
    spec = base.spec
    pool = replace(
        spec.compute.pools[0],
        name="simulation",
        role="processing",
        accelerator="",
        server="CPU-node",
        num_servers=40,
        num_accelerators=0,
        num_cpus=5120,
        server_power_w=1000.0,
        power_w=40_000.0,
        num_racks=1,
        servers_per_rack=40,
    )
    empty = replace(
        spec.fabric.planes.compute,
        topology="none",
        switch="",
        levels=0,
        num_endpoints=0,
        num_manager_ports=0,
        num_leaf=0,
        num_spine=0,
        num_node_leaf_cables=0,
        num_leaf_spine_cables=0,
        num_rails=0,
        bisection_bytes_per_s=0.0,
        power_w=0.0,
        num_rack_units=0,
        attachments=(),
        links=(),
    )
    return replace(
        base,
        name="cpu-only",
        spec=replace(
            spec,
            scalable_unit="",
            compute=Compute(pools=(pool,), strategies=()),
            fabric=replace(spec.fabric, planes=replace(spec.fabric.planes, compute=empty)),
            facility=replace(
                spec.facility,
                num_compute_racks=0,
                compute_it_power_w=0.0,
                groups=spec.facility.groups[4:],
            ),
            economics=replace(spec.economics, rent=None, usd_per_accelerator_hour=0.0),
            bottlenecks=(),
            alternatives=(),
            deviations=(),
            derivations=(),
            choices=(),
        ),
    )


def hundred_thousand() -> Design:
    """Return a centre of 100,000 accelerators with many of everything."""
    base = design("hyperscale-100k")
    spec = base.spec
    training = replace(
        spec.compute.pools[0],
        num_servers=12_500,
        num_accelerators=100_000,
        power_w=12_500 * 10_200.0,
        num_racks=3125,
    )
    many = tuple(
        replace(
            spec.compute.pools[1], name=f"team-{number:03d}", workloads=(f"stream-{number:03d}",)
        )
        for number in range(120)
    )
    compute = replace(
        spec.fabric.planes.compute,
        topology="three-level fat-tree",
        levels=3,
        num_endpoints=100_000,
        num_leaf=3125,
        num_spine=3125,
        num_core=1563,
        num_node_leaf_cables=100_000,
        num_leaf_spine_cables=100_000,
        num_spine_core_cables=100_000,
        attachments=(replace(spec.fabric.planes.compute.attachments[0], num_devices=12_500),),
    )
    alternatives = tuple(
        replace(
            spec.alternatives[number % len(spec.alternatives)],
            name=f"candidate {number}",
            tco_usd=spec.alternatives[0].tco_usd * (1 + number / 100),
            duration_s=spec.alternatives[0].duration_s * (1 + (number * 37 % 50) / 50),
            reason="beaten in cost, time and carbon",
            pareto=number < 5,
        )
        for number in range(250)
    )
    return replace(
        base,
        spec=replace(
            spec,
            compute=replace(spec.compute, pools=(training, *many)),
            fabric=replace(spec.fabric, planes=replace(spec.fabric.planes, compute=compute)),
            facility=replace(spec.facility, num_racks=3400, num_compute_racks=3125),
            alternatives=alternatives,
            derivations=spec.derivations * 30,
        ),
    )


def hostile() -> Design:
    """Return a design whose every name tries to break out of the page."""
    evil = '<script>alert("x")</script>&\'"}}{{7*7}}'
    base = design(evil)
    spec = base.spec
    return replace(
        base,
        spec=replace(
            spec,
            scalable_unit=evil,
            compute=replace(
                spec.compute,
                pools=tuple(
                    replace(pool, name=evil, server=evil, workloads=(evil,))
                    for pool in spec.compute.pools
                ),
                strategies=tuple(
                    replace(one, workload=evil, pool=evil, reason=evil)
                    for one in spec.compute.strategies
                ),
            ),
            facility=replace(
                spec.facility,
                region=evil,
                groups=tuple(
                    replace(one, name=evil, part=evil, device=evil) for one in spec.facility.groups
                ),
                shares=tuple(replace(one, name=evil) for one in spec.facility.shares),
            ),
            economics=replace(
                spec.economics,
                bom=tuple(replace(one, item=evil, source=evil) for one in spec.economics.bom),
                running=tuple(replace(one, name=evil) for one in spec.economics.running),
            ),
            bottlenecks=tuple(
                replace(one, stage=evil, unit=evil, note=evil) for one in spec.bottlenecks
            ),
            choices=(
                Choice(
                    what=evil,
                    chosen=evil,
                    reason=evil,
                    rejected=(Rejected(candidate=evil, reason=evil),),
                ),
            ),
            assumptions=tuple(
                replace(one, path=evil, value=evil, reason=evil, source=evil)
                for one in spec.assumptions
            ),
            derivations=tuple(replace(one, formula=evil, source=evil) for one in spec.derivations),
            alternatives=tuple(
                replace(one, name=evil, accelerator=evil, fabric=evil, reason=evil)
                for one in spec.alternatives
            ),
            deviations=tuple(
                replace(one, what=evil, source_says=evil, published=evil, design=evil)
                for one in spec.deviations
            ),
        ),
        status=DesignStatus(
            feasible=False,
            conflicts=(Conflict(limit=evil, asked=evil, reached=evil),),
            relaxations=(Relaxation(path=evil, change=evil, effect=evil),),
        ),
    )


def cables(count: int = 3) -> tuple[Cable, ...]:
    """Return the first cables of the compute plane."""
    return tuple(
        Cable(
            cable_id=f"C{number + 1:05d}",
            plane="compute",
            from_device=f"training-{number + 1:03d}",
            from_port="ib0",
            to_device="compute-leaf-001",
            to_port=f"{number + 1}",
            part="SR4-400G",
            length_m=18.5,
        )
        for number in range(count)
    )


def _compute() -> Compute:
    training = Pool(
        name="training",
        role="training",
        accelerator="H100-SXM5-80GB",
        server="HGX-H100",
        num_servers=128,
        num_accelerators=1024,
        num_cpus=14_336,
        server_power_w=10_200.0,
        power_w=1_305_600.0,
        num_racks=32,
        servers_per_rack=4,
        workloads=("bev-foundation",),
        demanded_fraction=0.46,
    )
    development = Pool(
        name="development",
        role="development",
        accelerator="H100-SXM5-80GB",
        server="HGX-H100",
        num_servers=6,
        num_accelerators=48,
        num_cpus=672,
        server_power_w=10_200.0,
        power_w=61_200.0,
        num_racks=2,
        servers_per_rack=4,
        workloads=("perception-lab", "engineers"),
        demanded_fraction=0.61,
        mig_profile="1g.10gb",
    )
    simulation = Pool(
        name="simulation",
        role="processing",
        accelerator="",
        server="CPU-node",
        num_servers=196,
        num_accelerators=0,
        num_cpus=25_088,
        server_power_w=1000.0,
        power_w=196_000.0,
        num_racks=10,
        servers_per_rack=20,
        workloads=("regression", "mining"),
        demanded_fraction=0.72,
        estimated=True,
    )
    chosen = Strategy(
        workload="bev-foundation",
        pool="training",
        chosen=True,
        stated=True,
        accelerator="H100-SXM5-80GB",
        tp=8,
        pp=4,
        dp=32,
        zero_stage=1,
        micro_batch=1,
        num_global_batch=2048,
        precision="bf16",
        software="megatron-core-2025",
        chunks=6,
        num_accelerators=1024,
        model_flop=4.33e23,
        peak_flop_per_s=989e12,
        step_time_s=4.91,
        parts=(
            StepPart(name="matrix products", time_s=2.9, exposed=True),
            StepPart(name="attention", time_s=0.6, exposed=True),
            StepPart(name="memory traffic", time_s=0.4, exposed=True),
            StepPart(name="optimiser", time_s=0.0002, exposed=True),
            StepPart(name="launches", time_s=0.0498, exposed=True),
            StepPart(name="tensor-parallel messages", time_s=0.5, exposed=True),
            StepPart(name="stage messages", time_s=0.02, exposed=True),
            StepPart(name="pipeline bubble", time_s=0.44, exposed=True),
            StepPart(name="hidden messages", time_s=1.3, exposed=False),
        ),
        error_bar_fraction=0.0426,
        mfu_fraction=0.404,
        tokens_per_s=3.41e6,
        memory_bytes=61e9,
        fits=True,
        duration_s=12.63 * DAY,
        accelerator_hours=1024 * 12.63 * 24,
        checkpoint_bytes=261e9,
        reason="Stated by the demand; fits with 8 GB to spare.",
    )
    faster = replace(
        chosen,
        chosen=False,
        stated=False,
        parts=(),
        chunks=1,
        recomputed_fraction=0.25,
        estimated=True,
        tp=4,
        pp=1,
        dp=256,
        zero_stage=3,
        step_time_s=4.6,
        mfu_fraction=0.431,
        tokens_per_s=3.64e6,
        memory_bytes=66e9,
        duration_s=11.84 * DAY,
        accelerator_hours=1024 * 11.84 * 24,
        reason="No pipeline bubble; 6 % faster than the stated one.",
    )
    return Compute(pools=(training, development, simulation), strategies=(chosen, faster))


def _fabric() -> Fabric:
    compute = Plane(
        topology="two-level fat-tree, rail-optimised",
        switch="QM9700",
        radix=64,
        levels=2,
        num_endpoints=1024,
        num_manager_ports=0,
        num_leaf=32,
        num_spine=16,
        num_core=0,
        num_node_leaf_cables=1024,
        num_leaf_spine_cables=1024,
        num_spine_core_cables=0,
        num_rails=8,
        oversubscription_ratio=1.0,
        port_bytes_per_s=50e9,
        bisection_bytes_per_s=25.6e12,
        power_w=119_000.0,
        num_rack_units=48,
        attachments=(
            Attachment(name="training", num_devices=128, num_ports=8, port_bytes_per_s=50e9),
        ),
        links=(
            LinkCount(
                part="SR4-400G",
                num_links=1400,
                num_optics=2800,
                total_length_m=29_400.0,
                cost_usd=3_220_000.0,
            ),
            LinkCount(
                part="DR4-400G",
                num_links=648,
                num_optics=1296,
                total_length_m=36_100.0,
                cost_usd=1_814_400.0,
            ),
        ),
    )
    storage = replace(
        compute,
        topology="two-level fat-tree",
        switch="SN5400",
        num_endpoints=560,
        num_leaf=18,
        num_spine=9,
        num_node_leaf_cables=731,
        num_leaf_spine_cables=558,
        num_rails=0,
        bisection_bytes_per_s=14e12,
        power_w=52_000.0,
        num_rack_units=54,
        attachments=(
            Attachment(name="training", num_devices=128, num_ports=2, port_bytes_per_s=50e9),
            Attachment(name="development", num_devices=6, num_ports=2, port_bytes_per_s=50e9),
            Attachment(name="simulation", num_devices=196, num_ports=1, port_bytes_per_s=12.5e9),
            Attachment(name="hot", num_devices=12, num_ports=8, port_bytes_per_s=25e9),
            Attachment(name="lake", num_devices=492, num_ports=2, port_bytes_per_s=12.5e9),
            Attachment(name="block", num_devices=9, num_ports=2, port_bytes_per_s=12.5e9),
        ),
        links=(
            LinkCount(
                part="SR4-400G",
                num_links=1289,
                num_optics=2578,
                total_length_m=24_000.0,
                cost_usd=2_964_700.0,
            ),
        ),
    )
    management = replace(
        compute,
        topology="tree with two aggregation switches",
        switch="SN2201",
        radix=48,
        num_endpoints=918,
        num_leaf=23,
        num_spine=2,
        num_node_leaf_cables=918,
        num_leaf_spine_cables=46,
        num_rails=0,
        oversubscription_ratio=24.0,
        port_bytes_per_s=0.125e9,
        bisection_bytes_per_s=5.75e9,
        power_w=7_500.0,
        num_rack_units=25,
        attachments=(
            Attachment(name="training", num_devices=128, num_ports=1, port_bytes_per_s=0.125e9),
            Attachment(name="other", num_devices=790, num_ports=1, port_bytes_per_s=0.125e9),
        ),
        links=(
            LinkCount(
                part="Cat6",
                num_links=964,
                num_optics=0,
                total_length_m=21_900.0,
                cost_usd=8_676.0,
            ),
        ),
    )
    return Fabric(
        kind="infiniband", planes=Planes(compute=compute, storage=storage, management=management)
    )


def _storage() -> Storage:
    lake = Tier(
        name="lake",
        system="HDD-60",
        scheme="ec 8+3",
        overhead_ratio=1.375,
        stored_bytes=365e15,
        usable_bytes=365.1e15,
        raw_bytes=590.4e15,
        fill_ratio=0.85,
        read_bytes_per_s=1.71e12,
        write_bytes_per_s=1.2e12,
        demanded_read_bytes_per_s=92e9,
        demanded_write_bytes_per_s=11.6e9,
        num_servers=492,
        num_drives=29_520,
        num_racks=50,
        power_w=541_200.0,
        capex_usd=17_958_000.0,
        sized_by="capacity",
    )
    hot = Tier(
        name="hot",
        system="AI400X2",
        scheme="raid",
        overhead_ratio=1.47,
        stored_bytes=5e15,
        usable_bytes=5.4e15,
        raw_bytes=8.85e15,
        fill_ratio=0.9,
        read_bytes_per_s=1.08e12,
        write_bytes_per_s=0.78e12,
        demanded_read_bytes_per_s=1e12,
        demanded_write_bytes_per_s=0.5e12,
        num_servers=12,
        num_drives=288,
        num_racks=2,
        power_w=26_400.0,
        capex_usd=4_500_000.0,
        sized_by="read",
    )
    block = Tier(
        name="block",
        system="NVMe-24",
        scheme="replica 3",
        overhead_ratio=3.0,
        stored_bytes=0.42e15,
        usable_bytes=0.47e15,
        raw_bytes=1.66e15,
        fill_ratio=0.85,
        read_bytes_per_s=90e9,
        write_bytes_per_s=45e9,
        demanded_read_bytes_per_s=8e9,
        demanded_write_bytes_per_s=4e9,
        num_servers=9,
        num_drives=216,
        num_racks=1,
        power_w=9_000.0,
        capex_usd=315_000.0,
        sized_by="capacity",
    )
    local = Tier(
        name="local",
        system="HGX-H100",
        scheme="none",
        overhead_ratio=1.0,
        stored_bytes=0.0,
        usable_bytes=3.93e15,
        raw_bytes=3.93e15,
        fill_ratio=1.0,
        read_bytes_per_s=6.4e12,
        write_bytes_per_s=3.2e12,
        demanded_read_bytes_per_s=1e12,
        demanded_write_bytes_per_s=0.0,
        num_servers=128,
        num_drives=1024,
        num_racks=0,
        power_w=0.0,
        capex_usd=0.0,
        sized_by="capacity",
    )
    return Storage(
        tiers=(lake, hot, block, local),
        checkpoint=CheckpointPlan(checkpoint_bytes=261e9, tier="hot", write_time_s=0.33),
    )


def _facility() -> Facility:
    it = (
        1_305_600.0 + 61_200 + 196_000 + 541_200 + 26_400 + 9_000 + 119_000 + 52_000 + 7_500 + 4_000
    )
    pue = 1.5
    shares = (
        PowerShare(name="training", power_w=1_305_600.0),
        PowerShare(name="development", power_w=61_200.0),
        PowerShare(name="simulation", power_w=196_000.0),
        PowerShare(name="lake tier", power_w=541_200.0),
        PowerShare(name="hot tier", power_w=26_400.0),
        PowerShare(name="block tier", power_w=9_000.0),
        PowerShare(name="compute plane", power_w=119_000.0),
        PowerShare(name="storage plane", power_w=52_000.0),
        PowerShare(name="management plane", power_w=7_500.0),
        PowerShare(name="management", power_w=4_000.0),
        PowerShare(name="cooling and losses", power_w=it * (pue - 1)),
    )
    mean = it * 0.74
    energy = mean * pue * YEAR
    return Facility(
        region="cn-shanghai",
        cooling="air",
        num_racks=106,
        num_compute_racks=32,
        groups=_groups(),
        it_power_w=it,
        compute_it_power_w=1_305_600.0,
        mean_it_power_w=mean,
        utilization_fraction=0.8,
        pue_ratio=pue,
        facility_power_w=it * pue,
        shares=shares,
        energy_j_per_year=energy,
        carbon_g_per_j=570 / 3.6e6,
        carbon_g_per_year=energy * 570 / 3.6e6,
        power_price_usd_per_j=0.088 / 3.6e6,
    )


def _groups() -> tuple[RackGroup, ...]:
    rows: tuple[tuple[str, RackKind, str, str, int, float, int, int, float], ...] = (
        ("training", "compute", "HGX-H100", "training", 8, 10_200.0, 128, 4, 45_000.0),
        ("compute-network", "network", "QM9700", "compute-switch", 1, 1_720.0, 48, 11, 20_000.0),
        ("storage-network", "network", "SN5400", "storage-switch", 2, 1_500.0, 27, 13, 20_000.0),
        ("development", "service", "HGX-H100", "development", 8, 10_200.0, 6, 4, 45_000.0),
        ("simulation", "service", "CPU-node", "simulation", 2, 1_000.0, 196, 20, 45_000.0),
        ("lake", "storage", "HDD-60", "lake", 4, 1_100.0, 492, 10, 45_000.0),
        ("hot", "storage", "AI400X2", "hot", 2, 2_200.0, 12, 6, 45_000.0),
        ("block", "storage", "NVMe-24", "block", 2, 1_000.0, 9, 9, 45_000.0),
        ("management", "management", "SN2201", "switch", 1, 300.0, 25, 25, 20_000.0),
    )
    return tuple(
        RackGroup(
            name=name,
            kind=kind,
            part=part,
            device=device,
            num_devices=count,
            num_per_rack=per_rack,
            num_units=units,
            device_power_w=power,
            limit_w=limit,
        )
        for name, kind, part, device, units, power, count, per_rack, limit in rows
    )


def _line(
    category: str, item: str, count: int, low: float, high: float, *, estimated: bool, source: str
) -> BomLine:
    return BomLine(
        category=category,  # type: ignore[arg-type]  # one of the known ones
        item=item,
        num_items=count,
        unit_price_usd=(low + high) / 2,
        low_usd=count * low,
        cost_usd=count * (low + high) / 2,
        high_usd=count * high,
        estimated=estimated,
        source=source,
    )


def _economics() -> Economics:
    press = "SemiAnalysis through Epoch AI; Mercatus, May 2026 (press)"
    bom = (
        _line("compute", "HGX-H100", 134, 270e3, 420e3, estimated=True, source=press),
        _line("compute", "CPU-node", 196, 12e3, 22e3, estimated=True, source=OWN),
        _line("network", "QM9700", 48, 30e3, 103e3, estimated=True, source=RA),
        _line("network", "SN5400", 27, 35e3, 90e3, estimated=True, source=OWN),
        _line("network", "SR4-400G", 2689, 1600.0, 3000.0, estimated=True, source="LinkX"),
        _line("network", "DR4-400G", 648, 1600.0, 4000.0, estimated=True, source="LinkX"),
        _line("network", "Cat6", 964, 3.0, 15.0, estimated=True, source=OWN),
        _line("management", "SN2201", 25, 2500.0, 6000.0, estimated=False, source=RA),
        _line("management", "management server", 4, 20e3, 20e3, estimated=True, source=OWN),
        _line("storage", "HDD-60", 492, 28e3, 45e3, estimated=True, source="Red Hat and Dell"),
        _line("storage", "AI400X2", 12, 250e3, 500e3, estimated=True, source="DDN"),
        _line("storage", "NVMe-24", 9, 25e3, 45e3, estimated=True, source=OWN),
        _line("rack", "rack", 106, 12e3, 12e3, estimated=True, source=OWN),
        _line("rack", "PDU", 236, 3500.0, 3500.0, estimated=True, source=OWN),
        _line(
            "facility",
            "building, power and cooling",
            1,
            21.6e6,
            34.8e6,
            estimated=True,
            source="Cushman and Wakefield 2025",
        ),
        _line("services", "installation and test", 1, 2.9e6, 4.4e6, estimated=True, source=OWN),
    )
    running = (
        CostLine(name="energy", cost_usd_per_year=1.99e6, source="industrial tariff, press 2024"),
        CostLine(name="staff", cost_usd_per_year=768_000.0, source="source document"),
        CostLine(name="maintenance", cost_usd_per_year=3.36e6, source=OWN),
    )
    capex = sum(one.cost_usd for one in bom)
    opex = sum(one.cost_usd_per_year for one in running)
    tco = capex + 5 * opex
    return Economics(
        capex_usd=capex,
        capex_low_usd=sum(one.low_usd for one in bom),
        capex_high_usd=sum(one.high_usd for one in bom),
        opex_usd_per_year=opex,
        tco_usd=tco,
        usd_per_accelerator_hour=tco / (1072 * 8760 * 5),
        usd_per_million_tokens=0.58,
        depreciation_s=5 * YEAR,
        utilization_fraction=0.8,
        bom=bom,
        running=running,
        rent=Rent(
            offer="Lambda H100 on demand, May 2026",
            offer_usd_per_accelerator_hour=2.95,
            rent_usd=2.95 * 1072 * 8760 * 5 * 0.8,
            build_usd=tco,
            break_even_ratio=tco / (2.95 * 1072 * 8760 * 5),
            cheaper="rent" if tco > 2.95 * 1072 * 8760 * 5 * 0.8 else "build",
        ),
    )


def _reliability() -> Reliability:
    shares = tuple(
        FailureShare(component=name, interruptions_per_day=per_day)
        for name, per_day in (
            ("GPU", 0.171),
            ("HBM3 memory", 0.083),
            ("software", 0.063),
            ("network switch or cable", 0.041),
            ("host maintenance", 0.037),
            ("other", 0.088),
        )
    )
    per_day = sum(one.interruptions_per_day for one in shares)
    return Reliability(
        num_accelerators=1024,
        interruptions_per_day=per_day,
        mean_time_between_s=DAY / per_day,
        detect_and_restart_s=900.0,
        checkpoint_write_s=0.03,
        checkpoint_interval_s=104.0,
        goodput_fraction=0.9945,
        shares=shares,
        source="The Llama 3 Herd of Models, arXiv 2407.21783: 419 interruptions in 54 days",
    )


def _bottlenecks() -> tuple[Bottleneck, ...]:
    rows = (
        ("lake to hot tier", "B/s", 0.092e12, 1.71e12, "prefetch of a training set in 15 h"),
        ("hot tier read", "B/s", 1.0e12, 1.08e12, "stated 1 TB/s; 12 appliances of 90 GB/s"),
        ("storage network per server", "B/s", 7.8e9, 100e9, "two ports of 400 Gbit/s"),
        ("accelerator time", "GPU-h", 310_403.0, 344_064.0, "12.6 of 14 days"),
        ("accelerator memory", "B", 61e9, 72e9, "tenth kept for buffers"),
        ("scale-up", "B/s", 210e9, 450e9, "tensor parallel within the server"),
        ("scale-out", "B/s", 19e9, 50e9, "gradients of 32 replicas"),
        ("checkpoint write", "B/s", 0.26e12, 0.78e12, "261 GB in a second"),
        ("rack power", "W", 40_800.0, 45_000.0, "four servers"),
        ("cooling", "W", 40_800.0, 50_000.0, "air takes 50 kW a rack"),
        ("money", "USD", 119.4e6, 140e6, "limits.capex"),
    )
    ordered = sorted(rows, key=lambda row: 1 - row[2] / row[3])
    return tuple(
        Bottleneck(
            stage=stage,
            unit=unit,
            demand=demand,
            capacity=capacity,
            headroom_fraction=1 - demand / capacity,
            binds_in_order=order + 1,
            note=note,
        )
        for order, (stage, unit, demand, capacity, note) in enumerate(ordered)
    )


def _choices() -> tuple[Choice, ...]:
    return (
        Choice(
            what="accelerator for training",
            chosen="H100-SXM5-80GB",
            reason="The demand allows no other.",
            rejected=(
                Rejected(candidate="H200-SXM-141GB", reason="not in limits.accelerators"),
                Rejected(candidate="MI300X", reason="not in limits.accelerators"),
            ),
        ),
        Choice(
            what="compute fabric",
            chosen="infiniband, two-level fat-tree, rail-optimised",
            reason="1,024 endpoints stay below 2,048, the most that two levels of radix 64 carry.",
            rejected=(
                Rejected(candidate="three levels", reason="48 more switches for nothing"),
                Rejected(
                    candidate="4 + 4 ports on two leaves",
                    reason="same counts, but traffic of one rail crosses the spine",
                ),
            ),
        ),
        Choice(what="scheme of the lake", chosen="ec 8+3", reason="Stated by the demand."),
    )


def _assumptions() -> tuple[Assumption, ...]:
    return (
        Assumption(
            path="site.cooling",
            value="air",
            stated=True,
            reason="the demand says so",
            source="demand",
        ),
        Assumption(
            path="site.rack_power",
            value="45 kW",
            stated=True,
            reason="the demand says so",
            source="demand",
        ),
        Assumption(
            path="data.scheme",
            value="8+3",
            stated=True,
            reason="the demand says so",
            source="demand",
        ),
        Assumption(
            path="money.depreciation",
            value="5 years",
            stated=False,
            reason="between what operators book and what the source documents say",
            source="Annual reports of cloud operators (recalled)",
        ),
        Assumption(
            path="plan.utilization",
            value="80 %",
            stated=False,
            reason="share of the accelerator-hours that a centre is planned to use",
            source=OWN,
        ),
        Assumption(
            path="training.precision",
            value="bf16",
            stated=False,
            reason="the format of most published runs",
            source="Published, measured training configurations, 323 rows of 17 families",
        ),
        Assumption(
            path="plan.rack_units",
            value="48",
            stated=False,
            reason="usable units of a rack",
            source=OWN,
        ),
    )


def _derivations() -> tuple[Derivation, ...]:
    return (
        Derivation(
            path="spec.compute.pools[training].num_servers",
            formula="1,024 accelerators / 8 a server = 128",
            source="catalogue: HGX-H100",
        ),
        Derivation(
            path="spec.compute.strategies[0].duration_s",
            formula="6 × 20 B × 3.6 T FLOP / (1,024 × 989 TFLOP/s × MFU 40.4 %) / goodput "
            "99.5 % = 12.6 d",
            source="Published, measured training configurations; rule of six FLOP a "
            "parameter and token",
        ),
        Derivation(
            path="spec.fabric.planes.compute.num_leaf",
            formula="⌈1,024 / (64 / 2)⌉ = 32 leaves",
            source=RA,
        ),
        Derivation(
            path="spec.fabric.planes.compute.num_spine",
            formula="smallest divisor of 32 that is at least 32 × 32 / 64 = 16 spines",
            source=RA,
        ),
        Derivation(
            path="spec.storage.tiers[lake].raw_bytes",
            formula="365 PB × 1.375 / 0.85 = 590 PB",
            source="Ceph documentation",
        ),
        Derivation(
            path="spec.facility.facility_power_w",
            formula="2.32 MW IT × PUE 1.5",
            source="catalogue: cooling, or the demand",
        ),
        Derivation(
            path="spec.facility.carbon_g_per_year",
            formula="22.6 GWh × 570 g/kWh",
            source="2023 electricity CO2 factors, Ministry of Ecology and Environment",
        ),
        Derivation(
            path="spec.economics.capex_usd",
            formula="sum of 16 lines of the bill of materials",
            source="catalogue: prices in the middle of their known range",
        ),
        Derivation(
            path="spec.economics.tco_usd", formula="capex + 5 years × opex", source="arithmetic"
        ),
        Derivation(
            path="spec.reliability.goodput_fraction",
            formula="Daly's expected wall time at 0.48 interruptions a day",
            source="Daly 2006, equations 20 and 37",
        ),
    )


def _alternatives() -> tuple[Alternative, ...]:
    rows = (
        (
            "as chosen",
            "H100-SXM5-80GB",
            "infiniband",
            1024,
            True,
            12.63,
            119.4,
            150.0,
            2.32,
            12.9,
            True,
            True,
            "Cheapest that meets the demand.",
        ),
        (
            "Ethernet instead of InfiniBand",
            "H100-SXM5-80GB",
            "ethernet",
            1024,
            False,
            13.1,
            126.4,
            156.8,
            2.31,
            12.9,
            True,
            True,
            "limits.fabric allows infiniband only",
        ),
        (
            "H200",
            "H200-SXM-141GB",
            "infiniband",
            1024,
            False,
            12.4,
            134.6,
            165.5,
            2.32,
            12.9,
            False,
            True,
            "not in limits.accelerators; 4 % dearer for 2 % less time",
        ),
        (
            "768 accelerators",
            "H100-SXM5-80GB",
            "infiniband",
            768,
            False,
            16.9,
            108.8,
            136.1,
            2.0,
            11.0,
            True,
            True,
            "misses the deadline of 14 days by 2.9 days",
        ),
        (
            "1280 accelerators",
            "H100-SXM5-80GB",
            "infiniband",
            1280,
            True,
            10.3,
            148.7,
            182.4,
            2.66,
            14.8,
            True,
            True,
            "14 % dearer; the deadline is met without it",
        ),
        (
            "B200",
            "B200-SXM-180GB",
            "infiniband",
            512,
            False,
            11.6,
            126.9,
            154.0,
            1.79,
            10.1,
            True,
            True,
            "not in limits.accelerators",
        ),
        (
            "MI300X",
            "MI300X",
            "ethernet",
            1024,
            False,
            14.6,
            112.2,
            141.0,
            2.2,
            12.3,
            True,
            True,
            "not in limits.accelerators; misses the deadline",
        ),
        (
            "A100",
            "A100-SXM4-80GB",
            "infiniband",
            3072,
            False,
            13.4,
            158.0,
            197.0,
            4.1,
            22.7,
            False,
            True,
            "beaten by the chosen one in cost, time and carbon",
        ),
    )
    return tuple(
        Alternative(
            name=name,
            accelerator=accelerator,
            fabric=fabric,
            num_accelerators=count,
            feasible=feasible,
            duration_s=days * DAY,
            capex_usd=capex * 1e6,
            tco_usd=tco * 1e6,
            it_power_w=power * 1e6,
            carbon_g_per_year=kt * 1e9,
            pareto=pareto,
            estimated=estimated,
            reason=reason,
        )
        for (
            name,
            accelerator,
            fabric,
            count,
            feasible,
            days,
            capex,
            tco,
            power,
            kt,
            pareto,
            estimated,
            reason,
        ) in rows
    )


def _deviations() -> tuple[Deviation, ...]:
    return (
        Deviation(
            what="8-GPU servers for 1,024 GPUs",
            source_says="128",
            published="",
            design="128",
            agrees=True,
            source="chapter-13, 13.3.2",
        ),
        Deviation(
            what="out-of-band switches",
            source_says="two 10GbE switches",
            published="8 × SN2201 for 317 management ports",
            design="23",
            agrees=False,
            source=RA,
        ),
        Deviation(
            what="servers of one scalable unit",
            source_says="128",
            published="32 servers",
            design="",
            agrees=False,
            source=RA,
        ),
    )


def run(days: int = 30) -> Run:
    """Return a month of the worked case in the twin, made by a rule rather than by the twin."""
    hours = days * 24
    training = tuple(1.0 if hour % 672 < 303 else 0.0 for hour in range(hours))
    development = tuple(0.25 + 0.5 * (8 <= hour % 24 < 20) for hour in range(hours))
    rows = (
        ("training", 2, 0.0, 0.0, 0.0, 0.451, 0.994),
        ("development", 1788, 0.0, 1260.0, 5460.0, 0.5, 0.983),
        ("simulation", 9, 30.0, 410.0, 900.0, 0.0, 1.0),
    )
    queues = tuple(
        QueueSummary(
            name=name,
            num_jobs=jobs,
            num_unfinished=1,
            avg_jct_s=9000.0 + p95,
            avg_wait_s=p95 / 4,
            p50_wait_s=p50,
            p95_wait_s=p95,
            p99_wait_s=p99,
            makespan_s=days * DAY,
            gpu_utilization_fraction=share * goodput,
            gpu_allocation_fraction=share,
            goodput_fraction=goodput,
            num_preemptions=0,
            num_interruptions=14 if name == "training" else 0,
            num_guarantees_broken=0,
            energy_j=1e12 * share,
            cost_usd=2e4 * share,
            carbon_g=1e8 * share,
        )
        for name, jobs, p50, p95, p99, share, goodput in rows
    )
    return Run(
        name="autonomous-driving",
        spec=RunSpec(
            policy="fair",
            placement="consolidate",
            backfill="conservative",
            borrowing=True,
            seed=7,
            span_s=days * DAY,
            hours=(
                HourlyQueue(
                    name="training",
                    num_gpus=1024,
                    used_fraction=training,
                    mean_waiting_ratio=(0.0,) * hours,
                ),
                HourlyQueue(
                    name="development",
                    num_gpus=48,
                    used_fraction=development,
                    mean_waiting_ratio=(0.4,) * hours,
                ),
                HourlyQueue(
                    name="simulation",
                    num_gpus=0,
                    used_fraction=(0.7,) * hours,
                    mean_waiting_ratio=(0.0,) * hours,
                ),
            ),
            log_digest="5c" * 32,
        ),
        items=queues,
        status=RunStatus(
            num_jobs=sum(one.num_jobs for one in queues),
            num_unfinished=3,
            num_dropped_rows=0,
            num_events=5412,
            avg_jct_s=9400.0,
            avg_wait_s=300.0,
            p50_wait_s=0.0,
            p95_wait_s=1210.0,
            p99_wait_s=5300.0,
            makespan_s=days * DAY,
            gpu_utilization_fraction=0.448,
            gpu_allocation_fraction=0.453,
            goodput_fraction=0.989,
            num_preemptions=0,
            num_interruptions=14,
            num_guarantees_broken=0,
            energy_j=5.8e12,
            cost_usd=137_000.0,
            carbon_g=9.3e8,
            wall_s=0.8,
        ),
    )
