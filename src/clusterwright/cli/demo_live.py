"""The last part of the demo: the design's servers, emulated here, run a gang that loses a node.

A small training runs twice under a real control plane: once undisturbed, once with a node killed
under it. What the second run takes is predicted from the first before it starts, and both stand
beside what was measured.
"""

import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from clusterwright import client, documents, twin
from clusterwright.catalog import Catalog
from clusterwright.cli import examples
from clusterwright.cli.progress import Progress
from clusterwright.cli.serve import end_agents, end_server, in_background
from clusterwright.control.journal import Journal
from clusterwright.control.replay import Replay, replay
from clusterwright.control.server import Serving
from clusterwright.errors import ClusterwrightError
from clusterwright.model.centre import Centre, Nodes, Rates
from clusterwright.model.design import Design
from clusterwright.model.jobspec import JobSpec
from clusterwright.units import JOULES_PER_KWH, SECONDS_PER_HOUR

_NODES = 4
_STEPS, _EVERY = 240, 40
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """What a run of the demo came to."""

    name: str
    lasts_s: float
    gpu_h: float
    cost_usd: float
    energy_kwh: float
    carbon_g: float
    lost_s: float


@dataclass(frozen=True, slots=True)
class Live:
    """What the live part of the demo has shown."""

    undisturbed: Account
    predicted: Account
    measured: Account
    killed: str
    resumed_from: int
    num_attempts: int
    same_result: bool
    replayed: Replay

    def text(self) -> str:
        """Return it as a table for people."""
        weights = "the same weights" if self.same_result else "OTHER WEIGHTS"
        lines = [
            f"{_NODES} servers of the design, emulated here, ran a gang of 4 processes on two.",
            f"{self.killed} was killed under its second run, which went on from the checkpoint of",
            f"step {self.resumed_from} and ended with {weights} as the first.",
            "",
            f"{'account':<28}{'time':>8}{'lost':>8}{'GPU-h':>10}{'USD':>9}{'Wh':>9}{'gCO2':>8}",
        ]
        lines += [
            f"{one.name:<28}{one.lasts_s:>6.1f} s{one.lost_s:>6.1f} s{one.gpu_h:>10.5f}"
            f"{one.cost_usd:>9.5f}{1000 * one.energy_kwh:>9.3f}{one.carbon_g:>8.2f}"
            for one in (self.undisturbed, self.predicted, self.measured)
        ]
        lines += ["", f"{self.replayed.text[0].upper()}{self.replayed.text[1:]}."]
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Return it as plain figures."""
        accounts = {
            name: {field: getattr(one, field) for field in Account.__slots__ if field != "name"}
            for name, one in (
                ("undisturbed", self.undisturbed),
                ("predicted", self.predicted),
                ("measured", self.measured),
            )
        }
        return {
            "accounts": accounts,
            "killed": self.killed,
            "resumed_from_step": self.resumed_from,
            "num_attempts": self.num_attempts,
            "same_result": self.same_result,
            "replayed": asdict(self.replayed),
        }


def run(design: Design, parts: Catalog, progress: Progress) -> Live:
    """Start a control plane, run the training twice, kill a node under the second run.

    Raises
    ------
    ClusterwrightError
        If a run does not come through.
    """
    with tempfile.TemporaryDirectory(prefix="clusterwright-demo-") as folder:
        state = Path(folder)
        with progress.step("starting a control plane over four emulated servers"):
            found = in_background(Serving(state_dir=state, port=0), _centre(design, parts))
        context = client.Context(name="demo", url=found["url"], token=f"file:{state / 'token'}")
        try:
            with client.Client(context) as centre:
                live = _twice(centre, state, progress)
        finally:
            end_server(state, found["pid"])
            end_agents(state)
        with Journal(str(state / "journal.sqlite")) as journal:
            return replace(live, replayed=replay(journal.entries()))


def _twice(centre: client.Client, state: Path, progress: Progress) -> Live:
    with progress.step("training undisturbed"):
        first = _through(centre, centre.submit(_job("undisturbed"))["spec"]["job_id"])
    undisturbed = _account(centre, first, "undisturbed")
    predicted = _predicted(first, undisturbed)
    with progress.step("training again, with a node killed under it"):
        job = centre.submit(_job("interrupted"))["spec"]["job_id"]
        killed = _kill_node(centre, state, job)
        second = _through(centre, job)
    before, after = first["attempts"][-1], second["attempts"][-1]
    resumed = after["resumed_from"] or "0"
    return Live(
        undisturbed=undisturbed,
        predicted=predicted,
        measured=_account(centre, second, "one node killed, measured"),
        killed=killed,
        resumed_from=int("".join(filter(str.isdigit, Path(resumed).name)) or 0),
        num_attempts=second["num_attempts"],
        same_result=_result(centre, first, before) == _result(centre, second, after),
        replayed=Replay(num_entries=0, num_decisions=0, difference=None),  # once the server is down
    )


def _centre(design: Design, parts: Catalog) -> Centre:
    """Return four servers of the design's first pool, at the design's price and power."""
    group = twin.cluster_of(design, parts).groups[0]
    power = twin.power_of(design, parts, hourly=False)
    return Centre(
        name="demo",
        nodes=(
            Nodes(
                name="server",
                num_nodes=_NODES,
                num_gpus=group.gpus_per_node,
                gpu_model=group.gpu_model,
                num_cpus=max(1, group.cpus_per_node),
                power_w=group.node_power_w,
            ),
        ),
        rates=Rates(
            # The price of an accelerator-hour is that of owning: energy is in it already.
            usd_per_accelerator_hour=design.spec.economics.usd_per_accelerator_hour,
            carbon_g_per_j=power.carbon_g_per_j[0],
            pue_ratio=power.pue_ratio,
            idle_fraction=power.idle_fraction,
            busy_fraction=power.busy_fraction,
        ),
    )


def _job(name: str) -> JobSpec:
    folder = examples.folder() / "jobs" / "train-numpy"
    spec = documents.read((folder / "job.yaml").read_bytes(), JobSpec, file="job.yaml")
    words = ("train.py", "--steps", str(_STEPS), "--every", str(_EVERY), "--pause", "0.02")
    return replace(
        spec,
        name=name,
        command=(sys.executable, *words),
        workdir=str(folder),
        gpus_per_node_ratio=2.0,
    )


def _through(centre: client.Client, job: str) -> dict[str, Any]:
    found: dict[str, Any] = centre.wait(job, timeout_s=_PATIENCE_S)["spec"]
    if found["state"] != "COMPLETED":
        log = centre.log(job, stream="err", tail=5)
        msg = f"the demo's job {job} came to {found['state']} {found['message']}: {log}"
        raise ClusterwrightError(msg)
    return found


def _kill_node(centre: client.Client, state: Path, job: str) -> str:
    """Kill the second node of a job once it has saved its work, and return the node's name."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        spec = centre.job(job)["spec"]
        saved, step = spec["checkpoint"], spec["step"] or 0
        if saved is not None and step >= saved["step"] + _EVERY // 4:
            node = str(spec["nodes"][1])
            agent = json.loads((state / "engine" / "nodes" / node / "agent.json").read_text())
            os.kill(int(agent["id"].split(":")[1]), signal.SIGKILL)
            return node
        time.sleep(0.05)
    msg = f"the demo's job {job} saved nothing in {_PATIENCE_S:.0f} s"
    raise ClusterwrightError(msg)


def _predicted(first: dict[str, Any], undisturbed: Account) -> Account:
    """Return what one lost node should add: half the work between checkpoints, and a restart."""
    attempt = first["attempts"][-1]
    restart_s = _seconds(attempt["started"]) - _seconds(attempt["decided"])
    work_s = undisturbed.lasts_s - restart_s
    lost_s = work_s * _EVERY / _STEPS / 2
    grows = (undisturbed.lasts_s + lost_s + restart_s) / undisturbed.lasts_s
    return Account(
        name="one node killed, predicted",
        lasts_s=undisturbed.lasts_s * grows,
        gpu_h=undisturbed.gpu_h * grows,
        cost_usd=undisturbed.cost_usd * grows,
        energy_kwh=undisturbed.energy_kwh * grows,
        carbon_g=undisturbed.carbon_g * grows,
        lost_s=lost_s,
    )


def _account(centre: client.Client, spec: dict[str, Any], name: str) -> Account:
    found = centre.account(spec["job_id"])
    lasts = [
        _seconds(one["released"]) - _seconds(one["decided"])
        for one in spec["attempts"]
        if one["released"] is not None
    ]
    return Account(
        name=name,
        lasts_s=sum(lasts),
        gpu_h=found["gpu_s"] / SECONDS_PER_HOUR,
        cost_usd=found["cost_usd"],
        energy_kwh=found["energy_j"] / JOULES_PER_KWH,
        carbon_g=found["carbon_g"],
        lost_s=found["lost_s"],
    )


def _result(centre: client.Client, spec: dict[str, Any], attempt: dict[str, Any]) -> str:
    """Return the last word of a run: the digest of its weights."""
    log = centre.log(spec["job_id"], attempt=attempt["attempt"])
    return log.split()[-1] if log.split() else ""


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
