"""What queues are owed and allowed, from the queues table: `queue,nodes` and columns beside them.

Columns, all counted in accelerators: guarantee (absent, those of the queue's own nodes), deserved,
limit; weight, and parent for a queue inside another. A row with a name and no nodes is a queue
above others, or one that owns nothing.
"""

import csv
import io
from collections.abc import Mapping

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.quota import Quota

_COLUMNS = ("guarantee", "deserved", "limit", "weight")


def read_quotas(content: bytes, *, file: str, gpus_per_node: int) -> tuple[Quota, ...]:
    """Return the quotas of a queues table.

    Raises
    ------
    InvalidInput
        With every figure that is no number.
    """
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    quotas, faults = [], []
    for row in reader:
        figures: dict[str, float | None] = {}
        for name in _COLUMNS:
            text = (row.get(name) or "").strip()
            try:
                figures[name] = float(text) if text else None
            except ValueError:
                message = f"{text!r} is no number of accelerators"
                faults.append(Fault(file=file, line=reader.line_num, path=name, message=message))
        quotas.append(_quota(row, figures, gpus_per_node))
    if faults:
        raise InvalidInput(faults)
    return tuple(quotas)


def _quota(
    row: Mapping[str, str], figures: Mapping[str, float | None], gpus_per_node: int
) -> Quota:
    owned = float(row.get("nodes") or 0) * gpus_per_node
    guarantee = figures.get("guarantee")
    weight = figures.get("weight")
    return Quota(
        queue=row["queue"],
        parent=row.get("parent") or "",
        guarantee_ratio=owned if guarantee is None else guarantee,
        deserved_ratio=figures.get("deserved"),
        limit_ratio=figures.get("limit"),
        weight_ratio=1.0 if weight is None else weight,
    )
