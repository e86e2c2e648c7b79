"""The same cluster as 22.05 and as newer Slurms print it reads the same."""

import json
from pathlib import Path

import pytest

from clusterwright.engines.protocol import Share
from clusterwright.engines.slurm import placing, rows, seen

RECORDED = Path(__file__).parent / "recorded"
SQUEUE = ("squeue-22.05.json", "squeue-24.05.json")
NODES = ("sinfo-22.05.json", "nodes-24.05.json")


def jobs_of(name):
    read = rows.jobs(json.loads((RECORDED / name).read_text()))
    return {row.comment or row.slurm_id: row for row in sorted(read, key=lambda row: -row.slurm_id)}


def nodes_of(name):
    return {row.name: row for row in rows.nodes(json.loads((RECORDED / name).read_text()))}


@pytest.mark.parametrize("name", SQUEUE)
def test_a_running_gang_tells_what_it_holds(name):
    gang = jobs_of(name)["clusterwright:train.1"]
    assert gang.states == {"RUNNING"}
    assert (gang.nodes, gang.asked_nodes) == (("n1", "n2"), ("n1", "n2"))
    assert gang.output == "/shared/jobs/train/1/batch.out"
    mebibyte = rows.MEBIBYTE_BYTES
    assert [share.node for share in gang.shares] == ["n1", "n2"]
    assert gang.shares[0] == Share(node="n1", gpus=(0, 1), num_cpus=2, memory_bytes=1000 * mebibyte)


@pytest.mark.parametrize("name", SQUEUE)
def test_a_failed_job_tells_how_it_ended(name):
    failed = jobs_of(name)["clusterwright:eval.2"]
    assert failed.states == {"FAILED"}
    assert failed.status == 3 << 8
    assert seen.over(failed)
    assert not seen.waiting(failed)


@pytest.mark.parametrize("name", SQUEUE)
def test_what_others_hold_is_told(name):
    other = jobs_of(name)[2]
    assert seen.foreign(other, {}) == (
        Share(node="n2", gpus=(2,), num_cpus=3, memory_bytes=1500 * rows.MEBIBYTE_BYTES),
    )


def test_both_dialects_of_the_queue_agree():
    assert jobs_of(SQUEUE[0]) == jobs_of(SQUEUE[1])


def test_both_dialects_of_the_nodes_agree():
    assert nodes_of(NODES[0]) == nodes_of(NODES[1])


@pytest.mark.parametrize("name", NODES)
def test_nodes_say_whether_they_take_work(name):
    told = {
        row.name: (one.up, one.drained)
        for row in nodes_of(name).values()
        for one in [seen.node(row, {})]
    }
    assert told == {
        "n1": (True, False),
        "n2": (True, False),
        "n3": (True, True),
        "n4": (False, True),
        "n5": (False, True),
    }


@pytest.mark.parametrize("name", NODES)
def test_a_node_says_what_it_has(name):
    row = nodes_of(name)["n3"]
    one = seen.node(row, {"h100": "H100-SXM5-80GB"})
    assert (one.num_gpus, one.gpu_model, one.num_cpus) == (8, "H100-SXM5-80GB", 32)
    assert one.reason == "a loud fan"


def test_nodes_on_another_machine_are_not_emulated_ones():
    assert not placing.emulates(tuple(nodes_of(NODES[0]).values()))  # its host is called `head`


GRES = {
    "a type and a number": ("gpu:h100:8", (8, "h100", ())),
    "a number alone": ("gpu:8", (8, "", ())),
    "indices": ("gpu:h100:3(IDX:0-1,5)", (3, "h100", (0, 1, 5))),
    "sockets": ("gpu:a100:4(S:0-1)", (4, "a100", ())),
    "no indices yet": ("gpu:h100:0(IDX:N/A)", (0, "h100", ())),
    "another kind": ("nvme:2", (0, "", ())),
    "several kinds": ("gpu:h100:4(S:0,1),nvme:2", (4, "h100", ())),
    "the word of newer ones": ("gres/gpu:h100:2(IDX:6-7)", (2, "h100", (6, 7))),
    "nothing": ("", (0, "", ())),
}


@pytest.mark.parametrize("name", GRES)
def test_accelerators_are_counted_in_every_form(name):
    text, meant = GRES[name]
    assert rows.gpus(text) == meant


EXIT_CODES = {
    "a plain status": (256, 256),
    "a status with set": ({"set": True, "infinite": False, "number": 9}, 9),
    "taken apart, as sacct does": ({"status": "FAILED", "return_code": 3}, 768),
    "a signal": ({"return_code": 0, "signal": {"signal_id": 9, "name": "KILL"}}, 9),
    "nothing known": (None, None),
}


@pytest.mark.parametrize("name", EXIT_CODES)
def test_exit_codes_are_read_in_every_form(name):
    printed, status = EXIT_CODES[name]
    (row,) = rows.jobs({"jobs": [{"job_id": 1, "exit_code": printed}]})
    assert row.status == status


def test_states_with_flags_count_all():
    (row,) = rows.jobs({"jobs": [{"job_id": 1, "job_state": ["CANCELLED", "COMPLETING"]}]})
    assert not seen.over(row)


def test_sacct_is_read_by_the_same_words():
    (row,) = rows.jobs(
        {
            "jobs": [
                {
                    "job_id": 7,
                    "state": {"current": "TIMEOUT", "reason": "None"},
                    "time": {"start": 1795626812, "end": 1795626872, "elapsed": 60},
                    "comment": {"job": "clusterwright:a.1", "administrator": "", "system": ""},
                    "nodes": "n[2-3]",
                }
            ]
        }
    )
    assert row.states == {"TIMEOUT"}
    assert (row.comment, row.nodes) == ("clusterwright:a.1", ("n2", "n3"))
    assert (row.start_s, row.end_s) == (1795626812, 1795626872)
