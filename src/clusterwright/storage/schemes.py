"""How data survives losses: erasure codes and replicas."""

import re
from dataclasses import dataclass

from clusterwright.errors import UsageError

_CODE = re.compile(r"(\d{1,3})\s*\+\s*(\d{1,2})\Z")
_MOST_PARITY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A way of storing that survives losses."""

    num_data: int
    """Chunks that hold data; 1 for replicas."""
    num_parity: int
    """Chunks that may be lost."""

    @property
    def overhead_ratio(self) -> float:
        """Raw bytes for one stored byte: (k + m) / k."""
        return (self.num_data + self.num_parity) / self.num_data

    @property
    def num_domains(self) -> int:
        """Hosts that one object spreads over."""
        return self.num_data + self.num_parity

    def __str__(self) -> str:
        """Return the name of the scheme."""
        if self.num_data == 1:
            return f"replica {self.num_domains}"
        return f"ec {self.num_data}+{self.num_parity}"


def parse_scheme(text: str) -> Scheme:
    """Return the scheme that people write as `8+3`.

    Raises
    ------
    UsageError
        If it is not of that form, or loses more than it stores.

    Examples
    --------
    >>> parse_scheme("8+3").overhead_ratio
    1.375
    """
    match = _CODE.match(text.strip())
    if match is None:
        msg = f"{text!r} is no erasure code; write data+parity, for example 8+3 or 4+2"
        raise UsageError(msg)
    data, parity = int(match.group(1)), int(match.group(2))
    if data < 1 or not 1 <= parity <= min(data, _MOST_PARITY):
        msg = (
            f"{text!r}: parity is between 1 and the number of data chunks (at most "
            f"{_MOST_PARITY}); write for example 8+3"
        )
        raise UsageError(msg)
    return Scheme(num_data=data, num_parity=parity)


def replicas(count: int) -> Scheme:
    """Return the scheme that keeps so many copies."""
    return Scheme(num_data=1, num_parity=count - 1)
