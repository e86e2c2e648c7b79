"""The picture of the how-to on cheap hours: price, and a campaign's draw at once and with waiting.

`python3 -m tools.energy_picture` writes docs/images/energy-week.svg from the catalogue's own series
and the worked case; the page's table comes from `clusterwright study energy`.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from clusterwright import catalog, documents, plan
from clusterwright.model.demand import Demand
from clusterwright.report.svg import points
from clusterwright.study import EnergySetting, study_energy
from clusterwright.units import UsdPerJoule, Watts, parse
from tools.accuracy_pictures import WIDTH, _alone, _begun, _wrapped

ROOT = Path(__file__).parents[1]
ZONE = "DE-LU"
FIRST_DAY, RUN_DAYS = 230, 28
SHOWN = slice(3 * 24, 10 * 24)
"""Hours of the run that are drawn: a week of a campaign."""
TITLE = "The campaign rests through the dearest hours and is through before its deadline"
_LINE = 17.0
_LEFT, _RIGHT, _TALL = 44.0, 8.0, 92.0


def main() -> int:
    """Write the picture."""
    parts = catalog.load()
    path = ROOT / "examples/autonomous-driving/centre.yaml"
    demand = documents.read(path.read_bytes(), Demand, file=str(path))
    setting = EnergySetting(first_hour=24 * FIRST_DAY, num_hours=24 * RUN_DAYS, failures=False)
    study = study_energy(
        demand, plan.plan(demand, parts), parts, {ZONE: parts.series[ZONE]}, setting
    )
    price = np.array(parts.series[ZONE].price_usd_per_j[setting.first_hour :][: setting.num_hours])
    lines = _wrapped(TITLE)
    top = 30.0 + _LINE * len(lines)
    drawing = _begun("energy-week", top + 3 * (_TALL + 44), lines)
    panels = (
        ("price, USD/MWh", price / parse("1 USD/MWh", UsdPerJoule), "red"),
        ("facility at once, MW", study.power_w / parse("1 MW", Watts), "blue"),
        ("facility with waiting, MW", study.waited_w / parse("1 MW", Watts), "blue"),
    )
    for number, (name, values, colour) in enumerate(panels):
        _panel(drawing, top + number * (_TALL + 44), name, values[SHOWN], colour)
    zone = study.zones[0]
    description = (
        f"Three panels over one week in {ZONE}: the hourly price, the draw of the worked case when "
        f"the campaign runs at once, and when it waits. It rests in the dear hours. Over the run "
        f"that saves {100 * zone.saving_fraction:.3g} % of what the campaign costs above idle; "
        f"foresight would save {100 * zone.bound_fraction:.3g} %."
    )
    (ROOT / "docs/images/energy-week.svg").write_text(
        _alone(drawing, TITLE, description), encoding="utf-8"
    )
    sys.stdout.write(f"{description}\n{dataclasses.asdict(zone)}\n")
    return 0


def _panel(drawing, top, name, values, colour) -> None:
    bottom, right = top + _TALL, WIDTH - _RIGHT
    most = max(float(values.max()), 1e-9)
    step = (right - _LEFT) / len(values)
    stairs = [
        (_LEFT + step * (hour + side), bottom - max(float(value), 0.0) / most * _TALL)
        for hour, value in enumerate(values)
        for side in (0, 1)
    ]
    outline = [(_LEFT, bottom), *stairs, (right, bottom)]
    drawing.path(points(outline, closed=True), look=colour, title=name)
    drawing.text(_LEFT, top - 8, name, look="strong halo")
    for value in (0.0, most):
        y = bottom - value / most * _TALL
        drawing.text(_LEFT - 5, y + 4, f"{value:.3g}", look="muted", anchor="end")
    drawing.line(_LEFT, bottom, right, bottom, look="axis")
    for day in range(len(values) // 24):
        x = _LEFT + step * 24 * day
        drawing.line(x, bottom, x, bottom + 4, look="axis")
        drawing.text(x + 12 * step, bottom + 16, f"day {day + 1}", look="muted", anchor="middle")


if __name__ == "__main__":
    sys.exit(main())
