"""`clusterwright estimate`: models held against rows of somebody's measurements."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from clusterwright import fabric
from clusterwright.cli import files, load
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, Row, emit, items_document
from clusterwright.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from clusterwright.compute.accuracy import GroupError

_TRAINING_SHOWN = (
    *("id", "model", "gpu", "gpus", "predicted_step_time_s", "predicted_tokens_per_s_per_gpu"),
    *("predicted_mfu_fraction", "fits", "error_bar_fraction"),
)
_ENCODER_SHOWN = (
    *("id", "encoder", "gpu", "gpus", "batch", "predicted_step_time_s", "predicted_samples_per_s"),
    *("compute_bound_fraction", "memory_bound_fraction", "fits"),
)


def estimate(
    what: Literal["fabric", "training", "encoder", "runtimes"],
    rows: FileName,
    *,
    history: Annotated[FileName | None, Parameter(name="--history")] = None,
    history_shift: Annotated[str | None, Parameter(name="--history-shift")] = None,
    start: Annotated[str | None, Parameter(name="--from")] = None,
    model: Annotated[Literal["history", "lightgbm"] | None, Parameter(name="--model")] = None,
    online: Annotated[bool, Parameter(name="--online", negative=())] = False,
    guess: Annotated[
        Literal["order", "mean", "p50", "p90"] | None, Parameter(name="--guess")
    ] = None,
    out: Annotated[FileName | None, Parameter(name="--out")] = None,
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None,
    common: Common | None = None,
) -> int:
    """Hold the models against rows of your own measurements.

    `fabric` counts switches and cables. Needed columns: gpus, radix_per_plane. Optional: planes,
    switch_ports, ufm_included, ufm_ports, oversubscription.

    `training` times an optimiser step. Needed columns: model (or layers and hidden), gpu, gpus, tp,
    pp, global_batch. Optional: what else describes model, layout and software; what is absent is
    taken from the model's preset and the software's defaults, and `reason` says so. Where a row
    holds a measured time, the errors are told too.

    `encoder` times a training step of a backbone or perception model that the catalogue has as a
    list of operators. Needed columns: encoder, gpu, gpus, batch (samples of one accelerator and
    step). Optional: precision, software, measured_samples_per_s. `-o json` holds every operator.

    Unknown columns pass through; predicted ones are added.

    `runtimes` predicts how long each job of a trace (the tidy schema) will run, from an earlier
    trace or the trace's own beginning, and says how wrong that was. `--out` keeps the predictions
    for `simulate --policy qssf --estimates`.

    Parameters
    ----------
    what
        Which model: fabric, training, encoder or runtimes.
    rows
        CSV file with a header, or `-` for stdin.
    history
        runtimes: the earlier trace to learn from.
    history_shift
        runtimes: how long before the trace's time 0 the history's lies, such as 30d; 0 by default.
    start
        runtimes: predict jobs submitted from this time on, such as 14d; what the trace holds before
        is learned from.
    model
        runtimes: history (tables by user, queue, size and hour; the default) or lightgbm.
    online
        runtimes: learn each job of the period as well once it has ended, at the earliest time that
        it can have: its submission and its run time.
    guess
        runtimes: what est_duration_s holds: order (for --policy qssf; the default), mean, p50, p90.
    out
        runtimes: CSV file for the predictions.
    catalog
        Directory of your own parts, laid over the catalogue.
    """
    common = common or Common()
    if what == "runtimes":
        from clusterwright.cli.estimate_runtimes import estimate_runtimes

        estimate_runtimes(
            rows,
            history=history,
            history_shift=history_shift,
            start=start,
            model=model or "history",
            online=online,
            guess=guess or "order",
            out=out,
            common=common,
        )
        return ExitCode.OK
    asked = {
        "--history": history,
        "--history-shift": history_shift,
        "--from": start,
        "--model": model,
        "--online": online,
        "--guess": guess,
        "--out": out,
    }
    strange = [option for option, value in asked.items() if value]
    if strange:
        msg = f"{', '.join(strange)}: only `estimate runtimes` takes this, not `estimate {what}`"
        raise UsageError(msg)
    given = read_rows(rows)
    match what:
        case "fabric":
            _emit_fabric(given, rows, common)
        case "training":
            _emit_training(given, rows, catalog, common)
        case "encoder":
            _emit_encoder(given, rows, catalog, common)
    return ExitCode.OK


def read_rows(path: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file by column.

    Raises
    ------
    UsageError
        If it is no CSV text, or a line has another number of cells than the header.
    """
    content = files.read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: is no CSV text ({error}); save it as UTF-8 with commas"
        raise UsageError(msg) from error
    if not reader.fieldnames:
        msg = f"{path}: is empty; the first line names the columns"
        raise UsageError(msg)
    bad = [n for n, row in enumerate(rows, start=2) if None in row or None in row.values()]
    if bad:
        shown = ", ".join(str(n) for n in bad[:8])
        msg = f"{path}: lines {shown} have another number of cells than the header; mend them"
        raise UsageError(msg)
    return rows


def time_errors(groups: "Sequence[GroupError]") -> str:
    """Return one line for each group: rows, median and mean error, bias."""
    width = max(len(one.name) for one in groups)
    return "\n".join(
        f"  {one.name:<{width}} {one.num_rows:>4} rows   median {100 * one.median_fraction:5.1f} %"
        f"   mean {100 * one.mean_fraction:5.1f} %   bias {100 * (one.bias_ratio - 1):+5.1f} %"
        for one in groups
    )


def _emit_fabric(given: list[dict[str, str]], rows: str, common: Common) -> None:
    found = fabric.estimate_rows(given, file=rows)
    document = items_document("FabricEstimateList", found, num_rows=len(found))
    shown = ("id", "gpus", *fabric.PREDICTED) if given and "id" in given[0] else ()
    _answer(document, found, shown, common)


def _emit_training(
    given: list[dict[str, str]], rows: str, catalog: str | None, common: Common
) -> None:
    from dataclasses import asdict

    from clusterwright.cli.progress import Progress
    from clusterwright.compute import accuracy, predict

    parts = load.the_catalog(catalog)
    found = predict.estimate_rows(given, parts, file=rows)
    without = [row for row in found if row["predicted_step_time_s"] == ""]
    status: dict[str, object] = {"num_rows": len(found), "num_without_prediction": len(without)}
    compared = predict.compared(given, found)
    if compared is not None:
        families, ratios = compared
        told = accuracy.group_error("measured rows", ratios, families)
        status["error"] = asdict(told)
        names = list(dict.fromkeys(families))
        groups = [
            accuracy.group_error(name, ratios[[one == name for one in families]], [name])
            for name in names
        ]
        status["error_by_family"] = [asdict(one) for one in groups]
        Progress(common).say(time_errors([told, *groups] if len(groups) > 1 else [told]))
    _answer(items_document("TrainingEstimateList", found, **status), found, _TRAINING_SHOWN, common)


def _emit_encoder(
    given: list[dict[str, str]], rows: str, catalog: str | None, common: Common
) -> None:
    from dataclasses import asdict

    from clusterwright.cli.progress import Progress
    from clusterwright.compute import accuracy, encoders

    found, operators = encoders.estimate_rows(given, load.the_catalog(catalog), file=rows)
    status: dict[str, object] = {"num_rows": len(found)}
    ratios = encoders.compared(given, found)
    if ratios is not None:
        told = accuracy.group_error("measured rows", ratios, ["own"] * len(ratios))
        status["error"] = asdict(told)
        Progress(common).say(time_errors([told]))
    items = [{**row, "operators": own} for row, own in zip(found, operators, strict=True)]
    _answer(items_document("EncoderEstimateList", items, **status), found, _ENCODER_SHOWN, common)


def _answer(
    document: Mapping[str, object], rows: Sequence[Row], shown: Sequence[str], common: Common
) -> None:
    """Write estimated rows; a table shows those of the columns that the rows have."""
    emit(
        Answer(
            document=document,
            rows=rows,
            columns=tuple(name for name in shown if rows and name in rows[0]),
            text="" if rows else "no rows",
            key="id",
        ),
        common,
    )
