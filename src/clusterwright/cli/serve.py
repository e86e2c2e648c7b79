"""`clusterwright up` and `down`: the control plane on this machine."""

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from clusterwright import client, documents
from clusterwright.cli import files
from clusterwright.cli.common import Common, stderr
from clusterwright.cli.output import API_VERSION, Answer, emit
from clusterwright.errors import Conflict, ExitCode, TargetMissing, UsageError
from clusterwright.model.centre import Centre, EngineName, Nodes

if TYPE_CHECKING:
    from clusterwright.control.server import Serving

_READY_S = 600.0  # without a snapshot it reads 30,000 entries a second first
_DOWN_S = 30.0


def up(
    *,
    file: Annotated[str | None, Parameter(name=["--file", "-f"])] = None,
    nodes: int | None = None,
    gpus_per_node: int = 0,
    cpus_per_node: int | None = None,
    gpu_model: str = "",
    policy: str | None = None,
    engine: EngineName | None = None,
    state_dir: Path | None = None,
    listen: str = "127.0.0.1:8787",
    journal: str = "",
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    plain_http: Annotated[bool, Parameter(name="--plain-http", negative=())] = False,
    open_metrics: Annotated[bool, Parameter(name="--open-metrics", negative=())] = False,
    snapshot_every: int = 20_000,
    foreground: Annotated[bool, Parameter(name="--foreground", negative=())] = False,
    dry_run: Annotated[bool, Parameter(name="--dry-run", negative=())] = False,
    common: Common | None = None,
) -> int:
    """Start the control plane of a centre on this machine.

    Parameters
    ----------
    file
        The centre (kind Centre): nodes, queues, policy, rates. Absent, as it was when it last ran;
        the first time, this machine as one node with one queue.
    nodes
        So many nodes, emulated on this machine, instead of a file: for development.
    gpus_per_node
        Accelerators that each emulated node claims to have.
    cpus_per_node
        Cores of each emulated node; absent, this machine's shared out.
    gpu_model
        What the emulated accelerators claim to be.
    policy
        Policy of the scheduler, over that of the file: a name of `simulate --list`.
    engine
        What runs jobs: local or slurm.
    state_dir
        Directory of journal and logs; absent, the data directory of this user.
    listen
        Address and port; port 0 takes a free one.
    journal
        URL of the journal, for example postgresql+psycopg://…; absent, SQLite in the state
        directory.
    tls_cert
        Certificate to serve with.
    tls_key
        Its key.
    plain_http
        Listen beyond loopback without TLS all the same: something else encrypts.
    open_metrics
        Show /metrics without a token.
    snapshot_every
        Entries of the journal after which a snapshot is written, from which a restart goes on.
    foreground
        Stay, with the log on stderr, instead of running in the background.
    dry_run
        Check everything, start nothing.
    """
    from clusterwright.control.server import Serving, serve

    common = common or Common()
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        msg = f"--listen {listen}: write ADDRESS:PORT, as 127.0.0.1:8787"
        raise UsageError(msg)
    state = (state_dir or client.where("data") / "centre").absolute()
    serving = Serving(
        state_dir=state,
        host=host.strip("[]"),
        port=int(port),
        journal=journal,
        certificate=tls_cert,
        key=tls_key,
        open_to_all=plain_http,
        open_metrics=open_metrics,
        snapshot_every=snapshot_every,
    )
    if snapshot_every < 1:
        msg = f"--snapshot-every {snapshot_every}: at least 1"
        raise UsageError(msg)
    serving.check()
    wanted = _centre(file, nodes, gpus_per_node, cpus_per_node, gpu_model, policy, engine)
    if dry_run:
        stderr(common).print("all is well; nothing was started")
        return ExitCode.OK
    if foreground:
        _log_to_stderr(verbose=common.verbose)
        serve(serving, wanted)
        return ExitCode.OK
    found = running(state)
    if found is None:
        found = in_background(serving, wanted)
    elif wanted is not None:
        msg = f"a centre runs from {state} already ({found['url']}); `clusterwright down` ends it"
        raise Conflict(msg)
    context = client.Context(
        name=client.contexts.LOCAL, url=found["url"], token=f"file:{state / 'token'}"
    )
    path = client.keep(context)
    spec = {"url": found["url"], "pid": found["pid"], "state_dir": str(state), "config": str(path)}
    text = (
        f"The centre is up at {found['url']} (process {found['pid']}).\n"
        f"Its journal and logs are in {state}.\n\n"
        "  clusterwright nodes\n"
        "  clusterwright submit job.yaml\n"
        "  clusterwright down          ends it; jobs go on and are found again\n"
    )
    document = {"apiVersion": API_VERSION, "kind": "Server", "name": "local", "spec": spec}
    emit(Answer(document=document, rows=[spec], text=text, key="url"), common)
    return ExitCode.OK


def down(
    *,
    state_dir: Path | None = None,
    jobs: Annotated[bool, Parameter(name="--jobs", negative=())] = False,
    common: Common | None = None,
) -> int:
    """End the control plane on this machine; jobs go on and are found again by the next `up`.

    Parameters
    ----------
    state_dir
        Directory of its journal; absent, the data directory of this user.
    jobs
        Cancel all jobs first, and end what the local engine keeps running.
    """
    common = common or Common()
    state = (state_dir or client.where("data") / "centre").absolute()
    found = running(state)
    if found is None:
        if jobs:
            end_agents(state)
        stderr(common).print("no centre runs here")
        return ExitCode.OK
    if jobs:
        context = client.Context(name="down", url=found["url"], token=f"file:{state / 'token'}")
        with client.Client(context) as centre:
            for job in centre.jobs(active=True):
                centre.change(job["job_id"], "cancel", "the centre goes down")
            end = time.monotonic() + _DOWN_S
            while any(node["num_jobs"] for node in centre.nodes()) and time.monotonic() < end:
                time.sleep(0.1)
    end_server(state, found["pid"])
    if jobs:
        end_agents(state)
    stderr(common).print("the centre is down")
    return ExitCode.OK


def _centre(
    file: str | None,
    nodes: int | None,
    gpus_per_node: int,
    cpus_per_node: int | None,
    gpu_model: str,
    policy: str | None,
    engine: EngineName | None,
) -> Centre | None:
    """Return the centre that the options declare; None to leave it as it was."""
    from dataclasses import replace

    from clusterwright.sched import policy_of

    if file is not None and nodes is not None:
        msg = "--file and --nodes both say what the nodes are; give one of them"
        raise UsageError(msg)
    found: Centre | None = None
    if file is not None:
        found = documents.read(files.read_bytes(file), Centre, file=file)
    if nodes is not None:
        if nodes < 1:
            msg = f"--nodes {nodes}: at least 1"
            raise UsageError(msg)
        own = len(os.sched_getaffinity(0))
        cores = cpus_per_node or max(1, own // nodes, gpus_per_node)
        group = Nodes(
            name="node",
            num_nodes=nodes,
            num_gpus=gpus_per_node,
            gpu_model=gpu_model,
            num_cpus=cores,
        )
        found = Centre(nodes=(group,))
    if engine is not None:
        found = replace(found or Centre(), engine=engine)
    if policy is not None:
        policy_of(policy)
        found = replace(found or Centre(), policy=policy)
    return found


def in_background(serving: "Serving", wanted: Centre | None) -> dict[str, Any]:
    """Start the server in a session of its own, and return where it is once it is ready."""
    state = serving.state_dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    words = [sys.executable, "-m", "clusterwright", "up", "--foreground"]
    words += ["--listen", f"{host}:{serving.port}", "--state-dir", str(state)]
    words += ["--journal", serving.journal] if serving.journal else []
    words += ["--tls-cert", str(serving.certificate)] if serving.certificate else []
    words += ["--tls-key", str(serving.key)] if serving.key else []
    words += ["--plain-http"] if serving.open_to_all else []
    words += ["--open-metrics"] if serving.open_metrics else []
    words += ["--snapshot-every", str(serving.snapshot_every)]
    if wanted is not None:
        path = state / "centre.yaml"
        path.write_text(documents.dump(wanted))
        words += ["--file", str(path)]
    log = state / "server.log"
    # Not through `subprocess`, which warns of a child that outlives its parent, as this one must.
    child = os.posix_spawn(
        sys.executable,
        words,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        found = running(state)
        if found is not None and found["pid"] == child:
            return found
        if os.waitpid(child, os.WNOHANG)[0]:
            break
        time.sleep(0.03)
    tail = log.read_text(errors="replace").strip().splitlines()[-5:]
    raise TargetMissing("the server did not start:\n" + "\n".join(tail))


def running(state: Path) -> dict[str, Any] | None:
    """Return process and URL of the server of a state directory; None when none runs."""
    try:
        found = json.loads((state / "server.json").read_text())
        os.kill(found["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    command = Path(f"/proc/{found['pid']}/cmdline")
    if command.exists() and b"clusterwright" not in command.read_bytes():
        return None  # the number belongs to another process by now
    return dict(found)


def end_server(state: Path, pid: int) -> None:
    """End the server of a state directory, and wait until it has ended.

    Raises
    ------
    Conflict
        If it does not end.
    """
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _DOWN_S
    while running(state) is not None:
        if time.monotonic() > end:
            msg = f"the server (process {pid}) has not ended after {_DOWN_S:.0f} s"
            raise Conflict(msg)
        time.sleep(0.05)


def end_agents(state: Path) -> None:
    """End what the local engine of a state directory keeps running, jobs and all."""
    from clusterwright.engines.local import LocalEngine

    if (state / "engine").is_dir():
        LocalEngine(state / "engine").shut_down()


def _log_to_stderr(*, verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("alembic", "sqlalchemy", "httpx", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
