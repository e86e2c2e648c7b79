"""Existing sbatch scripts: what they ask for, and what is told of the rest."""

import contextlib
import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.engines.slurm.script import read_sbatch
from clusterwright.errors import InvalidInput

GIB = 1024.0**3


def script(*lines):
    return "\n".join(["#!/bin/bash", *(f"#SBATCH {line}" for line in lines), "srun ./train", ""])


ASKED = {
    "nodes and accelerators, long": (
        ["--nodes=4", "--gpus-per-node=h100:8"],
        {"num_nodes": 4, "gpus_per_node_ratio": 8, "gpu_model": "h100"},
    ),
    "short forms, joined and apart": (
        ["-N4", "-p batch", "-J run"],
        {"num_nodes": 4, "queue": "batch", "name": "run"},
    ),
    "several on a line, with a comment": (
        ["-N 2 --ntasks-per-node 8  # eight each"],
        {"num_nodes": 2, "tasks_per_node": 8, "cpus_per_node": 8},
    ),
    "quotes": (['--job-name="my-run"'], {"name": "my-run"}),
    "a value after a space": (["--time 90"], {"time_limit_s": 5400.0}),
    "an abbreviated name": (["--ntasks-per-n=2"], {"tasks_per_node": 2}),
    "accelerators by gres": (
        ["--gres=gpu:h100:8"],
        {"gpus_per_node_ratio": 8, "gpu_model": "h100"},
    ),
    "accelerators by gres without a type": (["--gres=gpu:2"], {"gpus_per_node_ratio": 2}),
    "one accelerator": (["--gres=gpu"], {"gpus_per_node_ratio": 1, "gpu_model": None}),
    "accelerators in all": (["-N 4", "--gpus=32"], {"gpus_per_node_ratio": 8}),
    "accelerators by task": (
        ["-N 2", "--ntasks-per-node=4", "--gpus-per-task=1"],
        {"gpus_per_node_ratio": 4},
    ),
    "a slice": (["--gres=gpu:1g.10gb:1"], {"mig_profile": "1g.10gb", "gpus_per_node_ratio": 0}),
    "tasks in all": (["-N 4", "-n 32"], {"tasks_per_node": 8, "num_nodes": 4}),
    "tasks in all and by node": (["-n 32", "--ntasks-per-node=8"], {"num_nodes": 4}),
    "one task where nothing is said": (["-N 2 --gpus-per-node=8"], {"tasks_per_node": 1}),
    "cores": (["--ntasks-per-node=2 -c 8"], {"cpus_per_node": 16}),
    "cores by accelerator": (["--gpus-per-node=4 --cpus-per-gpu=6"], {"cpus_per_node": 24}),
    "memory": (["--mem=64G"], {"memory_per_node_bytes": 64 * GIB}),
    "memory without a letter": (["--mem=2048"], {"memory_per_node_bytes": 2 * GIB}),
    "memory by core": (["-c 4 --mem-per-cpu=2G"], {"memory_per_node_bytes": 8 * GIB}),
    "memory by accelerator": (
        ["--gpus-per-node=2 --mem-per-gpu=80G"],
        {"memory_per_node_bytes": 160 * GIB},
    ),
    "all the memory": (["--mem=0"], {"memory_per_node_bytes": None}),
    "the last of several wins": (
        ["--mem=1G", "--mem-per-cpu=2G"],
        {"memory_per_node_bytes": 2 * GIB},
    ),
    "a range of nodes": (["--nodes=2-8"], {"num_nodes": 8, "min_nodes": 2}),
    "minutes": (["-t 10"], {"time_limit_s": 600.0}),
    "minutes and seconds": (["-t 10:30"], {"time_limit_s": 630.0}),
    "hours": (["-t 12:00:00"], {"time_limit_s": 43200.0}),
    "days and hours": (["-t 2-12"], {"time_limit_s": 216000.0}),
    "days, hours, minutes": (["-t 1-00:30"], {"time_limit_s": 88200.0}),
    "no limit": (["-t UNLIMITED"], {"time_limit_s": None}),
    "an array": (["--array=0-99%10"], {"array": "0-99%10"}),
    "a dependency": (["--dependency=afterok:12:13"], {"depends_on": ("12", "13")}),
    "an account": (["-A vision"], {"project": "vision"}),
    "a hold": (["-H"], {"hold": True}),
    "a directory": (["-D /srv/run"], {"workdir": "/srv/run"}),
    "a moment, where the user is": (
        ["--begin=2026-12-01T08:00:00"],
        {"start_after": "2026-12-01T08:00:00+00:00"},
    ),
    "variables": (["--export=NONE,LEVEL=3"], {"env": {"LEVEL": "3"}}),
    "what Slurm alone knows": (
        ["-q high -C nvlink --reservation=talk --exclusive"],
        {
            "labels": {
                "slurm.qos": "high",
                "slurm.constraint": "nvlink",
                "slurm.reservation": "talk",
                "slurm.exclusive": "",
            }
        },
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_script_asks_for(name):
    lines, fields = ASKED[name]
    read = read_sbatch(script(*lines))
    assert {key: getattr(read.spec, key) for key in fields} == fields
    assert not read.told


WARNINGS = {
    "to the script": ("B:USR1@120", "USR1", 120.0, {"slurm.signal": "B"}),
    "to the steps": ("USR2@90", "USR2", 90.0, {}),
    "by number": ("12@30", "USR2", 30.0, {}),
    "without a time": ("SIGTERM", "TERM", 60.0, {}),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_is_read(name):
    text, signal, grace_s, labels = WARNINGS[name]
    spec = read_sbatch(script(f"--signal={text}")).spec
    assert (spec.checkpoint.signal, spec.checkpoint.grace_s) == (signal, grace_s)
    assert spec.labels == labels


def test_a_script_that_asks_for_no_warning_gets_none():
    # USR1 would end a script that does not know it.
    checkpoint = read_sbatch(script()).spec.checkpoint
    assert (checkpoint.signal, checkpoint.grace_s) == ("TERM", 0.0)


TOLD = {
    "mail": (["--mail-type=END", "--mail-user=a@b.c"], 2, "--mail-type.*events"),
    "a file for output": (["-o out.%j"], 1, "-o is not carried out: .*logs"),
    "nodes by name": (["-w n1"], 1, "nodes are chosen"),
    "another kind of dependency": (["-d afterany:5"], 1, "afterany:5.*nly afterok"),
    "tasks without nodes": (["-n 16"], 1, "16 tasks go to one node"),
    "a name that we write otherwise": (["-J My_Run:1"], 1, "'My_Run:1' is called 'my_run-1'"),
    "several partitions": (["-p a,b"], 1, "the first"),
    "another resource": (["--gres=gpu:1,nvme:2"], 1, "nvme:2.*no accelerator"),
    "the shell's variables": (["--export=ALL"], 1, "submitting shell"),
    "uneven tasks": (["-N 2 -n 3"], 1, "3 tasks get room for 2"),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_not_carried_out_is_told_with_its_line(name):
    lines, number, says = TOLD[name]
    told = read_sbatch(script(*lines), file="run.sh").told
    assert len(told) == number
    assert re.search(says, str(told[0]))
    assert str(told[0]).startswith("run.sh:2:1: ")


def test_directives_after_the_first_command_are_told():
    text = "#!/bin/sh\n# a word\n\n#SBATCH -N 2\nhostname\n#SBATCH -N 9\n"
    read = read_sbatch(text)
    assert read.spec.num_nodes == 2
    assert [(one.line, "first command" in one.message) for one in read.told] == [(6, True)]


def test_lines_that_look_like_directives_are_told():
    read = read_sbatch("#!/bin/sh\n# SBATCH -N 2\n#PBS -l nodes=2\n##SBATCH -N 4\ndate\n")
    assert read.spec.num_nodes == 1
    assert [one.line for one in read.told] == [2, 3]


FAULTS = {
    "an unknown option": (["--nodez=2"], "--nodez is no option.*--nodes"),
    "an option cut too short": (["--gpu=2"], "--gpu could be several"),
    "an unknown letter": (["-Z 3"], "-Z is no option"),
    "a word alone": (["4"], "'4' belongs to no option"),
    "no value": (["--nodes"], "has no value"),
    "a value too much": (["--hold=yes"], "takes no value"),
    "an open quotation": (["--job-name='x"], "cannot be read"),
    "no number": (["--ntasks-per-node=four"], "'four' is no number"),
    "no number of nodes": (["-N 0"], "'0' is no number of nodes"),
    "no memory": (["--mem=lots"], "'lots' is no memory"),
    "no time": (["--time=soon"], "'soon' is no time"),
    "no array": (["--array=a-b"], "is no array"),
    "a signal that we do not send": (["--signal=KILL@60"], "is no warning"),
    "a time from now": (["--begin=now+1hour"], "is no moment"),
    "several slices": (["--gres=gpu:1g.10gb:2"], "single slice"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_read_is_a_fault_with_its_line(name):
    lines, says = FAULTS[name]
    with pytest.raises(InvalidInput, match=says) as caught:
        read_sbatch(script(*lines), file="run.sh")
    assert str(caught.value).startswith("run.sh:2:1: ")


def test_every_fault_is_told_at_once():
    with pytest.raises(InvalidInput) as caught:
        read_sbatch("echo\r\n#SBATCH --nodez=1\r\n")
    assert len(caught.value.faults) == 2
    with pytest.raises(InvalidInput) as caught:
        read_sbatch(script("--nodez=1", "--time=x", "-Z"))
    assert [fault.line for fault in caught.value.faults] == [2, 3, 4]


def test_a_variable_wins_over_the_script_and_the_command_line_over_both():
    text = script("--partition=one", "--account=one", "--qos=one")
    spec = read_sbatch(
        text,
        environment={"SBATCH_ACCOUNT": "two", "SBATCH_QOS": "two", "PATH": "/bin"},
        options=["--qos=three", "-N", "3"],
    ).spec
    assert (spec.queue, spec.project, spec.labels["slurm.qos"]) == ("one", "two", "three")
    assert spec.num_nodes == 3


def test_a_job_is_called_after_its_file():
    assert read_sbatch(script(), file="/srv/me/Train BEV.sh").spec.name == "train-bev"


def test_the_script_runs_as_it_stands_with_its_arguments(tmp_path):
    text = (
        "#!/bin/bash -u\n#SBATCH -N 1\n"
        'cd "$(dirname "${BASH_SOURCE[0]}")" && printf "%s|" "$@" && echo "it\'s $0" | wc -l\n'
        "cat <<'END'\n$HOME `x` \\\\\nEND\nexit 7\n"
    )
    spec = read_sbatch(text, args=["a b", "*"]).spec
    done = subprocess.run([*spec.command, *spec.args], capture_output=True, text=True, check=False)
    assert done.stdout == "a b|*|1\n$HOME `x` \\\\\n"
    assert (done.returncode, done.stderr) == (7, "")
    assert spec.launcher == "batch"


def test_a_script_for_another_interpreter_runs_in_it():
    text = "#!/usr/bin/env python3\n#SBATCH -N 1\nimport sys\nprint(sys.argv[1:])\n"
    spec = read_sbatch(text, args=["x"]).spec
    done = subprocess.run([*spec.command, *spec.args], capture_output=True, text=True, check=False)
    assert done.stdout == "['x']\n"


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\n"), max_size=30)))
def test_any_directive_is_read_or_told_and_never_crashes(lines):
    with contextlib.suppress(InvalidInput):  # which tells what is wrong, with its line
        read_sbatch(script(*lines))
