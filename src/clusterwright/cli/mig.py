"""`clusterwright catalog mig`: how an accelerator may be cut, and how many people it seats."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from clusterwright.catalog import Catalog
from clusterwright.cli.common import Common
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.errors import ExitCode, UsageError
from clusterwright.sched.mig import Geometry, Layout
from clusterwright.units import Bytes, parse


def show(parts: Catalog, name: str, seat: str | None, common: Common) -> int:
    """List accelerators that can be cut, the full layouts of one, or the people it seats."""
    if not name:
        _emit("MigAccelerators", _accelerators(parts, seat), common)
        return ExitCode.OK
    geometry = Geometry(parts.accelerator(name))
    if seat is not None:
        _emit("MigSeats", [_seats(geometry, seat)], common)
        return ExitCode.OK
    rows = [_row(geometry, number, one) for number, one in enumerate(geometry.layouts(), start=1)]
    _emit("MigLayouts", rows, common)
    return ExitCode.OK


def _emit(kind: str, rows: list[dict[str, Any]], common: Common) -> None:
    emit(Answer(document=items_document(kind, rows), rows=rows, columns=tuple(rows[0])), common)


def _accelerators(parts: Catalog, seat: str | None) -> list[dict[str, Any]]:
    cut = [Geometry(one) for one in parts.accelerators.values() if one.mig]
    if seat is not None:
        return [_seats(one, seat) for one in cut]
    return [
        {
            "name": one.accelerator.name,
            "profiles": ", ".join(one.profiles),
            "num_layouts": len(one.layouts()),
        }
        for one in cut
    ]


def _seats(geometry: Geometry, seat: str) -> dict[str, Any]:
    memory_bytes = parse(seat, Bytes)
    if memory_bytes <= 0:
        msg = f"--seat {seat}: write the memory of one person, for example 9 GB"
        raise UsageError(msg)
    return {"name": geometry.accelerator.name, **asdict(geometry.seats(memory_bytes))}


def _row(geometry: Geometry, number: int, layout: Layout) -> dict[str, Any]:
    counts = Counter(one.profile for one in layout)
    covered = sum(geometry.profiles[one.profile].memory_slices for one in layout)
    return {
        "name": number,
        "instances": " + ".join(f"{count}×{name}" for name, count in counts.items()),
        "positions": ", ".join(f"{one.profile}@{one.start}" for one in layout),
        "num_instances": len(layout),
        "compute_slices": sum(geometry.profiles[one.profile].compute_slices for one in layout),
        "memory_slices": covered,
    }
