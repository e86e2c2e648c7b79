"""`clusterwright report`: the report of a design, once more."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright import documents, twin
from clusterwright import report as reporting
from clusterwright.cli import files, load
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.progress import Progress
from clusterwright.errors import ExitCode
from clusterwright.model.run import Run
from clusterwright.twin import Recording


def report(
    design: FileName,
    *,
    run: Annotated[FileName | None, Parameter(name="--run")] = None,
    out: Annotated[FileName, Parameter(name="--out")] = "-",
    lang: str = "en",
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    common: Common | None = None,
) -> int:
    """Write the report of a design, for example in another language.

    Parameters
    ----------
    design
        The design (`design.yaml`), the directory it is in, or `-` for stdin.
    run
        A run of the twin to show in it: the directory of `simulate --out`, with pictures of its
        nodes; or what `simulate -o json` printed, or month.json of the demo.
    out
        File to write; `-` is stdout.
    lang
        Language: en or zh.
    dry_run
        Build the report in full, write nothing.
    """
    common = common or Common()
    reporting.check_language(lang)
    with Progress(common).step("building the report"):
        shown, recording = _run(run)
        page = reporting.html(load.design(design), shown, recording, lang=lang)
    if dry_run:
        return ExitCode.OK
    if out == "-":
        sys.stdout.write(page)
    else:
        path = Path(out)
        files.write_directory(str(path.parent), {path.name: page})
        Progress(common).say(f"wrote {out}")
    return ExitCode.OK


def _run(name: str | None) -> tuple[Run | None, Recording | None]:
    """Return the run of a file, or of a directory with its recording."""
    if name is None:
        return None, None
    if not Path(name).is_dir():
        return documents.read(files.read_bytes(name), Run, file=name), None
    document, events = (str(Path(name) / one) for one in ("run.json", "events.npz"))
    shown = documents.read(files.read_bytes(document), Run, file=document)
    return shown, twin.read_recording(files.read_bytes(events), file=events)
