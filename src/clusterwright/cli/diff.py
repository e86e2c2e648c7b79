"""`clusterwright diff`: two designs, figure by figure."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli import load
from clusterwright.cli.common import Common, FileName
from clusterwright.cli.output import Answer, emit, items_document
from clusterwright.errors import ExitCode
from clusterwright.study import compare


def diff(
    before: FileName,
    after: FileName,
    *,
    exit_code: Annotated[bool, Parameter(name="--exit-code", negative=())] = False,
    common: Common | None = None,
) -> int:
    """Compare two designs figure by figure.

    Parameters
    ----------
    before
        The first design.yaml, or the directory it is in.
    after
        The second one.
    exit_code
        Leave with 1 when there is a difference.
    """
    found = compare(load.design(before), load.design(after))
    rows = [asdict(difference) for difference in found]
    emit(
        Answer(
            document=items_document("DifferenceList", rows, num_differences=len(rows)),
            rows=rows,
            columns=("path", "before", "after", "change_ratio"),
            text="" if rows else "no difference",
            key="path",
        ),
        common or Common(),
    )
    return ExitCode.NO if exit_code and rows else ExitCode.OK
