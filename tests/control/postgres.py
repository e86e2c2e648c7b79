"""A PostgreSQL server of a test's own, on a free port of loopback, stopped by its own program."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_OWNER = "postgres"


class Server:
    """A server with a database for every journal that is asked for."""

    def __init__(self, folder):
        self.folder, self.data = folder, folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._count = 0

    def make(self):
        for path in (self.folder, self.folder / "run"):
            path.mkdir(exist_ok=True)
            shutil.chown(path, _OWNER)
        self._call("initdb", "-D", str(self.data), "-A", "trust", "-N")
        self.start()

    def start(self):
        options = f"-p {self.port} -k {self.folder}/run -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(self.folder / "run" / "log")
        self._call("pg_ctl", "-D", str(self.data), "-w", "-l", log, "-o", options, "start")

    def stop(self):
        self._call("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def journal(self):
        """Return the URL of a new, empty database."""
        self._count += 1
        name = f"journal{self._count}"
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), name)
        return f"postgresql+psycopg://{_OWNER}@127.0.0.1:{self.port}/{name}"

    def _call(self, program, *words):
        as_owner = ["setpriv", f"--reuid={_OWNER}", f"--regid={_OWNER}", "--clear-groups"]
        if os.getuid() != 0:
            as_owner = []
        done = subprocess.run(
            [*as_owner, str(_PLACES[0] / program), *words],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=60,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )
        assert done.returncode == 0, f"{program}: {done.stderr.decode()}"


@contextlib.contextmanager
def running():
    """Run a server while a test needs it."""
    folder = Path(tempfile.mkdtemp(prefix="cw-pg-"))
    folder.chmod(0o755)
    server = Server(folder)
    try:
        server.make()
        yield server
    finally:
        with contextlib.suppress(AssertionError):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
