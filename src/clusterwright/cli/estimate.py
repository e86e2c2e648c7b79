"""`clusterwright estimate`: models held against rows of somebody's measurements."""

import csv
import io
from typing import Literal

from clusterwright import fabric
from clusterwright.cli import files
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.errors import ExitCode, UsageError


def estimate(what: Literal["fabric"], rows: FileName, *, common: Common | None = None) -> int:
    """Hold the models against rows of your own measurements.

    `fabric` counts switches and cables. Needed columns: gpus, radix_per_plane. Optional: planes,
    switch_ports, ufm_included, ufm_ports, oversubscription. Unknown columns pass through; predicted
    ones are added.

    Parameters
    ----------
    what
        Which model: fabric.
    rows
        CSV file with a header, or `-` for stdin.
    """
    del what  # the fabric model is the only one so far; others join here
    given = _read(rows)
    found = fabric.estimate_rows(given, file=rows)
    emit(
        Answer(
            document=items_document("FabricEstimateList", found, num_rows=len(found)),
            rows=found,
            columns=("id", "gpus", *fabric.PREDICTED) if given and "id" in given[0] else (),
            text="" if found else "no rows",
            key="id",
        ),
        common or Common(),
    )
    return ExitCode.OK


def _read(path: str) -> list[dict[str, str]]:
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
