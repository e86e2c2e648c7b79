"""A small data-parallel training that survives being stopped: NumPy and the standard library only.

Every rank computes the gradient of its own part of each batch; rank 0 averages them, in the order
of ranks, and hands the mean back. What a job does to be stopped and resumed is all here:

- it saves every so many steps: a directory with all of its state, and `complete.json` renamed into
  it last, so that a checkpoint is either whole or not there;
- it saves and returns 0 when it is warned by USR1, all ranks at the same step;
- it goes on from $CLUSTERWRIGHT_RESUME_FROM when that is set;
- it reports its steps to $CLUSTERWRIGHT_REPORT, and how long each rank worked in them.

Batches follow from the seed, the step and the rank, so that a run that was interrupted ends with
the very weights of one that was not.

    RANK=0 WORLD_SIZE=1 python3 train.py --steps 50     # alone, without anything else
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import sys
import time
from pathlib import Path

import numpy as np

KEPT = 2  # checkpoints
SEED = 2026
INPUTS, CLASSES = 64, 10


class Gang:
    """The ranks of this job, joined in a star around rank 0."""

    def __init__(self, rank: int, world: int, patience_s: float = 60.0) -> None:
        self.rank, self.world = rank, world
        self.peers: list[socket.socket] = []
        if world == 1:
            return
        address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        if rank == 0:
            self.peers = self._gather(address, patience_s)
        else:
            self.peers = [self._join(address, patience_s)]

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over all ranks, the same to the last bit on each of them."""
        if self.world == 1:
            return values
        if self.rank > 0:
            self.peers[0].sendall(values.tobytes())
            return np.frombuffer(_receive(self.peers[0], values.nbytes))
        total = values.copy()
        for peer in self.peers:  # in the order of ranks: sums of floats depend on it
            total += np.frombuffer(_receive(peer, values.nbytes))
        total /= self.world
        for peer in self.peers:
            peer.sendall(total.tobytes())
        return total

    def _gather(self, address: tuple[str, int], patience_s: float) -> list[socket.socket]:
        found: dict[int, socket.socket] = {}
        with socket.create_server(address, backlog=self.world) as server:
            server.settimeout(patience_s)
            while len(found) < self.world - 1:
                peer, _ = server.accept()
                peer.settimeout(None)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                found[struct.unpack("!i", _receive(peer, 4))[0]] = peer
        return [found[rank] for rank in sorted(found)]

    def _join(self, address: tuple[str, int], patience_s: float) -> socket.socket:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                peer = socket.create_connection(address)
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    sys.exit(f"rank {self.rank}: rank 0 is not at {address}")
                time.sleep(0.01)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(struct.pack("!i", self.rank))
        return peer


class Model:
    """Two layers that learn to tell which of ten directions a point lies in."""

    def __init__(self, hidden: int) -> None:
        draw = np.random.default_rng(SEED)
        self.truth = draw.normal(size=(INPUTS, CLASSES))
        self.shapes = ((INPUTS, hidden), (hidden, CLASSES))
        sizes = [rows * columns for rows, columns in self.shapes]
        self.weights = draw.normal(size=sum(sizes)) * 0.1
        self.momentum = np.zeros_like(self.weights)
        self.split = sizes[0]

    def gradient(self, step: int, rank: int, batch: int) -> tuple[np.ndarray, float]:
        """Return the gradient and the loss of one rank's part of a batch."""
        points = np.random.default_rng((SEED, step, rank)).normal(size=(batch, INPUTS))
        wanted = (points @ self.truth).argmax(axis=1)
        first = self.weights[: self.split].reshape(self.shapes[0])
        second = self.weights[self.split :].reshape(self.shapes[1])
        middle = np.tanh(points @ first)
        scores = middle @ second
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        chances /= chances.sum(axis=1, keepdims=True)
        rows = np.arange(batch)
        loss = float(-np.log(chances[rows, wanted]).mean())
        chances[rows, wanted] -= 1.0
        chances /= batch
        of_second = middle.T @ chances
        of_first = points.T @ ((chances @ second.T) * (1.0 - middle**2))
        return np.concatenate((of_first.ravel(), of_second.ravel())), loss

    def learn(self, gradient: np.ndarray) -> None:
        """Take one step against a gradient."""
        self.momentum = 0.9 * self.momentum + gradient
        self.weights = self.weights - 0.1 * self.momentum


def save(directory: Path, model: Model, step: int, loss: float) -> float:
    """Write a checkpoint whole, drop old ones, and return the seconds it took."""
    began = time.perf_counter()
    path = directory / f"step-{step:08}"
    if (path / "complete.json").exists():
        return 0.0
    path.mkdir(parents=True, exist_ok=True)
    with (path / "state.npz").open("wb") as file:
        np.savez(file, weights=model.weights, momentum=model.momentum)
        file.flush()
        os.fsync(file.fileno())
    fresh = path / f"complete.json.{os.getpid()}"
    with fresh.open("w") as file:
        json.dump({"step": step, "loss": loss}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path / "complete.json")
    for old in sorted(directory.glob("step-*/complete.json"))[:-KEPT]:
        old.unlink()  # no longer complete first, then gone
        shutil.rmtree(old.parent)
    return time.perf_counter() - began


def resume(model: Model) -> tuple[int, float]:
    """Take the state of the checkpoint that we were given, and return its step and loss."""
    source = os.environ.get("CLUSTERWRIGHT_RESUME_FROM")
    if not source:
        return 0, float("nan")
    state = np.load(Path(source) / "state.npz")
    model.weights, model.momentum = state["weights"], state["momentum"]
    marker = json.loads((Path(source) / "complete.json").read_text())
    return int(marker["step"]), float(marker["loss"])


def report(**facts: object) -> None:
    """Append a line to the report: one write, so that lines stay whole."""
    path = os.environ.get("CLUSTERWRIGHT_REPORT")
    if path:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(handle, (json.dumps({**facts, "time_s": time.time()}) + "\n").encode())
        os.close(handle)


def main() -> int:
    asked = argparse.ArgumentParser(description="A small training that survives being stopped.")
    asked.add_argument("--steps", type=int, default=400)
    asked.add_argument("--every", type=int, default=50, help="steps between checkpoints")
    asked.add_argument("--batch", type=int, default=64, help="samples of each rank in a step")
    asked.add_argument("--hidden", type=int, default=128)
    asked.add_argument("--pause", type=float, default=0.0, help="seconds to idle in each step")
    options = asked.parse_args()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    checkpoints = Path(os.environ.get("CLUSTERWRIGHT_CHECKPOINT_DIR") or "checkpoints")
    output = Path(os.environ.get("CLUSTERWRIGHT_OUTPUT_DIR") or ".")

    warned = []
    signal.signal(signal.SIGUSR1, lambda *_: warned.append(True))
    model = Model(options.hidden)
    start, loss = resume(model)
    print(f"rank {rank} of {world} starts at step {start}", flush=True)
    gang = Gang(rank, world)

    for step in range(start + 1, options.steps + 1):
        began_s = time.monotonic()
        gradient, own_loss = model.gradient(step, rank, options.batch)
        pace = {"rank": rank, "busy_s": time.monotonic() - began_s}
        # Whether anybody was warned goes along, so that all ranks leave at the same step.
        mean = gang.mean(np.concatenate((gradient, [own_loss, float(bool(warned))])))
        model.learn(mean[:-2])
        loss, leaving = float(mean[-2]), mean[-1] > 0
        facts = {"step": step, "samples": options.batch * world, "loss": loss}
        if rank == 0 and (leaving or step % options.every == 0 or step == options.steps):
            facts["checkpoint_s"] = save(checkpoints, model, step, loss)
        report(**pace, **(facts if rank == 0 else {}))
        if rank == 0 and step % options.every == 0:
            print(f"step {step} loss {loss:.4f}", flush=True)
        if leaving and step < options.steps:
            print(f"rank {rank} was warned and leaves at step {step}", flush=True)
            return 0
        if options.pause:
            time.sleep(options.pause)
    if rank == 0:
        digest = hashlib.sha256(model.weights.tobytes()).hexdigest()
        output.mkdir(parents=True, exist_ok=True)
        result = {"step": options.steps, "loss": loss, "weights_sha256": digest}
        (output / "result.json").write_text(json.dumps(result) + "\n")
        print(f"done: loss {loss:.4f} weights {digest[:16]}", flush=True)
    return 0


def _receive(peer: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        part = peer.recv(count - len(found))
        if not part:
            sys.exit("another rank is gone")
        found += part
    return bytes(found)


if __name__ == "__main__":
    sys.exit(main())
