"""A real Slurm on this machine for tests: munge, a controller, and as many slurmd as asked for.

Each has a folder and ports of its own, so that several can stand side by side. Every daemon is
stopped by the process id it wrote itself.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = "/usr/sbin"
GPUS = 8
CORES = 32
PATIENCE_S = 60.0


class Cluster:
    """One controller and its nodes."""

    def __init__(self, folder: Path, num_nodes: int, num_defined: int = 0) -> None:
        self.folder = folder
        self.num_nodes = num_nodes
        self.num_defined = max(num_defined, num_nodes)
        self.etc, self.run, self.log = (folder / name for name in ("etc", "run", "log"))
        self.names = [f"n{n}" for n in range(1, self.num_defined + 1)]
        self.env = {
            "SLURM_CONF": str(self.etc / "slurm.conf"),
            "MUNGE_SOCKET": str(self.run / "munge.sock"),
        }

    def start(self) -> None:
        for path in (self.etc, self.run, self.log, self.folder / "state", self.folder / "dev"):
            path.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self._write_settings()
        self._daemon(
            "munged",
            *("--force", f"--key-file={self.etc}/munge.key", f"--socket={self.run}/munge.sock"),
            *(f"--pid-file={self.run}/munged.pid", f"--log-file={self.log}/munged.log"),
            *(f"--seed-file={self.run}/munge.seed", "--num-threads=2"),
        )
        self.start_controller()
        for name in self.names[: self.num_nodes]:
            self.start_node(name)
        self.until(lambda: self._idle() >= self.num_nodes, "the nodes are idle")

    def stop(self) -> None:
        nodes = [self.run / f"slurmd-{name}.pid" for name in self.names[: self.num_nodes]]
        for path in nodes:  # all at once: each takes some seconds to go
            _signal(path, signal.SIGTERM)
        for path in (*nodes, self.run / "slurmctld.pid", self.run / "munged.pid"):
            _end(path)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_controller(self) -> None:
        self._daemon("slurmctld")
        self.until(lambda: self.call("scontrol", "ping").returncode == 0, "slurmctld answers")

    def stop_controller(self) -> None:
        _end(self.run / "slurmctld.pid")

    def start_node(self, name: str) -> None:
        (self.folder / "spool" / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "tmp" / name).mkdir(parents=True, exist_ok=True)
        self._daemon("slurmd", "-N", name)

    def kill_node(self, name: str) -> None:
        """End a slurmd as a crash does; what it started goes on."""
        _signal(self.run / f"slurmd-{name}.pid", signal.SIGKILL)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, **self.env},
        )

    def until(self, holds, what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > end:
                logs = [path.read_text()[-600:] for path in sorted(self.log.glob("slurm*.log"))[:3]]
                raise AssertionError(f"waited in vain until {what}\n" + "\n".join(logs))
            time.sleep(0.05)

    def _idle(self) -> int:
        done = self.call("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N")
        return len(set(done.stdout.split()))

    def _daemon(self, name: str, *words: str) -> None:
        """Start a daemon that goes into the background by itself, holding none of our files."""
        program = shutil.which(name, path=f"{PROGRAMS}:{os.environ['PATH']}")
        with (self.log / f"{name}.start").open("ab") as said:
            subprocess.run(
                [program, *words],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                timeout=30,
                env={**os.environ, **self.env},
            )

    def _write_settings(self) -> None:
        key = self.etc / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        for n in range(GPUS):  # Slurm wants character devices
            with suppress(FileExistsError):
                os.mknod(self.folder / "dev" / f"gpu{n}", 0o666 | 0o020000, os.makedev(1, 3))
        base = free_ports(self.num_defined + 1)
        (self.etc / "slurm.conf").write_text(self._settings(base))
        (self.etc / "gres.conf").write_text(
            f"Name=gpu Type=h100 File={self.folder}/dev/gpu[0-{GPUS - 1}] Flags=nvidia_gpu_env\n"
        )
        (self.etc / "cgroup.conf").write_text("CgroupPlugin=autodetect\nIgnoreSystemd=yes\n")

    def _settings(self, base: int) -> str:
        host = socket.gethostname().partition(".")[0]
        nodes = f"n[1-{self.num_defined}]"
        settings = {
            "ClusterName": "test",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmUser": "root",
            "SlurmdUser": "root",
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={self.run}/munge.sock,cred_expire=5",
            "SlurmctldPort": base,
            "SlurmctldPidFile": self.run / "slurmctld.pid",
            "SlurmctldLogFile": self.log / "slurmctld.log",
            "SlurmdPidFile": self.run / "slurmd-%n.pid",
            "SlurmdLogFile": self.log / "slurmd-%n.log",
            "SlurmdSpoolDir": self.folder / "spool" / "%n",
            "StateSaveLocation": self.folder / "state",
            "TmpFS": self.folder / "tmp" / "%n",
            "CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "SlurmdParameters": "config_overrides",
            "SwitchType": "switch/none",
            "MpiDefault": "none",
            "JobAcctGatherType": "jobacct_gather/none",
            "AccountingStorageType": "accounting_storage/none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "DefMemPerCPU": 500,
            "GresTypes": "gpu",
            "PreemptType": "preempt/partition_prio",
            "PreemptMode": "REQUEUE",
            "SchedulerParameters": "bf_interval=1,sched_interval=1,sched_min_interval=0",
            "ReturnToService": 2,
            "SlurmdTimeout": 4,
            "KillWait": 2,
            "MessageTimeout": 5,
            "TreeWidth": 1024,
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        lines.append(
            f"NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 "
            f"Port=[{base + 1}-{base + self.num_defined}] CPUs={CORES} Boards=1 SocketsPerBoard=2 "
            f"CoresPerSocket={CORES // 2} ThreadsPerCore=1 RealMemory=1000000 Gres=gpu:h100:{GPUS}"
        )
        lines.append(f"PartitionName=batch Nodes={nodes} Default=YES PriorityTier=1 State=UP")
        lines.append(f"PartitionName=urgent Nodes={nodes} PriorityTier=9 PreemptMode=OFF State=UP")
        return "\n".join(lines) + "\n"


def free_ports(number: int) -> int:
    """Return the first of so many neighbouring ports that nobody listens on."""
    for base in range(21000 + os.getpid() % 5000, 32000, number + 1):
        with suppress(OSError):
            for port in range(base, base + number):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port))
            return base
    raise AssertionError("no free ports")


def _pid(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _signal(path: Path, number: int) -> bool:
    pid = _pid(path)
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _end(path: Path) -> None:
    end = time.monotonic() + 10
    _signal(path, signal.SIGTERM)
    while _signal(path, 0) and time.monotonic() < end:
        time.sleep(0.05)
    _signal(path, signal.SIGKILL)
