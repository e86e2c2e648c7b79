"""A centre under fire: real server, real tasks, and something killed again and again.

Every task keeps a lock for its life, so that a second one of the same rank is seen at once; every
start compares what it was told to resume from with what is on disk. Both write what is wrong into
a file that must stay empty.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from clusterwright.client import Client, Context
from clusterwright.model.jobspec import Checkpoint, JobSpec, Retry

STEPS = 12
TASK = r"""
wrong() { echo "$CLUSTERWRIGHT_ATTEMPT rank $RANK: $1" >> "$WRONG"; }
exec 9>"$LOCKS/$CLUSTERWRIGHT_JOB_ID.$RANK"
flock -n 9 || wrong "a second task of one rank runs"
dir=$CLUSTERWRIGHT_CHECKPOINT_DIR
begin=0
if [ "$RANK" = 0 ]; then
  newest=$(ls -d "$dir"/step-*/complete.json 2>/dev/null \
    | sed 's/.*step-0*\([0-9]*\).*/\1/' | sort -n | tail -1)
  told=${CLUSTERWRIGHT_RESUME_FROM##*step-}
  told=$(echo "$told" | sed 's/^0*//')
  [ "${newest:-0}" = "${told:-0}" ] || wrong "resumes from ${told:-0}, the newest is ${newest:-0}"
  begin=${told:-0}
  echo "begin $CLUSTERWRIGHT_ATTEMPT $begin"
else
  begin=$(echo "${CLUSTERWRIGHT_RESUME_FROM##*step-}" | sed 's/^0*//'); begin=${begin:-0}
fi
step=$begin
while [ "$step" -lt STEPS ]; do
  sleep 0.15
  step=$((step + 1))
  if [ "$RANK" = 0 ]; then
    name=$dir/step-$(printf %04d $step)
    mkdir -p "$name"
    echo "{\"step\": $step}" > "$name/complete.json.new"
    mv "$name/complete.json.new" "$name/complete.json"
  fi
done
[ "$RANK" = 0 ] && echo "done $CLUSTERWRIGHT_ATTEMPT"
exit 0
"""


def task(steps=STEPS):
    """Return the command of a task of so many steps."""
    return TASK.replace("STEPS", str(steps))


@dataclass
class Centre:
    """A centre on this machine, with hands to hurt it."""

    root: Path
    nodes: int = 4
    gpus: int = 4
    process: subprocess.Popen | None = None
    kills: dict = field(default_factory=dict)

    @property
    def state(self):
        return self.root / "state"

    @property
    def wrong(self):
        return self.root / "wrong"

    def start(self):
        """Start the server and wait until it answers."""
        words = [sys.executable, "-m", "clusterwright", "up", "--foreground"]
        words += ["--listen", "127.0.0.1:0", "--state-dir", str(self.state)]
        words += ["--snapshot-every", "30"]
        if not (self.state / "journal.sqlite").exists():
            words += ["--nodes", str(self.nodes), "--gpus-per-node", str(self.gpus)]
        self.root.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (self.state / "server.json").unlink()
        with (self.root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.process.poll() is None, (self.root / "server.log").read_text()[-2000:]
            if (self.state / "server.json").exists():
                return
            time.sleep(0.02)
        raise AssertionError("the server did not come up")

    def client(self):
        """Return a client of the server as it listens now."""
        url = json.loads((self.state / "server.json").read_text())["url"]
        return Client(Context(name="chaos", url=url, token=f"file:{self.state / 'token'}"))

    def kill_server(self):
        """Kill the server by -9 and start it again."""
        self.process.kill()
        self.process.wait()
        self.start()

    def kill_task(self, rng):
        """Kill one task by -9; return whether there was one."""
        tasks = [
            pid for pid in processes() if environ(pid).get(b"WRONG") == os.fsencode(self.wrong)
        ]
        return self._kill(rng, tasks)

    def kill_node(self, rng):
        """Kill the agent of one node by -9; return whether there was one."""
        agents = [pid for pid in processes() if is_agent(pid, self.state)]
        return self._kill(rng, agents)

    def _kill(self, rng, pids):
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(pids), signal.SIGKILL)
            return True
        return False

    def strike(self, rng):
        """Kill something by chance."""
        what = rng.choices(("task", "node", "server"), weights=(6, 3, 1))[0]
        if what == "server":
            self.kill_server()
            struck = True
        else:
            struck = self.kill_task(rng) if what == "task" else self.kill_node(rng)
        if struck:
            self.kills[what] = self.kills.get(what, 0) + 1

    def stop(self):
        """End everything."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)
        from clusterwright.engines.local import LocalEngine

        LocalEngine(self.state / "engine").shut_down()

    def job(self, number, rng):
        """Return a job of the load: a gang or a single task that saves its work."""
        locks = self.root / "locks"
        locks.mkdir(exist_ok=True)
        return JobSpec(
            name=f"chaos-{number}",
            command=task(),
            num_nodes=rng.choice((1, 1, 2, 3)),
            gpus_per_node_ratio=float(rng.choice((1, 2))),
            env={"WRONG": str(self.wrong), "LOCKS": str(locks)},
            retry=Retry(max=10_000, on=("node_fail", "failed")),
            checkpoint=Checkpoint(every_s=0.15, grace_s=1.0),
        )


def processes():
    """Return the processes of this machine."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def environ(pid):
    """Return the environment that a process was started with; empty when it is gone."""
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (part.partition(b"=") for part in content.split(b"\0"))
    return {key: value for key, _, value in pairs}


def is_agent(pid, state):
    """Return whether a process is the agent of a node of a centre."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return (
        any(word.endswith(b"boot.py") for word in words) and os.fsencode(state / "engine") in words
    )


def under_fire(root, *, kills, jobs, seed, pause_s=0.15):
    """Run a load while things are killed, and return the centre and what its API says at last."""
    rng = random.Random(seed)
    centre = Centre(root)
    centre.start()
    try:
        with centre.client() as client:
            names = [
                client.submit(centre.job(n, rng), key=f"chaos-{n}")["spec"]["job_id"]
                for n in range(jobs)
            ]
        number = jobs
        while sum(centre.kills.values()) < kills:
            time.sleep(rng.uniform(0.2, 1.8) * pause_s)
            centre.strike(rng)
            with centre.client() as client:
                if len([*client.jobs(active=True)]) < jobs // 2:  # the load goes on
                    for _ in range(jobs // 4):
                        made = client.submit(centre.job(number, rng), key=f"chaos-{number}")
                        names.append(made["spec"]["job_id"])
                        number += 1
        with centre.client() as client:
            found = [client.wait(name, timeout_s=240)["spec"] for name in names]
        return centre, found
    finally:
        centre.stop()
