"""A task that dies while it waits to be released was killed: it is not one that cannot start."""

import os
import signal
from pathlib import Path

from clusterwright.engines.local import tasks


def _setting(tmp_path, *argv):
    return tasks.Setting(
        argv=argv, workdir=str(tmp_path), umask=0o077, data_limit_bytes=0, procs=None
    )


def test_it_is_reaped_with_the_signal_that_killed_it(tmp_path):
    task = tasks.prepare(
        _setting(tmp_path, "/bin/true"), dict(os.environ), (), tmp_path / "out", tmp_path / "err"
    )
    os.kill(task.process[0], signal.SIGKILL)
    os.waitid(os.P_PID, task.process[0], os.WEXITED | os.WNOWAIT)
    task.release()
    assert task.reap() == ""
    assert task.code == -signal.SIGKILL


def test_one_that_is_not_there_says_so(tmp_path):
    missing = str(Path(tmp_path) / "missing")
    task = tasks.prepare(
        _setting(tmp_path, missing), dict(os.environ), (), tmp_path / "out", tmp_path / "err"
    )
    task.release()
    os.waitid(os.P_PID, task.process[0], os.WEXITED | os.WNOWAIT)
    assert "missing" in task.reap()
