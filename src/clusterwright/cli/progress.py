"""Progress on stderr: a live line on a terminal, one plain line per step elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusterwright.cli.common import Common, stderr

if TYPE_CHECKING:
    from rich.status import Status


class Progress:
    """Steps of a long piece of work, told to whoever watches stderr."""

    def __init__(self, common: Common) -> None:
        """Keep the console; nothing is written before the first step."""
        self._quiet = common.quiet
        self._console = stderr(common)
        self._live: Status | None = None

    @contextmanager
    def step(self, title: str) -> Iterator["Progress"]:
        """Show a step while it runs, and how long it took once it is done."""
        if self._quiet:
            yield self
            return
        started = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(title) as live:
                self._live = live
                yield self
            self._live = None
        else:
            yield self
        self._console.print(f"{title}: {time.monotonic() - started:.1f} s")

    def update(self, text: str) -> None:
        """Change the live line; does nothing where there is none."""
        if self._live is not None:
            self._live.update(text)

    def say(self, text: str) -> None:
        """Write one remark."""
        if not self._quiet:
            self._console.print(text)
