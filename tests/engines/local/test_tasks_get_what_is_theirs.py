"""What a task finds about it: variables, accelerators, cores, files; and what it must not find."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.engines.local.test_the_spool_says_all import files_with
from tests.engines.protocol_suite import STAY, UP, ended, eventually, lines, order, running

from clusterwright.engines import Attempt, End, Launch, Refused, Share, Stop
from clusterwright.engines.local import (
    LocalEngine,
    LocalNode,
    boot,
    energy,
    orders,
    this_machine,
)
from clusterwright.model.jobspec import JobSpec

SHOW = 'env > "$FOLDER/env.$RANK"; '


def shown(rig, rank=0):
    return dict(line.split("=", 1) for line in lines(rig.folder / f"env.{rank}") if "=" in line)


def with_shares(launch, *shares):
    return Launch(attempt=launch.attempt, spec=launch.spec, shares=shares)


def test_secrets_of_the_server_are_not_handed_on(rig, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-0815")
    rig.engine.kill_node(rig.nodes[0])
    rig.engine.start_node(rig.nodes[0])
    launch = order(rig, SHOW)
    rig.engine.launch(launch)
    ended(rig, launch.attempt)
    assert "AWS_SECRET_ACCESS_KEY" not in shown(rig)
    assert shown(rig)["PATH"] == os.environ["PATH"]


def test_secrets_of_a_job_are_in_no_file_once_it_runs(rig):
    launch = order(rig, SHOW + STAY, num_nodes=2, secrets={"TOKEN": "hush-4711"})
    running(rig, launch)
    assert shown(rig)["TOKEN"] == "hush-4711"
    assert not files_with(rig.root, "hush-4711")


def test_what_the_engine_keeps_is_for_its_owner_alone(rig):
    launch = order(rig, 'echo out; echo "{}" >> "$CLUSTERWRIGHT_REPORT"; ' + STAY)
    running(rig, launch)
    rig.engine.stop(launch.attempt, Stop(signal=""))
    ended(rig, launch.attempt)
    open_to_others = [
        path.relative_to(rig.root)
        for path in (rig.root, *rig.root.rglob("*"))
        if stat.S_IMODE(path.lstat().st_mode) & 0o077 and path.name != "report.jsonl"
    ]
    assert not open_to_others


@pytest.mark.parametrize(
    ("devices", "gpus", "told"),
    [
        ((), (1, 3), "1,3"),
        ((), (), ""),
        (("MIG-a", "MIG-b", "MIG-c", "MIG-d"), (2,), "MIG-c"),
    ],
    ids=["indices", "none hides all", "slices by their UUID"],
)
def test_accelerators_are_those_of_the_share(tmp_path, devices, gpus, told):
    node = LocalNode(name="n1", num_gpus=4, num_cpus=4, devices=devices)
    spec = JobSpec(name="j", command="exit 0", cpus_per_node=4)
    launch = Launch(
        attempt=Attempt("7", 1), spec=spec, shares=(Share(node="n1", gpus=gpus, num_cpus=4),)
    )
    document = orders.order_of(
        launch,
        spool=orders.Spool(tmp_path),
        nodes={"n1": node},
        agents={"n1": "x"},
        tag="t",
        port=1,
        kill_after_s=1,
    )
    env = document["nodes"]["n1"]["tasks"][0]["env"]
    assert (env["CUDA_VISIBLE_DEVICES"], env["OMP_NUM_THREADS"]) == (told, "4")


def test_variables_of_the_ranks_win_over_the_centres_and_those_over_the_owners(rig):
    launch = order(rig, SHOW, env={"RANK": "0", "WORLD_SIZE": "9", "TRACEPARENT": "x", "MINE": "1"})
    launch = Launch(
        attempt=launch.attempt,
        spec=launch.spec,
        shares=launch.shares,
        env={"TRACEPARENT": "00-a-b-01", "CLUSTERWRIGHT_DATA_DIR": "/data"},
        resume_from="/saved/step-3",
    )
    rig.engine.launch(launch)
    ended(rig, launch.attempt)
    env = shown(rig)
    assert (env["WORLD_SIZE"], env["TRACEPARENT"], env["MINE"]) == ("1", "00-a-b-01", "1")
    assert env["CLUSTERWRIGHT_ATTEMPT"] == str(launch.attempt)
    assert env["CLUSTERWRIGHT_DATA_DIR"] == "/data"
    assert env["CLUSTERWRIGHT_RESUME_FROM"] == "/saved/step-3"
    for name in ("CHECKPOINT_DIR", "OUTPUT_DIR"):
        assert Path(env[f"CLUSTERWRIGHT_{name}"]).is_dir()


def test_a_part_of_a_machine_with_enough_cores_is_bound_to_its_own(tmp_path):
    cores = len(os.sched_getaffinity(0))
    engine = LocalEngine(tmp_path / "engine", [LocalNode(name="n1", num_cpus=cores)])
    engine.open()
    try:
        rig = type("Rig", (), {"engine": engine, "patience_s": 30.0})
        spec = JobSpec(name="j", command=("grep", "Cpus_allowed_list", "/proc/self/status"))
        launch = Launch(attempt=Attempt("7", 1), spec=spec, shares=(Share(node="n1", num_cpus=1),))
        engine.launch(launch)
        assert ended(rig, launch.attempt).end is End.COMPLETED
        text = lines(engine.log_path(launch.attempt, 0, "out"))[0].split()[1]
        assert text.isdigit(), "one core"
    finally:
        engine.shut_down()


def test_use_is_measured_while_it_runs_and_after(rig):
    busy = f"{sys.executable} -I -S -c 'x = bytearray(30_000_000)\nfor i in range(3_000_000): pass'"
    launch = order(rig, busy + "; " + STAY)
    seen = running(rig, launch)
    assert seen.cpu_s > 0.01
    assert seen.peak_memory_bytes > 100_000
    rig.engine.stop(launch.attempt, Stop(signal=""))
    seen = ended(rig, launch.attempt)
    assert seen.cpu_s > 0.01
    assert seen.peak_memory_bytes > 30_000_000


def test_under_torchrun_the_ranks_are_warned_and_not_their_launcher(rig):
    rank = 'trap \'echo saved >> "$FOLDER/saved"; exit 0\' USR1; touch "$FOLDER/up.$LOCAL_RANK"; '
    rank += "while :; do sleep 0.05; done"
    launcher = (
        'export RANK; for LOCAL_RANK in 0 1; do export LOCAL_RANK; RANK=$LOCAL_RANK sh -c "$1" & '
        "done; wait"
    )
    launch = order(rig, launcher, args=(rank,), tasks_per_node=2, launcher="torchrun")
    rig.engine.launch(launch)
    eventually(rig, lambda: len(list(rig.folder.glob("up.*"))) == 2, why="both ranks")
    rig.engine.stop(launch.attempt, Stop(signal="USR1", grace_s=rig.patience_s))
    seen = ended(rig, launch.attempt)
    assert (seen.end, seen.exit_codes) == (End.STOPPED, (0,))
    assert lines(rig.folder / "saved") == ["saved", "saved"]


def test_an_order_is_refused_with_every_fault_at_once(rig):
    spec = JobSpec(
        name="j", command="exit 0", image="docker.io/x", workdir="here", secrets={"A": "env:A"}
    )
    launch = Launch(
        attempt=Attempt(rig.job_id, 1),
        spec=spec,
        shares=(Share(node="node-1"), Share(node=rig.nodes[0], gpus=(4,))),
    )
    with pytest.raises(Refused) as caught:
        rig.engine.launch(launch)
    for part in ("did you mean node-01", "none is [4]", "docker.io/x", "'here'", "without a value"):
        assert part in str(caught.value)


@pytest.mark.parametrize("job_id", ["", "../up", "a/b", ".hidden", "a b", "x" * 200])
def test_an_id_that_is_no_name_of_a_file_is_refused(rig, job_id):
    with pytest.raises(Refused, match="letters"):
        rig.engine.launch(order(rig, "exit 0", attempt=Attempt(job_id, 1)))


def test_an_unknown_signal_is_refused_with_near_ones(rig):
    with pytest.raises(Refused, match="USR1"):
        rig.engine.signal(Attempt(rig.job_id, 1), "USER1")


def test_a_program_that_cannot_start_is_told_by_name_and_the_others_end(rig):
    launch = order(
        rig, ("sh", "-c", UP + "sleep 1000"), num_nodes=2, workdir="/nowhere/to/be/found"
    )
    rig.engine.launch(launch)
    seen = ended(rig, launch.attempt)
    assert seen.end is End.NOT_STARTED
    assert "/nowhere/to/be/found: No such file or directory" in seen.message


def test_two_gangs_never_get_one_port(rig):
    first = order(rig, STAY, num_nodes=2)
    running(rig, first)
    second = order(rig, SHOW + "exit 0", attempt=Attempt(rig.job_id, 2))
    rig.engine.launch(second)
    ended(rig, second.attempt)
    taken = rig.engine._taken_ports()
    assert len(taken) == 1
    assert int(shown(rig)["MASTER_PORT"]) not in taken


def test_an_agent_loads_nothing_but_the_standard_library():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import boot; boot.stand_in();"
        "from clusterwright.engines.local import agent;"
        "print(*sorted(m for m in sys.modules))"
    )
    folder = str(Path(boot.__file__).parent)
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, folder], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {name for name in found if name.startswith("clusterwright")}
    foreign = {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names)
    assert foreign == {"clusterwright", "boot", "__main__"}
    assert "clusterwright.engines.protocol" not in ours


class FakeLibrary:
    """Stands in for NVIDIA's: two devices that count 5 J more at each look."""

    def __init__(self, known):
        self.known = known
        self.count = 0

    def nvmlInit_v2(self):  # noqa: N802 - NVIDIA's name
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid, handle):  # noqa: N802
        return 0 if uuid.decode() in self.known else 6

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, count):  # noqa: N802
        self.count += 5000
        count._obj.value = self.count
        return 0


def test_energy_is_the_difference_of_the_devices_counters():
    meter = energy.Meter(["GPU-a", "GPU-b"], FakeLibrary({"GPU-a", "GPU-b"}))
    assert meter.energy_j() == pytest.approx(20.0)


def test_energy_of_a_part_of_the_devices_is_not_given_for_all():
    assert energy.Meter(["GPU-a", "GPU-b"], FakeLibrary({"GPU-a"})).energy_j() is None


class _Library:
    """NVIDIA's library on a machine with some devices, each whole or cut."""

    class NVMLError(Exception):
        pass

    def __init__(self, *cuts):
        self.cuts = cuts

    def __getattr__(self, name):
        return lambda *_: None

    def nvmlDeviceGetCount(self):  # noqa: N802 - the library's name
        return len(self.cuts)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802 - as above
        return (index,)

    def nvmlDeviceGetName(self, handle):  # noqa: N802 - as above
        whole = "NVIDIA A100-SXM4-80GB"
        return f"{whole} MIG {self.cuts[handle[0]][handle[1]]}" if len(handle) > 1 else whole

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802 - as above
        return "GPU-" + "-".join(map(str, handle))

    def nvmlDeviceGetMaxMigDeviceCount(self, _):  # noqa: N802 - as above
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle, index):  # noqa: N802 - as above
        if index >= len(self.cuts[handle[0]]):
            raise self.NVMLError
        return (*handle, index)


@pytest.mark.parametrize(
    ("cuts", "profile", "devices"),
    [
        (((), ()), "", ("GPU-0", "GPU-1")),
        ((("1g.10gb",) * 2, ("1g.10gb",)), "1g.10gb", ("GPU-0-0", "GPU-0-1", "GPU-1-0")),
        ((("3g.40gb", "1g.10gb", "1g.10gb"), ()), "1g.10gb", ("GPU-0-1", "GPU-0-2")),
        ((), "", ()),
    ],
)
def test_this_machine_counts_its_slices_by_their_profile(monkeypatch, cuts, profile, devices):
    monkeypatch.setitem(sys.modules, "pynvml", _Library(*cuts))
    node = this_machine()
    assert (node.mig_profile, node.devices, node.num_gpus) == (profile, devices, len(devices))
