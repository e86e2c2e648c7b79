import csv
import dataclasses
import io
import unicodedata

import pytest
from tests.report import sample
from tests.report.pages import DESIGNS

from clusterwright import report


def test_the_bill_lists_every_line_and_sums_to_the_capex():
    design = sample.design()
    rows = list(csv.DictReader(io.StringIO(report.bom_csv(design))))
    assert len(rows) == len(design.spec.economics.bom)
    assert sum(float(row["cost_usd"]) for row in rows) == pytest.approx(
        design.spec.economics.capex_usd
    )
    assert rows[0]["item"] == "HGX-H100"
    assert rows[0]["estimated"] == "yes"


def test_every_cable_is_a_row_with_both_its_ends():
    rows = list(csv.DictReader(io.StringIO(report.cabling_csv(sample.cables(5)))))
    assert len(rows) == 5
    assert rows[0] == {
        "cable_id": "C00001",
        "plane": "compute",
        "from_device": "training-001",
        "from_port": "ib0",
        "to_device": "compute-leaf-001",
        "to_port": "1",
        "part": "SR4-400G",
        "length_m": "18.5",
    }


def test_no_cables_leave_the_titles():
    assert report.cabling_csv(()).startswith("cable_id,plane,")


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_spreadsheet_takes_no_name_for_a_formula(start):
    evil = f"{start}HYPERLINK(1)"
    cable = dataclasses.replace(sample.cables(1)[0], from_device=evil)
    row = next(csv.DictReader(io.StringIO(report.cabling_csv([cable]))))
    assert row["from_device"] == f"'{evil}"


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", DESIGNS)
def test_the_summary_fits_on_a_screen(name, lang):
    text = report.summary(DESIGNS[name](), sample.run(), lang=lang)
    assert text.endswith("\n")
    assert len(text.splitlines()) <= 25
    assert "nan" not in text
    assert "None" not in text
    assert not [
        letter for letter in text if unicodedata.category(letter) == "Cc" and letter != "\n"
    ]


def test_the_summary_says_what_a_director_asks():
    text = report.summary(sample.design(), sample.run())
    for figure in ("1,024", "12 d 15 h", "$119 M", "3.48 MW", "22.6 GWh", "hot tier read", "30 d"):
        assert figure in text


def test_the_summary_of_a_demand_that_cannot_be_met_says_so_first():
    first, *rest = report.summary(sample.infeasible()).splitlines()
    assert first.startswith("✕ Does not meet the demand: 3 limits are broken")
    assert any("→ data.retain: write 9 months" in line for line in rest)
