"""An sbatch script as it stands becomes a job whose command runs that script unchanged.

Pure. What a job of ours has a word for is read from the options; what Slurm alone knows is kept in
labels that the engine hands back to sbatch; the rest is told, never dropped in silence.
"""

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import PurePath
from typing import Any, Final, get_args

from clusterwright.engines.slurm.options import Found, Given
from clusterwright.engines.slurm.render import LABEL
from clusterwright.errors import Fault, InvalidInput
from clusterwright.model import slurm
from clusterwright.model.job import Topology
from clusterwright.model.jobspec import NAME, VARIABLE, Checkpoint, JobSpec, Retry, Signal
from clusterwright.units import Bytes, parse

_PASSED_ON = ("qos", "constraint", "reservation", "licenses", "exclusive")
_MOST_BYTES = 128 * 1024 - 1  # of one word of a command, as Linux takes it
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)B?", re.IGNORECASE)
_NODES = re.compile(r"(\d+)(?:-(\d+))?")
_SIGNAL = re.compile(r"(?:([RB]+):)?(?:SIG)?([A-Z0-9]+)(?:@(\d+))?", re.IGNORECASE)
_ARRAY = re.compile(r"\d+(-\d+(:\d+)?)?(,\d+(-\d+(:\d+)?)?)*(%\d+)?")
_MIG = re.compile(r"\d+g\.\d+gb", re.IGNORECASE)
_NUMBERS = {"1": "HUP", "2": "INT", "10": "USR1", "12": "USR2", "15": "TERM"}
_WARNING_S = 60.0  # what sbatch takes when --signal names no time

# The script goes through a file that is gone before it is read: it leaves nothing behind, and an
# interpreter reads it as the file that it was.
_RUN: Final = (
    'script=$(mktemp) && printf %s "$1" >"$script" && exec 9<"$script" && rm -f "$script" && '
    'shift && exec {interpreter} /dev/fd/9 "$@"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script that was read."""

    spec: JobSpec
    """The job that it asks for."""
    told: tuple[Fault, ...]
    """What of it is not carried out, or in another way, with its line."""


def read_sbatch(
    text: str,
    *,
    file: str = "-",
    args: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    zone: tzinfo = UTC,
) -> Script:
    r"""Return the job that an sbatch script asks for.

    Parameters
    ----------
    text
        The script.
    file
        Its name as the user wrote it; the job is called so where it has no name of its own.
    args
        Words for the script.
    environment
        Variables of the submitting shell; those that sbatch reads win over the script.
    options
        Options of the command line, before the script's name; they win over both.
    zone
        Where times of day without an offset are meant.

    Raises
    ------
    InvalidInput
        With every fault at once: unknown options, values that cannot be read, no first line.

    Examples
    --------
    >>> text = "#!/bin/bash\n#SBATCH -N 2 --gpus-per-node=h100:8\nsrun ./train"
    >>> read_sbatch(text).spec.num_nodes
    2
    """
    found = Found(file)
    interpreter = _interpreter(text, found)
    found.read_script(text)
    found.read_variables(environment or {})
    found.read_command_line(options)
    reader = _Reader(found, zone)
    fields = reader.fields(PurePath(file).stem if file != "-" else "sbatch")
    for given in found.given.values():
        if given.option.not_carried_out:
            message = f"{given.source} is not carried out: {given.option.not_carried_out}"
            found.tell(message, given.line)
    if found.faults:
        raise InvalidInput(found.faults)
    run = _RUN.format(interpreter=interpreter)
    spec = JobSpec(
        command=("/bin/sh", "-c", run, "slurm_script", text),
        args=tuple(args),
        launcher="batch",
        **fields,
    )
    return Script(spec=spec, told=tuple(found.told))


def _interpreter(text: str, found: Found) -> str:
    first = text.partition("\n")[0]
    if not first.startswith("#!") or not first[2:].strip():
        found.fault("does not begin with #! and a shell", 1, "begin with #!/bin/bash")
    if "\r\n" in text:
        found.fault("has the line ends of DOS", 1, "convert it, as with dos2unix")
    if len(text.encode()) > _MOST_BYTES:
        found.fault(f"is longer than {_MOST_BYTES} bytes", None, "call a second script from it")
    # Linux hands all that follows the interpreter over as one word.
    head, _, rest = first[2:].strip().partition(" ")
    return shlex.join([head, rest.strip()] if rest.strip() else [head])


class _Reader:
    """Makes fields of a job from options."""

    def __init__(self, found: Found, zone: tzinfo) -> None:
        self._found = found
        self._given = found.given
        self._zone = zone

    def fields(self, name: str) -> dict[str, Any]:
        """Return the fields of the job, by name."""
        num_nodes, min_nodes, tasks = self._tasks()
        gpus, model, mig = self._gpus(num_nodes, tasks)
        cores = self._cores(tasks, gpus)
        fields: dict[str, Any] = {
            "name": self._name("job-name", name),
            "num_nodes": num_nodes,
            "min_nodes": min_nodes,
            "tasks_per_node": tasks,
            "cpus_per_node": cores,
            "gpus_per_node_ratio": float(gpus),
            "gpu_model": model,
            "mig_profile": mig,
            "memory_per_node_bytes": self._memory(cores, gpus),
            "time_limit_s": self._limit_s(),
            "workdir": self._value("chdir") or None,
            "checkpoint": self._checkpoint(),
            "retry": self._retry(),
            "array": self._array(),
            "depends_on": self._dependencies(),
            "start_after": self._moment("begin"),
            "deadline": self._moment("deadline"),
            "hold": "hold" in self._given,
            "topology": self._topology(),
            "env": self._env(),
            "labels": self._labels(),
        }
        if "partition" in self._given:
            fields["queue"] = self._first("partition")
        if "account" in self._given:
            fields["project"] = self._name("account", "")
        return fields

    def _value(self, name: str) -> str:
        given = self._given.get(name)
        return given.value if given else ""

    def _wrong(self, name: str, what: str, remedy: str) -> None:
        given = self._given[name]
        self._found.fault(f"{given.source} {given.value!r} is no {what}", given.line, remedy)

    def _number(self, name: str) -> int | None:
        value = self._value(name)
        if not value:
            return None
        if not value.isdecimal() or int(value) < 1:
            self._wrong(name, "number", "write a whole number from 1")
            return None
        return int(value)

    def _name(self, option: str, fallback: str) -> str:
        """Return a name in the letters that ours are made of; told when they change."""
        wished = self._value(option) or fallback
        name = re.sub(r"[^a-z0-9._-]+", "-", wished.lower())[:63].strip("._-")
        if NAME.fullmatch(name) is None:
            name = "job"
        if name != wished and option in self._given:
            given = self._given[option]
            self._found.tell(f"{given.source} {wished!r} is called {name!r} here", given.line)
        return name

    def _first(self, option: str) -> str:
        given = self._given[option]
        first, comma, _ = given.value.partition(",")
        if comma:
            self._found.tell(f"of {given.source} {given.value!r} the first is taken", given.line)
            self._given[option] = Given(
                option=given.option, value=first, line=given.line, source=given.source
            )
        return self._name(option, "")

    def _tasks(self) -> tuple[int, int | None, int]:
        """Return nodes, the fewest of them, and tasks on each."""
        per_node, total = self._number("ntasks-per-node"), self._number("ntasks")
        num_nodes, min_nodes = self._nodes()
        if num_nodes is None:
            num_nodes = math.ceil(total / per_node) if total and per_node else 1
            if total and total > 1 and not per_node:
                line = self._given["ntasks"].line
                self._found.tell(
                    f"all {total} tasks go to one node", line, "say --nodes to spread them"
                )
        tasks = per_node or (math.ceil(total / num_nodes) if total else 1)
        if total and total > 1 and total != tasks * num_nodes:
            line = self._given["ntasks"].line
            self._found.tell(f"{total} tasks get room for {tasks} on each node", line)
        return num_nodes, min_nodes, tasks

    def _nodes(self) -> tuple[int | None, int | None]:
        value = self._value("nodes")
        if not value:
            return None, None
        match = _NODES.fullmatch(value)
        if match is None or int(match[1]) < 1 or int(match[2] or match[1]) < int(match[1]):
            self._wrong("nodes", "number of nodes", "write 4, or 2-4")
            return 1, None
        least, most = int(match[1]), int(match[2] or match[1])
        return most, (least if least < most else None)

    def _gpus(self, num_nodes: int, tasks: int) -> tuple[int, str | None, str | None]:
        """Return accelerators on each node, their model, and the slice in place of them."""
        for name, factor in (
            ("gpus-per-node", 1.0),
            ("gpus-per-task", float(tasks)),
            ("gpus", 1.0 / num_nodes),
            ("gres", 1.0),
        ):
            asked = self._accelerators(name)
            if asked is None:
                continue
            number, kind = asked
            per_node = math.ceil(number * factor)
            if per_node != number * factor:
                line = self._given[name].line
                message = f"{number} accelerators on {num_nodes} nodes are taken as {per_node} each"
                self._found.tell(message, line)
            if kind and _MIG.search(kind):
                if per_node > 1:
                    self._wrong(name, "single slice", "ask for one slice on each node")
                return 0, None, kind
            return per_node, kind or None, None
        return 0, None, None

    def _accelerators(self, name: str) -> tuple[int, str] | None:
        """Return number and type of an option; None when it asks for none."""
        number, kind = 0, ""
        for part in filter(None, self._value(name).split(",")):
            words = part.removeprefix("gres:").removeprefix("gres/").split(":")
            if name == "gres" and words[0] != "gpu":
                given = self._given[name]
                message = f"{given.source} {part!r} is not carried out: it is no accelerator"
                self._found.tell(message, given.line)
                continue
            words = words[1:] if name == "gres" else words
            count = words.pop() if words and words[-1].isdecimal() else "1"
            if len(words) > 1:
                self._wrong(name, "accelerators", "write h100:8, or 8")
                return None
            number, kind = number + int(count), kind or "".join(words)
        return (number, kind) if number else None

    def _cores(self, tasks: int, gpus: int) -> int:
        per_task, per_gpu = self._number("cpus-per-task"), self._number("cpus-per-gpu")
        cores = tasks * (per_task or 1)
        if per_gpu and gpus and not per_task:
            cores = per_gpu * gpus
        return max(cores, self._number("mincpus") or 0)

    def _memory(self, cores: int, gpus: int) -> float | None:
        """Return the memory of a node; of several options the last one counts, as in Slurm."""
        factors = {"mem": 1, "mem-per-cpu": cores, "mem-per-gpu": max(1, gpus)}
        asked = [name for name in self._given if name in factors]
        if not asked:
            return None
        name = asked[-1]
        match = _MEMORY.fullmatch(self._value(name))
        if match is None:
            self._wrong(name, "memory", "write 64G; without a letter it is MiB")
            return None
        unit = (match[2] or "M").upper()
        bytes_ = parse(f"{match[1]} {unit}iB", Bytes)
        return bytes_ * factors[name] or None  # 0 is all that the node has

    def _limit_s(self) -> float | None:
        try:
            return slurm.limit_s(self._value("time")) or None
        except ValueError:
            self._wrong("time", "time", "write minutes, 1:30:00 or 2-12:00:00")
            return None

    def _checkpoint(self) -> Checkpoint:
        """Return how it is warned: as it says, else as Slurm does, by TERM alone."""
        value = self._value("signal")
        if not value:
            return Checkpoint(signal="TERM", grace_s=0.0)
        match = _SIGNAL.fullmatch(value)
        name = _NUMBERS.get(match[2], match[2].upper()) if match else ""
        known: dict[str, Signal] = {word: word for word in get_args(Signal)}
        if match is None or name not in known:
            self._wrong("signal", "warning", f"write B:USR1@120, with {', '.join(known)}")
            return Checkpoint()
        return Checkpoint(signal=known[name], grace_s=float(match[3] or _WARNING_S))

    def _retry(self) -> Retry:
        last = [name for name in self._given if name in {"requeue", "no-requeue"}]
        return Retry(max=0) if last and last[-1] == "no-requeue" else Retry()

    def _array(self) -> str | None:
        value = self._value("array")
        if value and _ARRAY.fullmatch(value) is None:
            self._wrong("array", "array", "write 0-99, or 0-99%10")
        return value or None

    def _dependencies(self) -> tuple[str, ...]:
        """Return the jobs that must be through; other kinds of waiting are told."""
        if "dependency" not in self._given:
            return ()
        given, jobs = self._given["dependency"], []
        for part in re.split(r"[,?]", given.value):
            kind, _, listed = part.partition(":")
            if kind == "afterok" and listed and "?" not in given.value:
                jobs += [job.partition("+")[0] for job in listed.split(":")]
            else:
                self._found.tell(
                    f"{given.source} {part!r} is not carried out",
                    given.line,
                    "only afterok is, for all jobs named",
                )
        return tuple(jobs)

    def _moment(self, name: str) -> str | None:
        value = self._value(name)
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self._wrong(name, "moment", "write a date, as 2026-12-01T08:00:00")
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).isoformat()

    def _topology(self) -> Topology | None:
        value = self._value("switches")
        if not value:
            return None
        if value.partition("@")[0] != "1":
            given = self._given["switches"]
            self._found.tell(f"{given.source} {value!r} is taken as one switch", given.line)
        return Topology(level="leaf")

    def _env(self) -> dict[str, str]:
        env = {}
        for part in filter(None, self._value("export").split(",")):
            name, sign, value = part.partition("=")
            if sign and VARIABLE.fullmatch(name):
                env[name] = value
            elif part != "NONE":
                given = self._given["export"]
                self._found.tell(
                    f"{given.source} {part!r}: variables of the submitting shell are not taken",
                    given.line,
                    "write NAME=value",
                )
        return env

    def _labels(self) -> dict[str, str]:
        labels = {LABEL + name: self._value(name) for name in _PASSED_ON if name in self._given}
        match = _SIGNAL.fullmatch(self._value("signal"))
        if match and "B" in (match[1] or "").upper():
            labels[f"{LABEL}signal"] = "B"
        if "comment" in self._given:
            labels["comment"] = self._value("comment")
        return labels
