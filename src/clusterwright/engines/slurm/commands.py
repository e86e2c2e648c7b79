"""Slurm's own commands: argument vectors, a time limit on each, JSON where Slurm has it.

A command that cannot reach its controller is `OutOfReach`; one that Slurm turns down is `Declined`
with Slurm's own words. No shell, and no environment beyond what reaching Slurm takes: variables
such as SBATCH_PARTITION would change what is asked.
"""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusterwright.engines.protocol import OutOfReach
from clusterwright.errors import ClusterwrightError, ExitCode

_KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LD_LIBRARY_PATH"),
    *("SLURM_CONF", "SLURM_JWT", "SLURM_CLUSTERS", "MUNGE_SOCKET"),
)
_SILENCE = (
    "unable to contact slurm",
    "unable to establish",
    "timed out",
    "connection refused",
    "connection reset",
    "no route to host",
    "transport endpoint",
    "zero bytes were transmitted",
    "temporarily unable",
    "temporarily unavailable",
    "standby mode",
    "munge",
    "protocol authentication",
    "unexpected message",
    "unexpected msg",
)
"""What commands say when the controller does not answer, or not now; in lower case."""


class Declined(ClusterwrightError):
    """Slurm answered, and said no."""

    exit_code = ExitCode.TARGET


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left."""

    code: int
    """Its exit code."""
    out: str
    """Standard output."""
    err: str
    """Standard error."""


Runner = Callable[[Sequence[str], float, Mapping[str, str]], Done]
"""Runs words within a time, with more environment; tests put a Slurm of their own here.

Raises `TimeoutError` when the time has passed, `FileNotFoundError` without the program.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The commands of one cluster."""

    runner: Runner
    """Runs one."""
    timeout_s: float
    """Longest time that one may take."""
    environment: Mapping[str, str]
    """Variables by which they find the cluster."""

    def run(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """Return what a command prints.

        Raises
        ------
        OutOfReach
            If it is not there, does not return in time, or cannot reach the controller.
        Declined
            If Slurm turns it down.
        """
        try:
            done = self.runner(words, self.timeout_s, {**self.environment, **(env or {})})
        except TimeoutError as error:
            msg = (
                f"{words[0]}: no answer within {self.timeout_s:g} s. "
                "See whether slurmctld runs: scontrol ping."
            )
            raise OutOfReach(msg) from error
        except OSError as error:
            msg = f"{words[0]}: {error.strerror}. Install Slurm's commands, or mend PATH."
            raise OutOfReach(msg) from error
        if done.code == 0:
            return done.out
        said = _said(done)
        if any(word in said.lower() for word in _SILENCE):
            msg = f"{words[0]}: {said}. See whether slurmctld runs: scontrol ping."
            raise OutOfReach(msg)
        msg = f"{words[0]}: {said}"
        raise Declined(msg)

    def json(self, *words: str) -> Mapping[str, Any]:  # what another program prints
        """Return what a command prints as JSON.

        Raises
        ------
        OutOfReach
            As `run`; also if it prints no JSON object.
        Declined
            If Slurm turns it down.
        """
        text = self.run(*words)
        try:
            answer = json.loads(text)
        except ValueError as error:
            msg = f"{' '.join(words)} printed no JSON: {text[:80]!r}. Slurm 21.08 or newer does."
            raise OutOfReach(msg) from error
        if not isinstance(answer, dict):
            msg = f"{' '.join(words)} printed no JSON object"
            raise OutOfReach(msg)
        return answer


def run_here(words: Sequence[str], timeout_s: float, env: Mapping[str, str]) -> Done:
    """Run a command on this machine, in a session of its own: Ctrl-C is not meant for it."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603  argument vectors of our own, no shell
            words,
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            env={**kept, "LC_ALL": "C.UTF-8", **env},
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def _said(done: Done) -> str:
    """Return the words of a refusal without the name of the program before each line."""
    lines = [line.split("error: ", 1)[-1].strip() for line in done.err.splitlines()]
    told = list(dict.fromkeys(line for line in lines if line))
    return "; ".join(told) or f"ended with {done.code}"
