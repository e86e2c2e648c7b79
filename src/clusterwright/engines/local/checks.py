"""Checks of nodes before they get work and while they have it: a command of the centre's own.

A node takes nothing before its first check is through. One that fails is closed with what the
check said, as if somebody had drained it: what runs there goes on, and a check that passes opens it
again. What a check found stands in the spool, so that whoever looks finds the same.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from clusterwright.engines.local import spool
from clusterwright.engines.local.agents import KEPT
from clusterwright.engines.local.nodes import LocalNode
from clusterwright.engines.local.spool import Spool
from clusterwright.model.centre import NodeCheck
from clusterwright.units import Seconds
from clusterwright.units import format as show

NOT_YET = "its check is not through yet"
_MOST, _READ = 200, 4096  # characters told, and bytes read, of what a check says


class Checks:
    """Runs the check of an engine's nodes, round after round, in a thread of its own."""

    def __init__(
        self, place: Spool, nodes: Mapping[str, LocalNode], check: NodeCheck | None
    ) -> None:
        """Take the nodes; nothing is run before `start`."""
        self._spool, self._nodes, self._check = place, nodes, check
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Close nodes until their check is through, unless one was lately, and begin.

        Without a check all are open.
        """
        for node in self._nodes:
            path = _path(self._spool, node)
            if self._check is None:
                path.unlink(missing_ok=True)
                continue
            last_s = float((spool.read(path) or {}).get("time_s", 0.0))
            if not 0.0 <= time.time() - last_s <= self._check.every_s:
                spool.write(path, {"reason": NOT_YET})
        if self._check is not None and self._thread is None:
            self._thread = threading.Thread(
                target=self._run, args=(self._check,), name="node checks", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End it, and the check that runs."""
        self._stopping.set()
        _kill(self._child)
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _run(self, check: NodeCheck) -> None:
        while not self._stopping.is_set():
            for name, node in self._nodes.items():
                fault = self._fault(check, node)
                if self._stopping.is_set():
                    return
                with contextlib.suppress(OSError):  # a full disk: the next round says it
                    self._note(name, fault)
            self._stopping.wait(check.every_s)

    def _fault(self, check: NodeCheck, node: LocalNode) -> str:
        """Run the check of a node, and return what is wrong with it; empty when nothing is."""
        env = {key: value for key, value in os.environ.items() if key in KEPT}
        env |= {
            "CLUSTERWRIGHT_NODE": node.name,
            "CLUSTERWRIGHT_NODE_GPUS": str(node.num_gpus),
            "CLUSTERWRIGHT_NODE_CPUS": str(node.num_cpus),
            "CLUSTERWRIGHT_NODE_MEMORY_BYTES": f"{node.memory_bytes:.0f}",
        }
        with tempfile.TemporaryFile() as said:  # no pipe: what a check leaves behind may hold it
            try:
                child = subprocess.Popen(  # noqa: S603 - the administrator's own command, no shell
                    check.command,
                    env=env,
                    cwd=self._spool.node(node.name),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                return f"its check does not start: {error.strerror or error}"
            self._child = child
            try:
                code = child.wait(check.timeout_s)
            except subprocess.TimeoutExpired:
                _kill(child)
                child.wait()
                return f"its check was not through within {show(check.timeout_s, Seconds)}"
            finally:
                self._child = None
            said.seek(0)
            lines = said.read(_READ).decode(errors="replace").strip().splitlines()
        if code == 0:
            return ""
        told = "".join(one for one in (lines[0] if lines else "") if one.isprintable())[:_MOST]
        return f"its check says: {told}" if told else f"its check ends with {code}"

    def _note(self, node: str, fault: str) -> None:
        before = failed(self._spool, node)
        spool.write(_path(self._spool, node), {"reason": fault, "time_s": time.time()}, sync=False)
        if fault != before:
            spool.poke(self._spool.wake)


def failed(place: Spool, node: str) -> str:
    """Return what the last check of a node found wrong; empty when nothing."""
    found = spool.read(_path(place, node))
    return "" if found is None else str(found.get("reason", ""))


def _path(place: Spool, node: str) -> Path:
    return place.node(node) / "check.json"


def _kill(child: "subprocess.Popen[bytes] | None") -> None:
    if child is not None and child.returncode is None:  # once reaped its number may be another's
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
