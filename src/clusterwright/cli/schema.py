"""`clusterwright schema`: the JSON Schema of a kind of document."""

import json
import sys

from clusterwright import documents
from clusterwright.cli.common import Common
from clusterwright.errors import ExitCode, UnknownName
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design
from clusterwright.model.run import Run

KINDS: dict[str, type] = {"Demand": Demand, "Design": Design, "Simulation": Run}


def schema(kind: str, *, common: Common | None = None) -> int:
    """Print the JSON Schema of a kind of document, for editors and other tools.

    Parameters
    ----------
    kind
        Demand, Design or Simulation.
    """
    del common  # the schema is JSON whatever form is asked for
    if kind not in KINDS:
        found = [name for name in KINDS if name.casefold() == kind.casefold()]
        if not found:
            raise UnknownName.of("kind", kind, KINDS)
        kind = found[0]
    sys.stdout.write(json.dumps(documents.schema(KINDS[kind]), indent=2, ensure_ascii=False) + "\n")
    return ExitCode.OK
