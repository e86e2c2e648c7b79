"""Tiers: published sizings, and what holds for every demand."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright import catalog
from clusterwright.errors import UsageError
from clusterwright.model.storage import Storage, Tier
from clusterwright.storage import Scheme, StorageNeeds, Systems, parse_scheme, size
from clusterwright.units import Bytes, BytesPerSecond, Fraction, parse

PARTS = catalog.load()
LAKE, HOT, BLOCK = (
    PARTS.storage_system(PARTS.default_text(f"plan.{tier}_system"))
    for tier in ("lake", "hot", "block")
)
SYSTEMS = Systems(lake=LAKE, hot=HOT, block=BLOCK, rack_units=48, rack_power_w=45_000.0)
NOTHING = StorageNeeds(
    lake_bytes=0.0,
    lake_read_bytes_per_s=0.0,
    lake_write_bytes_per_s=0.0,
    scheme=parse_scheme("8+3"),
    hot_bytes=0.0,
    hot_read_bytes_per_s=0.0,
    hot_write_bytes_per_s=0.0,
    block_bytes=0.0,
    block_replicas=3,
    local_bytes=0.0,
    num_local_servers=0,
    checkpoint_bytes=0.0,
)
EXABYTE = parse("1 EB", Bytes)


def tier(storage: Storage, name: str) -> Tier:
    return next(one for one in storage.tiers if one.name == name)


def lake_of(num_drives: int, *, fill: float) -> Tier:
    """Return the lake for an exabyte on servers of so many 20 TB drives."""
    drive = parse("20 TB", Bytes)
    server = replace(LAKE, num_drives=num_drives, raw_bytes=num_drives * drive, fill_fraction=fill)
    needs = replace(NOTHING, lake_bytes=EXABYTE)
    return tier(size(needs, replace(SYSTEMS, lake=server))[0], "lake")


# sentence: (drives in a server, fill, servers expected, tolerance, source, why that tolerance)
EXABYTE_LAKES = {
    "60 drives, filled to the brim": (
        60, 1.0, 1150, 0.005,
        "claim S3-23: 1 EB × 1.375 / 20 TB = 68,750 drives",
        "the claim rounds 1,145.8 servers to 1,150",
    ),
    "36 drives, filled to the brim": (
        36, 1.0, 1900, 0.01,
        "claim S3-23",
        "the claim rounds 1,909.7 servers to 1,900",
    ),
    "60 drives, filled to the nearfull limit": (
        60, 0.85, 1349, 0.0,
        "the same with Ceph's nearfull ratio of 0.85",
        "1,145.83 / 0.85 = 1,348.04, and servers are bought whole",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EXABYTE_LAKES)
def test_an_exabyte_takes_the_servers_that_arithmetic_gives(case: str) -> None:
    drives, fill, servers, tolerance, *_ = EXABYTE_LAKES[case]
    lake = lake_of(drives, fill=fill)
    assert lake.num_servers == pytest.approx(servers, rel=tolerance)
    assert lake.overhead_ratio == 1.375
    assert lake.sized_by == "capacity"


def test_an_exabyte_takes_68750_drives_before_whole_servers_and_fill() -> None:
    drives = EXABYTE * parse_scheme("8+3").overhead_ratio / parse("20 TB", Bytes)
    assert drives == pytest.approx(68_750)
    # Whole servers of 60 round that up by less than one server.
    assert 0 <= lake_of(60, fill=1.0).num_drives - drives < 60


def test_a_terabyte_per_second_takes_twelve_appliances() -> None:
    # Claim S3-19: 1 TB/s is 11 to 12 appliances of 90 GB/s; 11.1 means that 11 do not do.
    needs = replace(NOTHING, hot_read_bytes_per_s=parse("1 TB/s", BytesPerSecond))
    hot = tier(size(needs, SYSTEMS)[0], "hot")
    assert (hot.num_servers, hot.sized_by) == (12, "read")


def test_a_checkpoint_of_bloom_takes_its_published_time_at_its_published_rate() -> None:
    # BLOOM chronicles: 2.3 TB in about 40 s; 2.3 TB / 40 s = 57.5 GB/s, so 2.5 % covers "57".
    rate = parse("57 GB/s", BytesPerSecond)
    gpfs = replace(HOT, write_bytes_per_s=rate / 2)  # two appliances are the least
    needs = replace(NOTHING, hot_bytes=1.0, checkpoint_bytes=parse("2.3 TB", Bytes))
    storage, _ = size(needs, replace(SYSTEMS, hot=gpfs))
    assert storage.checkpoint is not None
    assert storage.checkpoint.tier == "hot"
    assert storage.checkpoint.write_time_s == pytest.approx(40, rel=0.025)


# SuperPOD guidance for a scalable unit and for four, as read and write in GB/s: RA-11333-001.
GUIDANCE = {
    "node, good": (4, 2), "node, better": (8, 4), "node, best": (40, 20),
    "1 SU, good": (15, 7), "1 SU, better": (40, 20), "1 SU, best": (125, 62),
    "4 SU, good": (60, 30), "4 SU, better": (160, 80), "4 SU, best": (500, 250),
}  # fmt: skip


@pytest.mark.parametrize("case", GUIDANCE)
def test_the_default_write_share_is_that_of_the_superpod_guidance(case: str) -> None:
    read, write = GUIDANCE[case]
    share = parse(PARTS.default_text("plan.hot_write_share"), Fraction)
    # The guidance prints whole GB/s: 7 of 15 is half, rounded down to a whole number.
    assert share * read == pytest.approx(write, abs=0.5)


@pytest.mark.parametrize("case", GUIDANCE)
def test_appliances_for_the_guidance_deliver_it(case: str) -> None:
    read, write = (parse(f"{rate} GB/s", BytesPerSecond) for rate in GUIDANCE[case])
    needs = replace(NOTHING, hot_read_bytes_per_s=read, hot_write_bytes_per_s=write)
    hot = tier(size(needs, SYSTEMS)[0], "hot")
    assert hot.read_bytes_per_s >= read
    assert hot.write_bytes_per_s >= write


def test_nothing_asked_is_nothing_built() -> None:
    storage, derivations = size(NOTHING, SYSTEMS)
    assert storage == Storage(tiers=(), checkpoint=None)
    assert derivations == ()


def test_a_small_lake_still_has_a_host_for_every_chunk() -> None:
    lake = tier(size(replace(NOTHING, lake_bytes=1.0), SYSTEMS)[0], "lake")
    assert (lake.num_servers, lake.sized_by) == (11, "failure domains")


def test_a_small_hot_tier_still_has_two_appliances() -> None:
    hot = tier(size(replace(NOTHING, hot_bytes=1.0), SYSTEMS)[0], "hot")
    assert hot.num_servers == 2


def test_an_appliance_as_lake_is_not_coded_twice() -> None:
    needs = replace(NOTHING, lake_bytes=parse("10 PB", Bytes))
    lake = tier(size(needs, replace(SYSTEMS, lake=HOT))[0], "lake")
    assert lake.overhead_ratio == 1.0
    assert lake.scheme == "in the appliance"


def test_a_hot_tier_on_bare_drives_is_refused() -> None:
    with pytest.raises(UsageError, match=r"NVMe-24.*usable"):
        size(replace(NOTHING, hot_bytes=1.0), replace(SYSTEMS, hot=BLOCK))


def test_with_a_hot_tier_checkpoints_go_there_and_not_to_the_lake() -> None:
    needs = replace(NOTHING, lake_bytes=1e15, hot_bytes=1e15, checkpoint_bytes=1e12)
    storage, _ = size(needs, SYSTEMS)
    assert storage.checkpoint is not None
    assert storage.checkpoint.tier == "hot"
    assert storage.checkpoint.write_time_s == 1e12 / tier(storage, "hot").write_bytes_per_s


def test_nothing_that_trains_writes_no_checkpoint() -> None:
    assert size(replace(NOTHING, hot_bytes=1e15), SYSTEMS)[0].checkpoint is None


def test_without_a_hot_tier_checkpoints_go_to_the_lake() -> None:
    needs = replace(NOTHING, lake_bytes=1e15, checkpoint_bytes=1e12)
    storage, _ = size(needs, SYSTEMS)
    assert storage.checkpoint is not None
    assert storage.checkpoint.tier == "lake"
    assert storage.checkpoint.write_time_s == 1e12 / tier(storage, "lake").write_bytes_per_s


def test_the_local_tier_is_a_cache_that_costs_and_draws_nothing_of_its_own() -> None:
    local = tier(
        size(replace(NOTHING, local_bytes=1e15, num_local_servers=128), SYSTEMS)[0], "local"
    )
    assert (local.power_w, local.capex_usd, local.num_racks) == (0, 0, 0)
    assert local.num_servers == 128


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_needs_below_nothing_or_beyond_everything_are_refused(value: float) -> None:
    with pytest.raises(UsageError, match="lake_bytes"):
        replace(NOTHING, lake_bytes=value)


_rate = st.floats(0, 1e13)
_amount = st.floats(0, 1e19)
_needs = st.builds(
    lambda lake, read, write, hot, hot_read, hot_write, block, copies, data, parity: replace(
        NOTHING,
        lake_bytes=lake,
        lake_read_bytes_per_s=read,
        lake_write_bytes_per_s=write,
        hot_bytes=hot,
        hot_read_bytes_per_s=hot_read,
        hot_write_bytes_per_s=hot_write,
        block_bytes=block,
        block_replicas=copies,
        scheme=Scheme(num_data=data, num_parity=parity),
        checkpoint_bytes=1e12,
    ),
    _amount, _rate, _rate, _amount, _rate, _rate, _amount,
    st.integers(1, 4), st.integers(1, 20), st.integers(0, 6),
)  # fmt: skip


@settings(deadline=None)
@given(needs=_needs)
def test_every_tier_holds_and_delivers_what_is_asked(needs: StorageNeeds) -> None:
    for one in size(needs, SYSTEMS)[0].tiers:
        almost = 1 - 1e-8  # of a server, for float arithmetic
        assert one.usable_bytes >= one.stored_bytes * almost
        assert one.read_bytes_per_s >= one.demanded_read_bytes_per_s * almost
        assert one.write_bytes_per_s >= one.demanded_write_bytes_per_s * almost


@settings(deadline=None)
@given(needs=_needs)
def test_no_tier_has_a_server_too_many(needs: StorageNeeds) -> None:
    for one in size(needs, SYSTEMS)[0].tiers:
        if one.sized_by == "failure domains":
            continue
        fewer = (one.num_servers - 1) / one.num_servers * (1 + 1e-8)
        short = {
            "capacity": one.usable_bytes * fewer < one.stored_bytes * (1 + 2e-8),
            "read": one.read_bytes_per_s * fewer < one.demanded_read_bytes_per_s * (1 + 2e-8),
            "write": one.write_bytes_per_s * fewer < one.demanded_write_bytes_per_s * (1 + 2e-8),
        }
        assert short[one.sized_by]


@settings(deadline=None)
@given(needs=_needs)
def test_raw_space_is_what_is_usable_plus_code_and_fill_limit(needs: StorageNeeds) -> None:
    for one in size(needs, SYSTEMS)[0].tiers:
        assert one.raw_bytes * one.fill_ratio == pytest.approx(
            one.usable_bytes * one.overhead_ratio
        )


def _doubled(field: str) -> Callable[[StorageNeeds], StorageNeeds]:
    return lambda needs: replace(needs, **{field: 2 * getattr(needs, field)})


@settings(deadline=None)
@given(
    needs=_needs,
    more=st.sampled_from(
        ["lake_bytes", "lake_read_bytes_per_s", "lake_write_bytes_per_s", "hot_bytes",
         "hot_read_bytes_per_s", "hot_write_bytes_per_s", "block_bytes"]
    ).map(_doubled),
)  # fmt: skip
def test_asking_for_more_never_builds_less(
    needs: StorageNeeds, more: Callable[[StorageNeeds], StorageNeeds]
) -> None:
    before = {one.name: one for one in size(needs, SYSTEMS)[0].tiers}
    after = {one.name: one for one in size(more(needs), SYSTEMS)[0].tiers}
    for name, one in before.items():
        assert after[name].num_servers >= one.num_servers
        assert after[name].capex_usd >= one.capex_usd


@settings(deadline=None)
@given(needs=_needs)
def test_racks_hold_the_servers_within_height_and_power(needs: StorageNeeds) -> None:
    for one in size(needs, SYSTEMS)[0].tiers:
        if one.name == "local":
            continue
        system = PARTS.storage_system(one.system)
        fullest = -(-one.num_servers // one.num_racks)
        assert fullest * system.rack_units <= SYSTEMS.rack_units
        assert fullest * system.max_power_w <= SYSTEMS.rack_power_w


@settings(deadline=None)
@given(needs=_needs)
def test_every_tier_is_explained(needs: StorageNeeds) -> None:
    storage, derivations = size(needs, SYSTEMS)
    paths = {one.path for one in derivations}
    for one in storage.tiers:
        assert f"spec.storage.tiers[{one.name}].num_servers" in paths
    assert all(one.formula and one.source for one in derivations)
