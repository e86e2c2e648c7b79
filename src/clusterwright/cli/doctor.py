"""`clusterwright doctor`: what works on this machine, and what would enable the rest."""

import platform
import shutil
import sys
import tempfile
from importlib import util
from pathlib import Path
from typing import Any

from clusterwright import __version__, catalog
from clusterwright.cli import examples
from clusterwright.cli.common import Common
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.engines.local import walls
from clusterwright.errors import ClusterwrightError, ExitCode

_FLOOR = (3, 11)
_PROGRAMS = (
    ("chromium", "the browser tests of the report", "python3 dev.py parts"),
    ("node", "building the console (not needed yet)", "install Node.js"),
)
_LIBRARIES = (
    ("numpy", "arrays of every model", "pip install clusterwright"),
    ("hypothesis", "the property tests", "python3 dev.py test"),
    ("jsonschema", "the schema tests", "python3 dev.py test"),
)


def doctor(*, common: Common | None = None) -> int:
    """Look at this machine: what works here and what would enable the rest.

    Exit code 1 says that something is missing that clusterwright cannot work without.
    """
    rows = [_python(), _package(), _catalog(), _examples()]
    rows += [_program(*one) for one in _PROGRAMS]
    rows += [_library(*one) for one in _LIBRARIES]
    rows.append(_walls())
    broken = [row for row in rows if row["state"] == "broken"]
    emit(
        Answer(
            document=items_document("DoctorReport", rows, num_broken=len(broken)),
            rows=rows,
            columns=("name", "state", "detail", "remedy"),
        ),
        common or Common(),
    )
    return ExitCode.NO if broken else ExitCode.OK


def _row(name: str, state: str, detail: str, remedy: str = "") -> dict[str, Any]:
    return {"name": name, "state": state, "detail": detail, "remedy": remedy}


def _python() -> dict[str, Any]:
    fine = sys.version_info >= _FLOOR
    remedy = "" if fine else "install Python 3.11 or newer"
    return _row("python", "ok" if fine else "broken", platform.python_version(), remedy)


def _package() -> dict[str, Any]:
    return _row("clusterwright", "ok", __version__)


def _catalog() -> dict[str, Any]:
    try:
        parts = catalog.load()
    except ClusterwrightError as error:
        return _row("catalogue", "broken", str(error).splitlines()[0], "install again")
    detail = f"{len(parts.accelerators)} accelerators, digest {parts.digest[:12]}"
    return _row("catalogue", "ok", detail)


def _examples() -> dict[str, Any]:
    try:
        names = examples.names()
    except ClusterwrightError as error:
        return _row("examples", "broken", str(error), "install again")
    return _row("examples", "ok", ", ".join(names))


def _program(name: str, what_for: str, remedy: str) -> dict[str, Any]:
    path = shutil.which(name)
    if path is None:
        return _row(name, "absent", f"for {what_for}", remedy)
    return _row(name, "ok", Path(path).name)


def _walls() -> dict[str, Any]:
    name, what_for = "user namespaces", "for walls between jobs on this machine"
    with tempfile.TemporaryDirectory() as place:
        fine = walls.permitted(str(Path(place).resolve()))
    remedy = "" if fine else "permit them, as by sysctl user.max_user_namespaces"
    return _row(name, "ok" if fine else "absent", what_for, remedy)


def _library(name: str, what_for: str, remedy: str) -> dict[str, Any]:
    if util.find_spec(name) is None:
        return _row(name, "absent", f"for {what_for}", remedy)
    return _row(name, "ok", f"for {what_for}")
