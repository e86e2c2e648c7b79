"""Of what the centre keeps a task sees its own alone, and nothing of other tasks' processes."""

import os
import time
from pathlib import Path

import pytest

from clusterwright.engines import Attempt, Launch, Phase, Share
from clusterwright.engines.local import LocalEngine, LocalNode, walls
from clusterwright.model.jobspec import JobSpec

NODE = LocalNode(name="n1", num_cpus=4)


class Rig:
    """An engine below a directory that tasks see nothing of."""

    def __init__(self, base):
        self.private = base / "centre"
        self.private.mkdir()
        self.mine = self.private / "work" / "projects" / "mine"
        self.mine.mkdir(parents=True)
        (self.private / "token").write_text("the token of all")
        self.engine = LocalEngine(
            self.private / "engine", [NODE], cgroups=False, private=self.private
        )
        self.engine.open()
        self.count = 0

    def launch(self, script, **more):
        self.count += 1
        attempt = Attempt(str(self.count), 1)
        spec = JobSpec(name="x", command=script, **more)
        shares = (Share(node="n1", num_cpus=1),)
        shown = (str(self.mine), "/usr")
        self.engine.launch(Launch(attempt=attempt, spec=spec, shares=shares, shown=shown))
        return attempt

    def seen(self, attempt):
        return next(one for one in self.engine.observe().attempts if one.attempt == attempt)

    def until(self, attempt, condition):
        end = time.monotonic() + 20.0
        while time.monotonic() < end:
            one = self.seen(attempt)
            if condition(one):
                return one
            self.engine.wait(0.1)
        message = f"it did not come about: {one}"
        raise AssertionError(message)

    def said(self, script, **more):
        """Run a script, and return what it wrote."""
        attempt = self.launch(script, **more)
        self.until(attempt, lambda one: one.phase is Phase.ENDED)
        return self.engine.log_path(attempt, 0, "out").read_text()


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path)
    if not made.engine.capabilities.isolates_files:
        made.engine.shut_down()
        pytest.skip("user namespaces are not permitted here: sysctl user.max_user_namespaces")
    yield made
    made.engine.shut_down()


def test_nothing_of_the_centre_is_there_but_its_own(rig):
    other = rig.launch("echo mine alone > secret; sleep 60")
    rig.until(other, lambda one: one.phase is Phase.RUNNING)
    found = rig.said(f"find {rig.private} -type f -o -type l; cat {rig.private}/token 2>&1")
    assert found.splitlines() == [
        f"{rig.private}/engine/attempts/2.1/report.jsonl",
        f"cat: {rig.private}/token: No such file or directory",
    ]
    # It is still there for those outside.
    assert (rig.private / "token").read_text() == "the token of all"


def test_what_is_its_own_is_written_for_good(rig):
    rig.said(
        f"echo kept > {rig.mine}/model; echo here > file; echo out > $CLUSTERWRIGHT_OUTPUT_DIR/o;"
        "echo '{\"step\": 1}' >> $CLUSTERWRIGHT_REPORT; echo c > $CLUSTERWRIGHT_CHECKPOINT_DIR/c"
    )
    assert (rig.mine / "model").read_text() == "kept\n"
    job = rig.private / "engine" / "jobs" / "1"
    for place in ("work/file", "output/o", "checkpoints/c"):
        assert (job / place).is_file(), place
    assert rig.engine.report_path(Attempt("1", 1)).read_text() == '{"step": 1}\n'


def test_the_wall_is_not_to_be_taken_away(rig):
    said = rig.said(
        f"umount {rig.private} 2>&1 || umount -l {rig.private} 2>&1; "
        f"unshare -Ur -m umount {rig.private} 2>&1; unshare -Ur umount -l {rig.private} 2>&1; "
        f"ls {rig.private}; touch {rig.private}/x 2>&1"
    )
    assert "token" not in said
    assert not (rig.private / "x").exists()


def test_nobody_looks_into_the_processes_of_others(rig):
    other = rig.launch("sleep 60", env={"PASSWORD": "open sesame"})
    rig.until(other, lambda one: one.phase is Phase.RUNNING)
    found = rig.said(
        f"for p in /proc/[0-9]*; do grep -a sesame $p/environ; cat $p/root{rig.private}/token; "
        f"cat $p/cwd/secret; done 2>/dev/null; grep -a sesame /proc/{os.getpid()}/environ"
    )
    assert found == ""


def test_what_its_owner_names_is_not_opened_for_it(rig):
    work = rig.private / "engine" / "jobs" / "1" / "work"
    rig.said("echo mine alone > secret")
    attempt = rig.launch("cat secret", workdir=str(work))
    one = rig.until(attempt, lambda one: one.phase is Phase.ENDED)
    assert "cannot enter" in one.message
    assert rig.engine.log_path(attempt, 0, "out").read_text() == ""


def test_the_rest_of_the_machine_is_as_it_was(rig, tmp_path):
    rig.said(f"echo here > {tmp_path}/outside; id -u > {tmp_path}/id; ls ~ > {tmp_path}/home")
    assert (tmp_path / "outside").read_text() == "here\n"
    assert (tmp_path / "id").read_text() == f"{os.getuid()}\n"
    mounts = Path("/proc/self/mounts").read_text()
    assert str(rig.private) not in mounts


def test_a_directory_behind_a_link_is_hidden_too(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    rig = Rig(tmp_path / "link")
    try:
        assert "token" not in rig.said(f"ls {rig.private} {tmp_path}/real/centre")
        assert rig.said("pwd; echo written > f; cat f").endswith("written\n")
    finally:
        rig.engine.shut_down()


def test_where_it_is_not_permitted_jobs_run_and_it_is_said(tmp_path, monkeypatch):
    # The agent is a process of its own: what it may not do must be so for it.
    assert not walls.permitted(str(tmp_path / "nowhere"))
    engine = LocalEngine(tmp_path / "engine", [NODE], cgroups=False, private=tmp_path / "nowhere")
    engine.open()
    try:
        assert not engine.capabilities.isolates_files
    finally:
        engine.shut_down()
