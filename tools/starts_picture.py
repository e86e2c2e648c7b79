"""The picture of how often jobs had started by the time they were told, for the explanation page.

`python3 -m tools.starts_picture NAME=FILE.json …` writes docs/images/starts-reliability.svg from
what `clusterwright study starts … -o json` printed, a panel for each file.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from clusterwright.report.svg import Drawing
from tools.accuracy_pictures import _alone, _begun, _shape, _wrapped

ROOT = Path(__file__).parents[1]
TITLE = "How many jobs had started by the time that was told"
WAYS = {"waits of the queue": "bloom", "the twin": "megatron", "the twin, mended": "fsdp"}
"""Mark of each way, the last one on top."""
_LINE, _LEFT, _SIDE, _GAP = 17.0, 44.0, 150.0, 40.0


def main(words: Sequence[str]) -> int:
    """Write the picture."""
    files = dict(word.split("=", 1) for word in words)
    panels = {name: json.loads(Path(file).read_text("utf-8")) for name, file in files.items()}
    lines = _wrapped(TITLE)
    top = 36.0 + _LINE * len(lines)
    rows = (len(panels) + 1) // 2
    height = top + rows * (_SIDE + 52) + _LINE * (len(WAYS) + 0.5)
    drawing = _begun("starts-reliability", height, lines)
    for number, (name, document) in enumerate(panels.items()):
        x = _LEFT + number % 2 * (_SIDE + _GAP)
        _panel(drawing, x, top + number // 2 * (_SIDE + 52), name, document)
    for number, (way, kind) in enumerate(WAYS.items()):
        y = top + rows * (_SIDE + 52) + _LINE * number
        _shape(drawing, kind, _LEFT, y - 4, "")
        drawing.text(_LEFT + 12, y, way)
    told = "; ".join(
        f"{name}: {item['name']} {100 * item['started_by_p50_fraction']:.0f} % by P50 and "
        f"{100 * item['started_by_p90_fraction']:.0f} % by P90"
        for name, document in panels.items()
        for item in document["items"]
    )
    description = (
        f"Share that had started over the level told; on the diagonal it is right. {told}."
    )
    path = ROOT / "docs/images/starts-reliability.svg"
    path.write_text(_alone(drawing, TITLE, description), encoding="utf-8")
    sys.stdout.write(f"{description}\n")
    return 0


def _panel(drawing: Drawing, x: float, y: float, name: str, document) -> None:
    bottom = y + _SIDE
    drawing.text(x, y - 8, name, look="strong halo")
    drawing.line(x, bottom, x + _SIDE, bottom, look="axis")
    drawing.line(x, bottom, x, y, look="axis")
    drawing.line(x, bottom, x + _SIDE, y, look="grid")
    for level in (0.1, 0.5, 0.9):
        place = level * _SIDE
        drawing.text(x + place, bottom + 16, f"P{100 * level:.0f}", look="muted", anchor="middle")
        drawing.text(x - 5, bottom - place + 4, f"{100 * level:.0f} %", look="muted", anchor="end")
    shares = {item["name"]: item["started_by_level_fraction"] for item in document["items"]}
    for way, kind in WAYS.items():
        for level, share in zip(document["status"]["levels"], shares[way], strict=True):
            told = f"{way}: {100 * share:.0f} % by P{100 * level:.0f}"
            _shape(drawing, kind, x + level * _SIDE, bottom - share * _SIDE, told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
