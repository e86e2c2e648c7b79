"""`clusterwright init`: a first demand file."""

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli import examples, files
from clusterwright.cli.common import Common
from clusterwright.cli.progress import Progress
from clusterwright.errors import Conflict, ExitCode


def init(
    file: str = "centre.yaml",
    *,
    example: Annotated[str, Parameter(name="--example")] = "autonomous-driving",
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    common: Common | None = None,
) -> int:
    """Write a first demand file to start from.

    Parameters
    ----------
    file
        File to write.
    example
        Which example to start from: autonomous-driving, llama-405b, university, inference or
        hyperscale-100k.
    yes
        Replace the file where it is there already.
    dry_run
        Say what would be written, write nothing.
    """
    progress = Progress(common or Common())
    text = examples.path_of(example).read_text(encoding="utf-8")
    text = re.sub(r"\A# yaml-language-server:.*\n", "", text)
    path = Path(file)
    if path.exists() and not yes:
        msg = f"{file}: is there already; name another file, or replace it with --yes"
        raise Conflict(msg)
    if not dry_run:
        files.write_directory(str(path.parent), {path.name: text})
    done = "would write" if dry_run else "wrote"
    progress.say(f"{done} {file}; next: clusterwright plan {file} --out build")
    return ExitCode.OK
