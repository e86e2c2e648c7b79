"""What dev.py does on machines unlike this one, told apart by what it would run."""

import sys

import pytest
from hypothesis import settings

import dev


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Point dev.py at an empty folder and keep its calls instead of running them."""
    environment = tmp_path / ".venv"
    monkeypatch.setattr(dev, "ENVIRONMENT", environment)
    monkeypatch.setattr(dev, "BINARIES", environment / "bin")
    monkeypatch.setattr(dev, "PYTHON", environment / "bin" / "python")
    monkeypatch.setattr(dev, "STAMP", environment / "made-from")
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    monkeypatch.setattr(dev, "_pip_settings", lambda: "")
    made: list[list[str]] = []

    def run(command, environment=None, output=None):
        made.append([str(word) for word in command])
        if "venv" in made[-1]:
            dev.BINARIES.mkdir(parents=True)
        return 0

    monkeypatch.setattr(dev, "run", run)
    return made


def test_without_ensurepip_and_uv_it_names_the_package_to_install(calls, monkeypatch, capsys):
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None)
    assert dev.setup() == dev.MISSING
    said = capsys.readouterr().err
    assert f"python{sys.version_info[0]}.{sys.version_info[1]}-venv" in said
    assert not calls


def test_without_ensurepip_uv_makes_the_environment(calls, monkeypatch):
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}" if name == "uv" else None)
    assert dev.setup() == 0
    assert calls[0][:2] == ["/bin/uv", "venv"]


def test_uv_compiles_what_it_installs_as_pip_does(calls, monkeypatch):
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}" if name == "uv" else None)
    assert dev.setup() == 0
    installed = [call for call in calls if call[:3] == ["/bin/uv", "pip", "install"]]
    assert installed
    assert all("--compile-bytecode" in call for call in installed)


def test_a_slow_machine_fails_no_property():
    assert settings().deadline is None


def test_a_half_made_environment_is_not_left_behind(calls, monkeypatch):
    def fail(command, environment=None, output=None):
        dev.BINARIES.mkdir(parents=True)
        return 1

    monkeypatch.setattr(dev, "run", fail)
    assert dev.setup() == dev.MISSING
    assert not dev.ENVIRONMENT.exists()


def test_where_uv_fails_pip_installs(calls, monkeypatch):
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}" if name == "uv" else None)
    keep = dev.run

    def uv_fails(command, environment=None, output=None):
        keep(command, environment, output)
        return 1 if str(command[0]) == "/bin/uv" else 0

    monkeypatch.setattr(dev, "run", uv_fails)
    assert dev.setup() == 0
    installed = [call for call in calls if call[1:4] == ["-m", "pip", "install"]]
    assert [call[-1] for call in installed] == [str(dev.LOCK), str(dev.ROOT)]
    assert "--require-hashes" in installed[0]


def test_an_environment_that_stands_is_used_at_once(calls):
    assert dev.setup() == 0
    dev.PYTHON.touch()
    calls.clear()
    assert dev.setup() == 0
    assert not calls


def test_a_run_without_tests_is_a_failure_and_said_so(calls, monkeypatch, capsys):
    monkeypatch.setattr(dev, "setup", lambda: 0)
    monkeypatch.setattr(dev, "run", lambda command: dev.NO_TESTS)
    assert dev.test(["-k", "nothing"]) == dev.NO_TESTS
    assert "not one test ran" in capsys.readouterr().err


def test_uv_looks_where_pip_is_set_to_look(monkeypatch):
    for name in ("UV_DEFAULT_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    listing = "global.index-url='scheme://mirror/simple'\n:env:.find-links='one two'\n"
    monkeypatch.setattr(dev, "_pip_settings", lambda: listing)
    found = dev._uv_environment()
    assert found["UV_DEFAULT_INDEX"] == "scheme://mirror/simple"
    assert found["UV_FIND_LINKS"] == "one,two"


def test_parts_only_prints_the_command_to_those_who_are_not_root(calls, monkeypatch, capsys):
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000)
    assert dev.parts(["browser"]) == 0
    assert "apt-get install -y --no-install-recommends chromium" in capsys.readouterr().err
    assert not calls


def test_parts_refuses_a_group_it_does_not_know(calls, capsys):
    assert dev.parts(["browzer"]) == 2
    assert "Groups: browser" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["test", "--help"], ["parts", "-h"]])
def test_help_does_nothing_but_help(words, calls, capsys):
    assert dev.main(words) == 0
    assert "dev.py" in capsys.readouterr().out
    assert not calls


def test_an_unknown_command_is_refused_with_those_there_are(calls, capsys):
    assert dev.main(["tset"]) == 2
    assert "test" in capsys.readouterr().err
