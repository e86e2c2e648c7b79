"""`clusterwright calibrate`: the models' factors fitted to rows of measurements, and checked."""

import csv
import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from clusterwright.cli import files, load
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.estimate import read_rows, time_errors
from clusterwright.cli.output import Answer, csv_text, emit, items_document
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode

if TYPE_CHECKING:
    from clusterwright.catalog import Catalog
    from clusterwright.compute.accuracy import GroupError
    from clusterwright.compute.calibrate import Calibration, Scored

_SOURCE = "step-calibration"
_WORST = 12


def calibrate(
    what: Literal["training"],
    rows: FileName,
    *,
    out: Annotated[str | None, Parameter(name="--out")] = None,
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None,
    date: str | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    common: Common | None = None,
) -> int:
    """Fit the factors of the step-time model to measured runs, and say how wrong it then is.

    Every family of rows is predicted once by a model that has seen none of its rows; the errors
    told are those. A factor moves from its prior only as far as the rows insist.

    Parameters
    ----------
    what
        Which model: training.
    rows
        CSV file with a header, or `-` for stdin: the columns of `estimate training`, and `family`
        (rows without one make a family of their own).
    out
        Directory for step_factors.csv, step_errors.csv and sources.csv: an overlay for --catalog.
    catalog
        Directory of your own parts, laid over the catalogue.
    date
        Date to write beside the factors; today's when absent.
    dry_run
        Fit and check, write nothing.
    """
    del what  # serving joins here
    from clusterwright.compute import accuracy
    from clusterwright.compute import calibrate as fitting

    common = common or Common()
    progress = Progress(common)
    parts = load.the_catalog(catalog)
    given = read_rows(rows)
    found = fitting.scored(given, parts, file=rows)
    with progress.step(f"fitting {len(found.ids)} rows"):
        done = fitting.calibrate(
            found, parts, progress=lambda name, n, of: progress.update(f"fitting {name} ({n}/{of})")
        )
    families = accuracy.by_group(found, done.held_out, lambda n: (str(found.families[n]),))
    if out is not None and not dry_run:
        digest = _digest(given)
        tables = _tables(parts, found, done, date or _today(), digest, Path(out))
        with progress.step(f"writing {out}"):
            files.write_directory(out, tables)
    items = [asdict(one) for one in families]
    emit(
        Answer(
            document=items_document("TrainingCalibration", items, **_status(found, done)),
            rows=items,
            columns=tuple(items[0]),
            text=_text(found, done, families),
        ),
        common,
    )
    return ExitCode.OK


def _status(found: "Scored", done: "Calibration") -> dict[str, object]:
    import numpy as np

    from clusterwright.compute import accuracy

    every, known = found.families, np.isfinite(done.memory)
    chosen = accuracy.choices(found, done.held_out)
    status: dict[str, object] = {
        "num_rows": len(found.ids),
        "skipped": dict(found.skipped),
        "held_out": asdict(accuracy.group_error("all", done.held_out, every)),
        "fitted": asdict(accuracy.group_error("all", done.fitted, every)),
        "by_kind": [
            asdict(one)
            for one in accuracy.by_group(found, done.held_out, lambda n: (str(found.kinds[n]),))
        ],
        "worst": [asdict(one) for one in accuracy.worst(found, done.held_out, _WORST)],
        "choices": [asdict(one) for one in chosen],
    }
    if known.any():
        status["memory"] = asdict(accuracy.group_error("memory", done.memory[known], every[known]))
    if found.single.any():
        alone = found.single
        status["parts_of_one_family"] = asdict(
            accuracy.group_error("alone", done.held_out[alone], every[alone])
        )
    if chosen:
        losses = [one.loss_fraction for one in chosen]
        status["choice_loss_fraction"] = sum(losses) / len(losses)
    return status


def _text(found: "Scored", done: "Calibration", families: "Sequence[GroupError]") -> str:
    import numpy as np

    from clusterwright.compute import accuracy

    held, fitted = done.held_out, done.fitted
    whole = [
        accuracy.group_error("all rows, their family left out", held, found.families),
        accuracy.group_error("all rows, seen by the fit", fitted, found.families),
        *accuracy.by_group(found, held, lambda n: (f"{found.kinds[n]} step time",)),
    ]
    if found.single.any():
        alone = found.single
        whole.append(
            accuracy.group_error("parts of one family", held[alone], found.families[alone])
        )
    known = np.isfinite(done.memory)
    if known.any():
        whole.append(accuracy.group_error("peak memory", done.memory[known], found.families[known]))
    chosen = accuracy.choices(found, held)
    lines = [
        f"{len(found.ids)} rows scored, {len(found.skipped)} without a prediction or a time.",
        "",
        time_errors(whole),
        "",
        "By family, each left out of the fit:",
        time_errors(families),
        "",
        "Missed most:",
        *(
            f"  {one.name}: {one.ratio:.2f} times the measured {one.measured_s:.4g} s"
            for one in accuracy.worst(found, held, 5)
        ),
    ]
    if chosen:
        loss = sum(one.loss_fraction for one in chosen) / len(chosen)
        lines += ["", f"Choosing in {len(chosen)} sets: first choice {100 * loss:.1f} % off best."]
    return "\n".join(lines)


def _tables(
    parts: "Catalog", found: "Scored", done: "Calibration", date: str, digest: str, out: Path
) -> dict[str, str]:
    """Return the files of a calibration by name; rows of other origin in `out` stay."""
    from clusterwright.compute import accuracy

    factors = [
        {
            "name": one.name,
            "unit": one.unit,
            "value": f"{value:.6g}",
            "prior": f"{one.prior:.6g}",
            "spread": f"{one.spread_fraction:g}",
            "meaning": one.meaning,
            "source": one.provenance.source,
            "certainty": one.provenance.certainty,
            "uncertain": ";".join(one.provenance.uncertain),
        }
        for one, value in zip(parts.step_factors.values(), done.values.tolist(), strict=True)
    ]
    drift = accuracy.drift_fraction(found, done.held_out)
    errors = [
        {
            "name": one.own.name,
            "rows": one.own.num_rows,
            "families": one.own.num_families,
            "median": f"{100 * one.own.median_fraction:.2f} %",
            "bar": f"{100 * one.bar_fraction:.2f} %",
            "least": one.num_least,
            "most": one.num_most,
            "parameters_smallest": f"{one.num_parameters_smallest:.4g}",
            "parameters_largest": f"{one.num_parameters_largest:.4g}",
            "drift": f"{100 * drift:.2f} %",
            "source": _SOURCE,
            "certainty": "measured",
            "uncertain": "",
        }
        for one in accuracy.by_regime(found, done)
    ]
    said = f"{len(found.ids)} rows of {len(set(found.families.tolist()))} families"
    source = {
        "name": _SOURCE,
        "title": "Calibration of the step-time model",
        "publisher": "clusterwright",
        "place": f"clusterwright calibrate training; {said}; rows sha256 {digest}",
        "read": date,
        "condition": "values fitted, priors as each factor says; errors with the family left out",
    }
    return {
        "step_factors.csv": csv_text(factors, list(factors[0])),
        "step_errors.csv": csv_text(errors, list(errors[0])),
        "sources.csv": _with_source(out, source),
    }


def _with_source(out: Path, source: Mapping[str, str]) -> str:
    """Return the sources of a directory with this one in its place."""
    own = out / "sources.csv"
    shipped = resources.files("clusterwright") / "catalog" / "data" / "sources.csv"
    text = (own if own.is_file() else shipped).read_text(encoding="utf-8")
    lines = list(csv.reader(text.splitlines()))
    header = lines[0]
    rows = [dict(zip(header, line, strict=False)) for line in lines[1:]] if own.is_file() else []
    fresh = dict(zip(header, source.values(), strict=True))
    kept: Iterable[dict[str, str]] = [row for row in rows if row[header[0]] != _SOURCE]
    return csv_text([*kept, fresh], header)


def _digest(rows: Sequence[Mapping[str, str]]) -> str:
    """Return what the rows say, whatever the order of their columns."""
    found = hashlib.sha256()
    for row in rows:
        found.update(repr(sorted(row.items())).encode())
    return found.hexdigest()[:16]


def _today() -> str:
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()
