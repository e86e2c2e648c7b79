"""A node takes work once its check has passed, and none while the last one has failed."""

import time

import pytest

from clusterwright import documents
from clusterwright.engines import Attempt, End, Launch, Phase, Share
from clusterwright.engines.local import LocalEngine, LocalNode
from clusterwright.errors import InvalidInput
from clusterwright.model.centre import Centre, NodeCheck
from clusterwright.model.jobspec import JobSpec

NODES = tuple(LocalNode(name=f"n{number}", num_gpus=4, emulated=True) for number in (1, 2))
SOUND = ("/bin/true",)


@pytest.fixture
def opened(tmp_path):
    """Give an engine with a check, opened; end its agents in the end."""
    engines = []

    def open_with(command, every_s=0.2, timeout_s=5.0):
        for one in engines:
            one.close()
        check = command and NodeCheck(command=command, every_s=every_s, timeout_s=timeout_s)
        engine = LocalEngine(tmp_path / "engine", NODES, cgroups=False, check=check)
        engine.open()
        engines.append(engine)
        return engine

    yield open_with
    engines[-1].shut_down()
    engines[-1].close()


def _script(tmp_path, text):
    path = tmp_path / "check.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return (str(path),)


def _comes_to(engine, wanted, node="n1"):
    """Wait until a node is as it should be: its reason, or None for one that takes work."""
    end = time.monotonic() + 20.0
    while time.monotonic() < end:
        seen = {one.name: one for one in engine.observe().nodes}[node]
        if seen.up and (seen.reason if seen.drained else None) == wanted:
            return
        engine.wait(0.1)
    message = f"{node} did not come to {wanted!r}: {seen}"
    raise AssertionError(message)


def test_a_node_takes_nothing_before_its_first_check_is_through(opened, tmp_path):
    gate = tmp_path / "gate"
    engine = opened(_script(tmp_path, f"while [ ! -e {gate} ]; do sleep 0.05; done"))
    seen = engine.observe().nodes
    assert all(one.drained and one.reason == "its check is not through yet" for one in seen)
    gate.touch()
    for node in ("n1", "n2"):
        _comes_to(engine, None, node)


def test_a_check_that_fails_closes_its_node_alone_and_opens_it_when_it_passes(opened, tmp_path):
    bad = tmp_path / "bad"
    engine = opened(
        _script(
            tmp_path,
            f'[ ! -e {bad}.$CLUSTERWRIGHT_NODE ] || {{ echo "fan 3"; echo more; exit 1; }}',
        )
    )
    _comes_to(engine, None)
    (tmp_path / "bad.n1").touch()
    _comes_to(engine, "its check says: fan 3")
    _comes_to(engine, None, "n2")
    (tmp_path / "bad.n1").unlink()
    _comes_to(engine, None)


def test_what_comes_to_a_closed_node_all_the_same_is_not_started(opened, tmp_path):
    engine = opened(_script(tmp_path, "exit 7"))
    _comes_to(engine, "its check ends with 7")
    attempt = Attempt("1", 1)
    spec = JobSpec(name="x", command=("true",))
    engine.launch(Launch(attempt=attempt, spec=spec, shares=(Share(node="n1", num_cpus=1),)))
    end = time.monotonic() + 20.0
    while time.monotonic() < end:
        (one,) = engine.observe().attempts
        if one.phase is Phase.ENDED:
            break
        engine.wait(0.1)
    assert one.end is End.NODE_FAIL
    assert "takes no work: its check ends with 7" in one.message


FAULTS = {
    "hangs": ("sleep 60", "its check was not through within 500 ms"),
    "leaves somebody behind": ("setsid sleep 60 & echo gone; exit 1", "its check says: gone"),
    "colours": (r"printf '\033[31mred'; exit 1", "its check says: [31mred"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_check_that(opened, tmp_path, case):
    text, reason = FAULTS[case]
    _comes_to(opened(_script(tmp_path, text), timeout_s=0.5), reason)


def test_a_check_that_is_not_there_is_named(opened):
    _comes_to(opened(("/nowhere/check",)), "its check does not start: No such file or directory")


def test_a_server_that_starts_again_soon_believes_the_last_check(opened, tmp_path):
    _comes_to(opened(SOUND, every_s=60.0), None)
    assert not any(one.drained for one in opened(("/bin/sleep", "9"), every_s=60.0).observe().nodes)
    assert not any(one.drained for one in opened(None).observe().nodes)


def test_a_check_gets_no_secrets_of_the_server(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "s3cret")
    _comes_to(
        opened(_script(tmp_path, '[ -z "$MY_SECRET" ] && [ "$CLUSTERWRIGHT_NODE_GPUS" = 4 ]')), None
    )


@pytest.mark.parametrize(
    "text",
    [
        "node_check: {command: []}",
        "node_check: {command: [x], every: 0s}",
        "node_check: {command: [x], timeout: 0s}",
        "engine: slurm\nnode_check: {command: [x]}",
    ],
)
def test_a_check_that_cannot_be_is_refused(text):
    header = "apiVersion: clusterwright/v1\nkind: Centre\n"
    with pytest.raises(InvalidInput, match="node_check"):
        documents.read(header + text, Centre)
