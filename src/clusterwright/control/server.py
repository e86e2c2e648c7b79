"""The server of a centre: its state directory, its engine, its journal, its sockets.

It listens on loopback. Elsewhere it listens only with TLS, or on an explicit word; a token is
needed everywhere. One server runs a state directory at a time.
"""

import contextlib
import fcntl
import ipaddress
import json
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import uvicorn

from clusterwright.control import auth, orders, snapshots
from clusterwright.control.api import create_app
from clusterwright.control.conductor import SNAPSHOT_EVERY, Conductor
from clusterwright.control.filled import filled
from clusterwright.control.journal import Journal
from clusterwright.engines import Engine, NodeSeen
from clusterwright.engines.local import LocalEngine, LocalNode, this_machine
from clusterwright.engines.slurm import Settings, SlurmEngine
from clusterwright.errors import Conflict, UsageError
from clusterwright.model.centre import Centre, Nodes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Where and how a server runs."""

    state_dir: Path
    """Directory of the journal, of logs and of what jobs are given."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8787
    """Port to listen on; 0 takes a free one."""
    journal: str = ""
    """URL of the journal; empty for SQLite in the state directory."""
    certificate: Path | None = None
    """TLS certificate; absent, it speaks plain HTTP."""
    key: Path | None = None
    """Key of the certificate."""
    snapshot_every: int = SNAPSHOT_EVERY
    """Entries of the journal after which a snapshot is written."""
    open_metrics: bool = False
    """Whether `/metrics` needs no token."""
    open_to_all: bool = False
    """The explicit word: listen beyond loopback without TLS."""

    def check(self) -> None:
        """Refuse to listen beyond loopback without TLS or an explicit word.

        Raises
        ------
        UsageError
            Saying what is missing.
        """
        if (self.certificate is None) != (self.key is None):
            msg = "--tls-cert and --tls-key go together"
            raise UsageError(msg)
        if _is_loopback(self.host) or self.certificate is not None or self.open_to_all:
            return
        msg = (
            f"--listen {self.host}: tokens would cross the network in clear. Give --tls-cert and "
            "--tls-key, or say --plain-http where something else encrypts"
        )
        raise UsageError(msg)


def serve(serving: Serving, centre: Centre | None) -> None:
    """Run a centre until SIGTERM or SIGINT; what runs goes on without it.

    Parameters
    ----------
    serving
        Where and how.
    centre
        The centre as it is to be from now on; absent, as the journal has it, or this machine.

    Raises
    ------
    UsageError
        If it would listen where it must not.
    Conflict
        If another server runs this state directory.
    """
    serving.check()
    state = serving.state_dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(state), Journal(serving.journal or str(state / "journal.sqlite")) as journal:
        _only_mine(state)
        book = snapshots.book_of(journal)
        wanted = centre or (book.centre if book.seq else Centre())
        engine = engine_of(wanted, state / "engine")
        conductor = Conductor(
            journal, engine, state / "work", book=book, snapshot_every=serving.snapshot_every
        )
        engine.open()
        try:
            # Before the start, so that nothing is decided on a centre that is no more.
            wanted = filled(found_nodes(wanted, engine))
            conductor.prepare(lambda book, now_s: orders.change_centre(book, wanted, now_s))
            _first_token(conductor, state / "token")
            conductor.start()
            _listen(serving, conductor)
        finally:
            conductor.stop()


def engine_of(centre: Centre, root: Path) -> Engine:
    """Return the engine of a centre, not opened yet."""
    if centre.engine == "slurm":
        use = centre.slurm
        return SlurmEngine(
            Settings(
                root=root,
                delegate=use.delegate,
                partitions=use.partitions,
                accounts=use.accounts,
                qos=use.qos,
                gpu_models=use.gpu_models,
            )
        )
    return LocalEngine(root, _local_nodes(centre), check=centre.node_check, private=root.parent)


def found_nodes(centre: Centre, engine: Engine) -> Centre:
    """Return a centre with the nodes that its engine has, where it does not list them itself."""
    if centre.nodes:
        return centre
    seen = engine.observe().nodes
    return replace(centre, nodes=tuple(_grouped(seen)))


def _local_nodes(centre: Centre) -> Sequence[LocalNode]:
    if not centre.nodes:
        return (this_machine(),)
    own = this_machine()
    found = []
    for group in centre.nodes:
        alone = centre.nodes == (group,) and group.num_nodes == 1 and group.names[0] == own.name
        found += [
            own
            if alone
            else LocalNode(
                name=name,
                num_gpus=group.num_gpus,
                gpu_model=group.gpu_model,
                mig_profile=group.mig_profile,
                num_cpus=group.num_cpus,
                memory_bytes=group.memory_bytes,
                emulated=True,
            )
            for name in group.names
        ]
    return found


def _grouped(seen: Sequence[NodeSeen]) -> Iterator[Nodes]:
    def kind(node: NodeSeen) -> tuple[int, str, str, int, float]:
        gpus = (node.num_gpus, node.gpu_model, node.mig_profile)
        return (*gpus, node.num_cpus, node.memory_bytes)

    for (gpus, model, profile, cpus, memory), nodes in groupby(seen, key=kind):
        names = tuple(node.name for node in nodes)
        yield Nodes(
            name=names[0],
            num_nodes=len(names),
            members=names,
            num_gpus=gpus,
            gpu_model=model,
            mig_profile=profile,
            num_cpus=cpus,
            memory_bytes=memory,
        )


def _first_token(conductor: Conductor, path: Path) -> None:
    """Make the token of whoever started the server, where there is none of an administrator."""
    with conductor.reading() as book:
        if any(one["role"] == "admin" for one in book.tokens.values()):
            return
    _, token = auth.new_token()
    conductor.prepare(
        lambda book, now_s: auth.add_token(book, token, "admin", "admin", [auth.EVERY], now_s)
    )
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(token + "\n")


def _listen(serving: Serving, conductor: Conductor) -> None:
    config = uvicorn.Config(
        create_app(conductor, open_metrics=serving.open_metrics),
        log_config=None,
        access_log=False,
        ssl_certfile=serving.certificate,
        ssl_keyfile=serving.key,
        timeout_graceful_shutdown=5,
        backlog=2048,
    )
    server = uvicorn.Server(config)
    family = socket.AF_INET6 if ":" in serving.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((serving.host, serving.port))
        except OSError as error:
            msg = f"{serving.host}:{serving.port} cannot be listened on: {error.strerror}"
            raise Conflict(msg) from error
        listener.listen(2048)  # whoever reads the file below may connect at once
        port = listener.getsockname()[1]
        scheme = "https" if serving.certificate is not None else "http"
        host = f"[{serving.host}]" if family == socket.AF_INET6 else serving.host
        url = f"{scheme}://{host}:{port}"
        _write_run_file(serving.state_dir / "server.json", url)
        _log.info("listening on %s", url)
        try:
            server.run(sockets=[listener])
        finally:
            with contextlib.suppress(FileNotFoundError):
                (serving.state_dir / "server.json").unlink()


def _write_run_file(path: Path, url: str) -> None:
    """Write where this server is, so that clients and `down` find it."""
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"pid": os.getpid(), "url": url}))
    fresh.rename(path)


@contextlib.contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold the lock of a state directory."""
    with (state / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"another server runs {state}; `clusterwright down` ends it"
            raise Conflict(msg) from error
        yield


def _only_mine(state: Path) -> None:
    """Keep others out of the state directory: it holds logs and the first token."""
    state.chmod(0o700)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
