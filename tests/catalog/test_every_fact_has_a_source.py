"""The catalogue: sources on everything, numbers in their physical range, names, overlays."""

import dataclasses

import pytest
from tests.plan.conftest import ROOT, the_catalog

from clusterwright import catalog
from clusterwright.documents.kinds import outward_names
from clusterwright.errors import InvalidInput, UnknownName
from clusterwright.model.parts import Provenance
from clusterwright.units import unit_of

TABLES = [
    field.name
    for field in dataclasses.fields(catalog.Catalog)
    if field.name not in {"digest", "sources", "aliases", "series"}
]
RANGES = {  # smallest and largest figure that a real part has, in base units
    "memory_speed_bytes_per_s": (1e11, 1e17),
    "tdp_w": (50, 30_000),
    "max_power_w": (10, 400_000),
    "rack_units": (1, 60),
    "pue_ratio": (1, 3),
    "carbon_g_per_j": (0, 1200 / 3.6e6),
    "power_price_usd_per_j": (0, 1 / 3.6e6),
    "construction_usd_per_w": (1, 40),
    "prior": (1e-13, 1e10),
    "architecture_year": (2015, 2027),
    "num_compute_units": (1, 512),
    "nic_bytes_per_s": (1e9, 1e12),
    "usd_per_accelerator_hour": (0.05, 50),
    "release_year": (2015, 2027),
    "reach_m": (0.3, 1e5),
    "fill_fraction": (0.3, 1),
}


def parts_of(name):
    return getattr(the_catalog(), name).values()


@pytest.mark.parametrize("table", TABLES)
def test_every_part_names_a_source_that_is_written_down(table):
    sources = the_catalog().sources
    for part in parts_of(table):
        provenance = part.provenance
        assert isinstance(provenance, Provenance)
        for key in provenance.source.split("+"):
            assert sources[key].title
            assert sources[key].publisher
            assert sources[key].read_on


@pytest.mark.parametrize("table", TABLES)
def test_uncertain_fields_are_fields(table):
    for part in parts_of(table):
        known = set(outward_names(type(part)).values()) | {"recalled"}
        peaks = {f"peak_{name}" for name in ("bf16", "fp16", "fp8", "fp4", "tf32", "fp32", "int8")}
        assert set(part.provenance.uncertain) <= known | peaks, part.name


@pytest.mark.parametrize("table", TABLES)
def test_figures_are_in_their_physical_range(table):
    for part in parts_of(table):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if field.name in RANGES and value is not None:
                low, high = RANGES[field.name]
                assert low <= value <= high, (part.name, field.name, value)
            low_field = field.name.replace("high", "low")
            if field.name.endswith("high_usd") and value is not None:
                assert getattr(part, low_field) <= value, part.name


def test_no_source_is_dead():
    used = {
        key
        for table in TABLES
        for part in parts_of(table)
        for key in part.provenance.source.split("+")
    }
    assert set(the_catalog().sources) == used


def test_every_vendor_of_the_reference_is_there_with_a_server():
    parts = the_catalog()
    assert {"NVIDIA", "AMD", "Intel", "Google", "Huawei", "Cerebras", "Groq"} <= set(
        parts.vendors()
    )
    for name in parts.accelerators:
        assert parts.server_for(name).accelerator == name


def test_a_composed_server_is_marked_an_estimate():
    server = the_catalog().server_for("Ascend-910B2")
    assert server.name.startswith("generic-8x-")
    assert server.provenance.estimated("price_low")
    assert server.price_usd > 0
    assert server.max_power_w > 8 * the_catalog().accelerator("910B").tdp_w


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("A100-80GB", "A100-SXM4-80GB"),
        ("H100-SXM", "H100-SXM5-80GB"),
        ("h100", "H100-SXM5-80GB"),
        ("GB200", "GB200-per-GPU"),
        ("910B", "Ascend-910B2"),
    ],
)
def test_names_that_people_use_lead_to_ours(alias, name):
    assert the_catalog().accelerator(alias).name == name


def test_switch_names_of_sources_lead_to_ours():
    assert the_catalog().switch("QM8790").name == "QM8700"


def test_a_name_of_several_parts_is_refused_with_the_candidates():
    with pytest.raises(UnknownName, match="A100-SXM4-80GB or A100-SXM4-40GB"):
        the_catalog().accelerator("A100")


def test_an_unknown_name_offers_near_ones():
    with pytest.raises(UnknownName, match="H100"):
        the_catalog().accelerator("H100-SXM4-80GB")


def test_every_reference_accelerator_is_in_the_catalogue():
    import csv

    table = ROOT.parent / "shared/reference/accelerators.csv"
    if not table.exists():
        pytest.skip("the reference table is not beside the repository")
    with table.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            part = the_catalog().accelerator(row["name"])
            assert part.memory_bytes == pytest.approx(float(row["memory_gb"]) * 1e9)
            peaks = part.peak_flop_per_s
            peak = peaks.get("bf16", peaks.get("fp16"))
            assert peak == pytest.approx(float(row["bf16_tflops"]) * 1e12)
            if row["scaleup_bidir_gbytes_s"]:
                each_way = float(row["scaleup_bidir_gbytes_s"]) / 2 * 1e9
                assert part.scaleup_bytes_per_s == pytest.approx(each_way)


def overlay(folder, servers="", sources=""):
    head = "name,accelerator,accelerators,cpus,memory,compute_nics,compute_nic,storage_nics,"
    head += "storage_nic,management_ports,local_nvme,max_power,rack_units,whole_rack,price_low,"
    head += "price_high,source,certainty,uncertain\n"
    (folder / "servers.csv").write_text(head + servers)
    (folder / "sources.csv").write_text("name,title,publisher,where,read_on,condition\n" + sources)
    return folder


ROW = (
    "HGX-H100,H100-SXM5-80GB,8,112,2048 GB,8,400 Gbit/s,2,400 Gbit/s,1,30.72 TB,10.2 kW,8,,"
    "240000 USD,250000 USD,offer-1,vendor-spec,\n"
)


def test_an_overlay_replaces_a_part_and_changes_the_digest(tmp_path):
    folder = overlay(tmp_path, ROW, "offer-1,Offer 1,a vendor,,2026-11,\n")
    mine = catalog.load(folder)
    assert mine.server("HGX-H100").price_usd == 245_000
    assert mine.digest != the_catalog().digest
    assert len(mine.servers) == len(the_catalog().servers)


def test_an_overlay_without_a_source_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="offer-1"):
        catalog.load(overlay(tmp_path, ROW))


def test_all_faults_of_an_overlay_are_told_with_their_lines(tmp_path):
    bad = ROW.replace("10.2 kW", "10.2 kB") + ROW.replace("2048 GB", "lots").replace("8,112", "x,1")
    with pytest.raises(InvalidInput) as caught:
        catalog.load(overlay(tmp_path, bad, "offer-1,Offer 1,a vendor,,2026-11,\n"))
    assert {(fault.line, fault.path) for fault in caught.value.faults} == {
        (2, "max_power"),
        (3, "memory"),
        (3, "accelerators"),
    }


def test_an_unknown_table_is_refused(tmp_path):
    (tmp_path / "server.csv").write_text("name\n")
    with pytest.raises(InvalidInput, match="no table"):
        catalog.load(tmp_path)


def test_every_default_of_a_quantity_reads_as_one():
    from clusterwright import documents
    from clusterwright.model.demand import Demand

    known = {info.path.replace("[]", ""): info.annotation for info in documents.fields(Demand)}
    for name in the_catalog().defaults:
        annotation = known.get(name)
        unit = None if annotation is None else unit_of(annotation)
        if unit is not None and unit.dimension != "fraction":
            assert the_catalog().default(name, annotation) >= 0, name


def test_hourly_series_cover_a_year():
    for series in the_catalog().series.values():
        assert len(series.price_usd_per_j) == len(series.carbon_g_per_j) == 8760
