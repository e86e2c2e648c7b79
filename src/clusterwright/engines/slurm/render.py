"""An order as texts: the words for sbatch, the batch script, and what each task starts with.

Pure: the same order gives the same bytes. The batch script runs on the first node and outlives the
control plane, so it keeps the promises that must hold without it: one start of an attempt, the
steps of a stop, the time limit, the record of how it ended.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from clusterwright.engines.protocol import Launch, Refused
from clusterwright.engines.slurm import texts
from clusterwright.engines.slurm.rows import MEBIBYTE_BYTES
from clusterwright.model import slurm
from clusterwright.units import SECONDS_PER_MINUTE, Seconds

COMMENT: Final = "clusterwright:"
"""What the comment of every job of ours begins with; the attempt follows."""
LABEL: Final = "slurm."
"""Labels of a job that begin so are options of sbatch, for what we have no word of our own."""
OPTIONS: Final = ("qos", "constraint", "reservation", "licenses", "exclusive", "signal")
"""Those options."""
TERM_TO_KILL_S: Final[Seconds] = 10.0
"""Time between TERM and KILL."""

_SLACK_S: Final[Seconds] = SECONDS_PER_MINUTE  # Slurm may send its warning a minute early


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an attempt goes on the cluster."""

    directory: str
    """Directory of the attempt."""
    changed: str
    """File that is touched when something changes."""
    workdir: str
    """Directory that its tasks start in."""
    partition: str = ""
    """Partition; empty for the default."""
    account: str = ""
    """Account; empty for the user's."""
    qos: str = ""
    """Quality of service; empty for the account's."""
    gpu_type: str = ""
    """Type of accelerator as gres.conf names it; empty for any."""
    address: str = ""
    """Where rank 0 is reached; empty for the name of the first node."""
    requeue: bool = False
    """True when Slurm may start it again by itself."""


def sbatch_words(order: Launch, place: Place) -> tuple[str, ...]:
    """Return the command that submits an attempt.

    Raises
    ------
    Refused
        If Slurm has no way to do what is asked.
    """
    spec = order.spec
    refuse(order)
    words = [
        *("sbatch", "--parsable", f"--job-name={spec.name}", f"--comment={COMMENT}{order.attempt}"),
        *(f"--chdir={place.directory}", f"--output={place.directory}/batch.out"),
        *("--open-mode=append", f"--nodes={_nodes(order)}"),
    ]
    if order.shares:
        words.append(f"--nodelist={slurm.fold(sorted(share.node for share in order.shares))}")
    words.append(f"--ntasks-per-node={_slots(order)}")
    words += _resources(order, place)
    for option, value in (
        ("partition", place.partition),
        ("account", place.account),
        ("qos", place.qos),
    ):
        if value:
            words.append(f"--{option}={value}")
    if order.time_limit_s is not None:
        words.append(f"--time={_minutes(order.time_limit_s)}")
    if spec.checkpoint.grace_s:
        words.append(f"--signal=B:USR1@{math.ceil(spec.checkpoint.grace_s)}")
    words.append("--requeue" if place.requeue else "--no-requeue")
    if not order.shares and spec.topology is not None and spec.topology.level == "leaf":
        words.append("--switches=1" if spec.topology.required else "--switches=1@10:00")
    words += _labels(spec.labels)
    return (*words, f"{place.directory}/batch.sh")


def refuse(order: Launch) -> None:
    """Refuse what Slurm cannot do.

    Raises
    ------
    Refused
        With every reason at once.
    """
    spec, shares = order.spec, order.shares
    reasons = []
    if spec.image is not None:
        reasons.append(
            "image: this engine starts no containers. Call them in the command, as srun "
            "--container-image or apptainer do"
        )
    if spec.array is not None:
        reasons.append("array: it is taken apart into jobs before it is launched")
    if 0 < spec.gpus_per_node_ratio < 1 or any(share.gpu_fraction < 1 for share in shares):
        reasons.append("gpus_per_node: Slurm hands out whole accelerators. Ask for a mig_profile")
    if len({len(share.gpus) for share in shares}) > 1:
        reasons.append("shares: Slurm takes the same number of accelerators on every node of a job")
    level = spec.topology.level if spec.topology is not None and spec.topology.required else "leaf"
    if not shares and level != "leaf":
        reasons.append(
            f"topology.level: Slurm places by leaf switches, not by {level}. "
            "Let clusterwright place, or ask for a leaf"
        )
    unknown = sorted(
        name
        for name in spec.labels
        if name.startswith(LABEL) and name.removeprefix(LABEL) not in OPTIONS
    )
    if unknown:
        reasons.append(
            f"labels: {', '.join(unknown)} is no option that is passed on; "
            f"known: {', '.join(LABEL + option for option in OPTIONS)}"
        )
    if reasons:
        raise Refused(f"{order.attempt}: " + "; ".join(reasons) + ".")


def batch_script(order: Launch, place: Place) -> str:
    """Return the batch script of an attempt."""
    spec = order.spec
    limit = order.time_limit_s
    grace = 0.0 if limit is None else min(spec.checkpoint.grace_s, limit)
    known = {
        "attempt": str(order.attempt),
        "dir": place.directory,
        "changed": place.changed,
        "nodes": ",".join(share.node for share in order.shares),
        "address": place.address,
        "requeue": "yes" if place.requeue else "",
        "checkpoints": order.checkpoint_dir,
        "signal": spec.checkpoint.signal,
        "limit": "" if limit is None else f"{limit - grace:g}",
        "grace": f"{grace:g}",
        "kill_after": f"{TERM_TO_KILL_S:g}",
        "warn_script": "yes" if spec.labels.get(f"{LABEL}signal") == "B" else "",
    }
    start = texts.BATCH_SCRIPT if spec.launcher == "batch" else texts.BATCH_TASKS
    slots = _slots(order)
    words = ['--nodes="$SLURM_JOB_NUM_NODES"', f"--ntasks=$((SLURM_JOB_NUM_NODES * {slots}))"]
    words.append(f"--ntasks-per-node={slots}")
    if _cpus_per_task(order):
        words.append(f"--cpus-per-task={_cpus_per_task(order)}")
    return "\n".join(
        (
            "#!/bin/sh",
            f"# Attempt {order.attempt} of {spec.name}; written by clusterwright.",
            *(f"{name}={shlex.quote(value)}" for name, value in known.items()),
            texts.BATCH_START.strip("\n"),
            start.replace("SRUN_OPTIONS", " ".join(words)).strip("\n"),
            texts.BATCH_END.strip("\n"),
            "",
        )
    )


def rank_script(order: Launch, place: Place, report: str) -> str:
    """Return the script that starts one task: its environment, its logs, its exit code."""
    spec = order.spec
    env = {
        **spec.env,
        "CLUSTERWRIGHT_JOB_ID": order.attempt.job_id,
        "CLUSTERWRIGHT_ATTEMPT": str(order.attempt.number),
        "CLUSTERWRIGHT_QUEUE": spec.queue,
        "CLUSTERWRIGHT_CHECKPOINT_DIR": order.checkpoint_dir,
        "CLUSTERWRIGHT_RESUME_FROM": order.resume_from,
        **order.env,
        "CLUSTERWRIGHT_REPORT": report,
    }
    cores = _cpus_per_task(order)
    if cores and "OMP_NUM_THREADS" not in env:
        env["OMP_NUM_THREADS"] = str(cores)
    ranks = {
        "direct": texts.RANK_DIRECT,
        "torchrun": texts.RANK_TORCHRUN,
        "batch": texts.RANK_BATCH,
    }[spec.launcher]
    return "\n".join(
        (
            "#!/bin/sh",
            f"# One task of attempt {order.attempt}; written by clusterwright.",
            f"dir={shlex.quote(place.directory)}",
            f"workdir={shlex.quote(place.workdir)}",
            f"ranks_per_node={spec.ranks_per_node}",
            *(f"export {name}={shlex.quote(value)}" for name, value in sorted(env.items())),
            texts.RANK_START.strip("\n"),
            ranks.strip("\n"),
            f"set -- {shlex.join(_command(order))}",
            (texts.RANK_RUN_BATCH if spec.launcher == "batch" else texts.RANK_RUN).strip("\n"),
            "",
        )
    )


def secrets_text(secrets: Mapping[str, str]) -> str:
    """Return secrets as a file that the batch script reads once and removes."""
    return "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in sorted(secrets.items())
    )


def _nodes(order: Launch) -> str:
    spec = order.spec
    if order.shares:
        return str(len(order.shares))
    fewest = "" if spec.min_nodes in {None, spec.num_nodes} else f"{spec.min_nodes}-"
    return f"{fewest}{spec.num_nodes}"


def _command(order: Launch) -> Sequence[str]:
    command, args = order.spec.command, order.spec.args
    if isinstance(command, str):
        return ("/bin/sh", "-c", command, "sh", *args)
    return (*command, *args)


def _slots(order: Launch) -> int:
    """Return the tasks that Slurm is asked to make room for on each node."""
    spec = order.spec
    return 1 if spec.launcher == "torchrun" else spec.ranks_per_node


def _cpus_per_task(order: Launch) -> int:
    granted = min((share.num_cpus for share in order.shares), default=0)
    cores = granted or order.spec.num_cpus_per_node
    return max(1, cores // _slots(order)) if cores else 0


def _resources(order: Launch, place: Place) -> list[str]:
    spec, words = order.spec, []
    if _cpus_per_task(order):
        words.append(f"--cpus-per-task={_cpus_per_task(order)}")
    memory = max((share.memory_bytes for share in order.shares), default=0.0)
    memory = memory or spec.memory_per_node_bytes or 0.0
    if memory:
        words.append(f"--mem={math.ceil(memory / MEBIBYTE_BYTES)}M")
    num_gpus = len(order.shares[0].gpus) if order.shares else int(spec.gpus_per_node_ratio)
    if spec.mig_profile is not None:
        words.append(f"--gres=gpu:{spec.mig_profile}:{max(1, num_gpus)}")
    elif num_gpus:
        kind = f"{place.gpu_type}:" if place.gpu_type else ""
        words.append(f"--gpus-per-node={kind}{num_gpus}")
    return words


def _minutes(limit_s: float) -> int:
    """Return Slurm's own limit: after ours in every case, as a second line of defence."""
    return math.ceil((limit_s + TERM_TO_KILL_S + _SLACK_S) / SECONDS_PER_MINUTE)


def _labels(labels: Mapping[str, str]) -> list[str]:
    words = []
    for option in OPTIONS:
        value = labels.get(LABEL + option)
        if value is not None and option != "signal":  # which is carried out by the batch script
            words.append(f"--{option}={value}" if value else f"--{option}")
    return words
