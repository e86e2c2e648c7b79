"""Derive the catalogue's training efficiencies from a table of published runs.

    python tools/derive_efficiencies.py ROWS.csv > src/clusterwright/catalog/data/efficiencies.csv

ROWS.csv has the columns of the published training table (gpu, precision, measured_mfu_pct,
measured_tflops_per_gpu, family, experts). Only dense models count. The efficiency of an accelerator
in a number format is the median of its families' medians, so that a family with many rows weighs no
more than one with few. Where nobody has published a run, the efficiency is carried over: the median
ratio of MFU to the best measured matrix multiplication, times the accelerator's own, times the
share that the default `plan.carry_over_mfu` grants; such rows say `estimate`.
"""

import csv
import sys
from collections import defaultdict
from statistics import median

from clusterwright import catalog
from clusterwright.errors import UnknownName

COLUMNS = (
    *("name", "accelerator", "precision", "low", "mfu", "high", "runs", "families"),
    *("source", "certainty", "uncertain"),
)
SPELLINGS = {"amp_fp8": "fp8", "mxfp8": "fp8", "nvfp4": "fp4"}
MOST = 0.99  # a share above this is a mistake of the table or of the peak


def main() -> None:
    """Read the table named on the command line and print the efficiencies."""
    parts = catalog.load()
    runs = defaultdict(lambda: defaultdict(list))
    with open(sys.argv[1], newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            found = _mfu(row, parts)
            if found is not None:
                key, share = found
                runs[key][row["family"]].append(share)
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    gemm = _gemm_shares(parts)
    measured = {key: [median(shares) for shares in by.values()] for key, by in runs.items()}
    typical = median(
        median(medians) / gemm[name]
        for (name, precision), medians in measured.items()
        if precision == "bf16" and name in gemm
    )
    carried = parts.default("plan.carry_over_mfu", catalog_fraction())
    for accelerator in parts.accelerators.values():
        for precision in accelerator.peak_flop_per_s:
            key = (accelerator.name, precision)
            if key in measured:
                number = sum(len(shares) for shares in runs[key].values())
                writer.writerow(_row(key, measured[key], number, "training-table", "measured"))
            else:
                share = typical * gemm.get(accelerator.name, median(gemm.values())) * carried
                writer.writerow(_row(key, [share], 0, "training-table+own-estimate", "estimate"))


def catalog_fraction() -> object:
    """Return the alias of a share."""
    from clusterwright.units import Fraction

    return Fraction


def _mfu(row: dict[str, str], parts: catalog.Catalog) -> tuple[tuple[str, str], float] | None:
    if row["experts"] not in ("", "1"):
        return None
    try:
        accelerator = parts.accelerator(row["gpu"])
    except UnknownName:
        return None
    precision = SPELLINGS.get(row["precision"], row["precision"] or "fp16")
    peak = accelerator.peak_flop_per_s.get(precision)
    if peak is None:
        return None
    if row["measured_mfu_pct"]:
        share = float(row["measured_mfu_pct"]) / 100
    elif row["measured_tflops_per_gpu"]:
        share = float(row["measured_tflops_per_gpu"]) * 1e12 / peak
    else:
        return None
    return ((accelerator.name, precision), share) if 0 < share < MOST else None


def _gemm_shares(parts: catalog.Catalog) -> dict[str, float]:
    return {
        one.name: one.measured_bf16_flop_per_s / one.peak_flop_per_s["bf16"]
        for one in parts.accelerators.values()
        if one.measured_bf16_flop_per_s
    }


def _row(key, medians, number, source, certainty) -> dict[str, object]:
    return {
        "name": " ".join(key),
        "accelerator": key[0],
        "precision": key[1],
        "low": f"{min(medians):.4f}",
        "mfu": f"{median(medians):.4f}",
        "high": f"{max(medians):.4f}",
        "runs": number,
        "families": len(medians) if number else 0,
        "source": source,
        "certainty": certainty,
    }


if __name__ == "__main__":
    main()
