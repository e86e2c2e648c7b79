"""The carrier: the only thread that talks to the engine. It sees, tells, and does what it is told.

The engine may be slow or out of reach; neither may hold up the journal. What is to be done is
always the newest list, and each list says all that is to be done.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clusterwright.engines import (
    OURS,
    Attempt,
    Engine,
    Launch,
    Observation,
    OutOfReach,
    Refused,
    Stop,
)
from clusterwright.errors import ClusterwrightError

_log = logging.getLogger(__name__)
_AGAIN_S = 2.0  # the same order is not given more often; the engine needs time to carry it out
_RETRY_S = 2.0  # pause before an engine out of reach is asked again


@dataclass(frozen=True, slots=True)
class Work:
    """All that the engine must do now."""

    launch: tuple[Launch, ...] = ()
    stop: tuple[tuple[Attempt, Stop], ...] = ()
    fence: tuple[Attempt, ...] = ()
    forget: tuple[Attempt, ...] = ()
    drain: tuple[tuple[str, str], ...] = ()
    undrain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """What has come of the engine since the last news."""

    seen: Observation | None = None
    """What it sees; absent when it is out of reach."""
    reports: Mapping[Attempt, Path] = field(default_factory=dict)
    """Where attempts that it sees report."""
    fenced: tuple[Attempt, ...] = ()
    """Attempts of which nothing is left, and nothing can start."""
    refused: tuple[tuple[Attempt, str], ...] = ()
    """Attempts that can never start, and why."""
    out_of_reach: str = ""
    """Why the engine does not answer; empty when it does."""


class Carrier:
    """Carries work to the engine and news back, in threads of its own."""

    def __init__(self, engine: Engine, tell: Callable[[News], None], *, every_s: float) -> None:
        """Take the engine and whom to tell; at least one observation is made `every_s`."""
        self._engine, self._tell, self._every_s = engine, tell, every_s
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._work = Work()
        self._asked: dict[tuple[str, object], float] = {}
        self._threads = [
            threading.Thread(target=self._carry, name="carrier", daemon=True),
            threading.Thread(target=self._listen, name="carrier-ear", daemon=True),
        ]

    def start(self) -> None:
        """Begin to observe."""
        for thread in self._threads:
            thread.start()

    def give(self, work: Work) -> None:
        """Replace what is to be done, and begin to do it."""
        with self._lock:
            self._work = work
        if work != Work():
            self._bell.set()

    def stop(self) -> None:
        """Carry nothing any more; what runs goes on."""
        self._stopping.set()
        self._bell.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._engine.wait(1.0):
                    self._bell.set()
            except ClusterwrightError:
                self._stopping.wait(_RETRY_S)
            except Exception:  # a fault of the engine's must not end the listening
                _log.exception("waiting for the engine failed")
                self._stopping.wait(_RETRY_S)

    def _carry(self) -> None:
        while not self._stopping.is_set():
            news = self._round()
            self._tell(news)
            if news.out_of_reach:
                self._stopping.wait(_RETRY_S)
            elif not (news.fenced or news.refused):
                self._bell.wait(self._every_s)
            self._bell.clear()

    def _round(self) -> News:
        """Do what is to be done, then look."""
        with self._lock:
            work = self._work
        fenced: list[Attempt] = []
        refused: list[tuple[Attempt, str]] = []
        try:
            self._do(work, fenced, refused)
            seen = self._engine.observe()
            attempts = [one.attempt for one in seen.attempts]
            return News(seen, self._reports(attempts), tuple(fenced), tuple(refused))
        except OutOfReach as error:
            return News(None, {}, tuple(fenced), tuple(refused), str(error) or "does not answer")
        except Exception as error:  # whatever it is, nothing may be concluded from it
            _log.exception("the engine failed")
            what = f"{type(error).__name__}: {error}"
            return News(None, {}, tuple(fenced), tuple(refused), what)

    def _do(self, work: Work, fenced: list[Attempt], refused: list[tuple[Attempt, str]]) -> None:
        engine = self._engine
        for order in work.launch:
            if not self._due("launch", order.attempt):
                continue
            try:
                engine.launch(order)
            except Refused as error:
                refused.append((order.attempt, str(error)))
        for attempt, stop in work.stop:
            if self._due("stop", attempt):
                engine.stop(attempt, stop)
        fenced += [one for one in work.fence if self._due("fence", one) and engine.fence(one)]
        if work.forget:
            engine.forget(work.forget)
        for node, reason in work.drain:
            if self._due("drain", node):
                engine.drain(node, OURS + reason)
        for node in work.undrain:
            if self._due("undrain", node):
                engine.undrain(node)

    def _due(self, what: str, whom: object) -> bool:
        """Return whether an order is to be given now, and note that it is."""
        now_s, key = time.monotonic(), (what, whom)
        again = _AGAIN_S if what != "fence" else 0.2
        if now_s - self._asked.get(key, -again) < again:
            return False
        if len(self._asked) > 10_000:
            self._asked = {k: at for k, at in self._asked.items() if now_s - at < _AGAIN_S}
        self._asked[key] = now_s
        return True

    def _reports(self, attempts: Sequence[Attempt]) -> dict[Attempt, Path]:
        paths = {attempt: self._engine.report_path(attempt) for attempt in attempts}
        return {attempt: path for attempt, path in paths.items() if path is not None}
