"""Holding the counting rule against rows of somebody's fabrics."""

from collections.abc import Mapping, Sequence

from clusterwright.errors import Fault, InvalidInput, UsageError
from clusterwright.fabric.fattree import fat_tree

PREDICTED = (
    "predicted_leaf",
    "predicted_spine",
    "predicted_core",
    "predicted_node_leaf_cables",
    "predicted_leaf_spine_cables",
    "predicted_spine_core_cables",
)
UFM_PORTS = 4  # leaf ports of the fabric managers in the DGX SuperPOD H100 and B200 references
REMEDIES = {
    "gpus": "the number of accelerators, each with one port on every plane",
    "radix_per_plane": "the ports of one switch as that plane uses them, such as 64",
}


def estimate_rows(
    rows: Sequence[Mapping[str, str]], *, file: str = "-"
) -> tuple[dict[str, str], ...]:
    """Return rows with the predicted counts added; unknown columns pass through.

    Parameters
    ----------
    rows
        `gpus` and `radix_per_plane` are needed; `planes` (1), `switch_ports` (the radix),
        `ufm_included` (no), `ufm_ports` (4) and `oversubscription` (1) have defaults. Switches are
        counted over all planes. A cable is one plug of the switch's own port: where a plane splits
        the ports, the links that share a port share its cable.

    Raises
    ------
    InvalidInput
        With every cell that cannot be used.
    """
    faults: list[Fault] = []
    done = []
    for line, row in enumerate(rows, start=2):
        try:
            done.append({**row, **_predicted(row)})
        except _BadCell as error:
            faults.extend(
                Fault(file=file, line=line, path=column, message=message, remedy=remedy)
                for column, message, remedy in error.cells
            )
        except UsageError as error:
            faults.append(Fault(file=file, line=line, path="gpus", message=str(error)))
    if faults:
        raise InvalidInput(faults)
    return tuple(done)


class _BadCell(Exception):
    def __init__(self, cells: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self.cells = cells


def _predicted(row: Mapping[str, str]) -> dict[str, str]:
    bad: list[tuple[str, str, str]] = []
    gpus = _whole(row, "gpus", None, bad)
    radix = _whole(row, "radix_per_plane", None, bad)
    planes = _whole(row, "planes", 1, bad)
    ports = _whole(row, "switch_ports", radix, bad)
    managers = _whole(row, "ufm_ports", UFM_PORTS, bad) if _yes(row, bad) else 0
    ratio = _number(row, "oversubscription", 1.0, bad)
    if bad:
        raise _BadCell(bad)
    tree = fat_tree(gpus, radix, num_manager_ports=managers, oversubscription=ratio)
    split = max(1, radix // max(ports, 1))
    counts = (
        tree.num_leaf * planes,
        tree.num_spine * planes,
        tree.num_core * planes,
        tree.num_node_leaf_links * planes // split,
        tree.num_leaf_spine_links * planes // split,
        tree.num_spine_core_links * planes // split,
    )
    return {name: str(count) for name, count in zip(PREDICTED, counts, strict=True)}


def _whole(
    row: Mapping[str, str], column: str, default: int | None, bad: list[tuple[str, str, str]]
) -> int:
    text = (row.get(column) or "").strip()
    if not text and default is not None:
        return default
    if not text.isdecimal() or int(text) < 1:
        what = f"{text!r} is no whole number above zero" if text else "is empty or missing"
        bad.append((column, what, f"write {REMEDIES.get(column, 'a whole number')}"))
        return 1
    return int(text)


def _number(
    row: Mapping[str, str], column: str, default: float, bad: list[tuple[str, str, str]]
) -> float:
    text = (row.get(column) or "").strip()
    try:
        return float(text) if text else default
    except ValueError:
        bad.append((column, f"{text!r} is no number", "write a ratio such as 1 or 1.5"))
        return default


def _yes(row: Mapping[str, str], bad: list[tuple[str, str, str]]) -> bool:
    text = (row.get("ufm_included") or "no").strip().casefold()
    if text not in {"yes", "no", "true", "false", "1", "0"}:
        bad.append(("ufm_included", f"{text!r} is neither yes nor no", "write yes or no"))
    return text in {"yes", "true", "1"}
