#!/usr/bin/env python3
"""The project's own commands; needs nothing but Python 3.11 and git.

    python3 dev.py demo [ARGS]    plan the worked case and show its report
    python3 dev.py test [ARGS]    run all tests that this machine has the parts for
    python3 dev.py lint           style, format, types, order of the rooms, spelling
    python3 dev.py parts [GROUP]  install the Debian packages that some tests need
    python3 dev.py setup          make the environment only
    python3 dev.py lock [ARGS]    write the lock anew; --upgrade moves every pin to its newest
    python3 dev.py docs [ARGS]    write the generated reference pages anew and build the site
    python3 dev.py bench [ARGS]   measure; --write FILE writes the table of the docs
    python3 dev.py accuracy       fit the step model anew and write how wrong it is (half a minute)

ARGS go to the tool behind the command: pytest, `clusterwright demo`, `uv pip compile` and so on.
The environment is `.venv`, made from the hashed lock with the Python that runs this file: with uv
where uv can be had, with pip otherwise. It is made again only when the lock or pyproject changes.
`python3 dev.py COMMAND --help` says more. Remarks go to stderr; the exit code is that of the tool.
"""

# Evaluated as text, so that an older Python reaches the sentence that asks for a newer one.
from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BINARIES = ENVIRONMENT / "bin"
PYTHON = BINARIES / "python"
STAMP = ENVIRONMENT / "made-from"
LOCK = ROOT / "locks" / "python311-linux.txt"
LOCK_HEADER = """\
# Every package of the core and of the extras below, with the hashes of all its files:
# test, dev, docs, ml, cpsat, postgres.
# Resolved for Python 3.11 on Linux. Written by `python3 dev.py lock`; do not edit.
"""
EXTRAS = ("test", "dev", "docs", "ml", "cpsat", "postgres")
FLOOR = (3, 11)
MISSING = 3
NO_TESTS = 5  # pytest's own code for a run that collected nothing


class Part(NamedTuple):
    """Something of the operating system that some tests need; its group is also a test marker."""

    program: str
    packages: tuple[str, ...]
    purpose: str


PARTS: Mapping[str, Part] = {
    "browser": Part(
        program="chromium",
        packages=("chromium", "fonts-noto-cjk", "fonts-liberation"),
        purpose="the report as a browser shows it",
    ),
    "postgres": Part(
        program="pg_ctlcluster",
        packages=("postgresql",),
        purpose="the journal in PostgreSQL",
    ),
    "slurm": Part(
        program="slurmctld",
        packages=(*("slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "munge"),),
        purpose="jobs on a real Slurm of several nodes on this machine",
    ),
}


def main(words: Sequence[str]) -> int:
    """Run the command named by the first word."""
    commands: dict[str, Callable[[Sequence[str]], int]] = {
        "demo": demo,
        "test": test,
        "lint": lint,
        "parts": parts,
        "setup": setup,
        "lock": lock,
        "docs": docs,
        "bench": bench,
        "accuracy": accuracy,
    }
    if not words or words[0] in {"-h", "--help", "help"}:
        print((__doc__ or "").rstrip())
        return 0 if words else 2
    name, *arguments = words
    if name not in commands:
        say(f"{name}: no such command. Commands: {', '.join(commands)}.")
        return 2
    if arguments and arguments[0] in {"-h", "--help"}:
        print(f"python3 dev.py {name}: {commands[name].__doc__}")
        return 0
    if sys.version_info < FLOOR:
        say(
            f"Python {FLOOR[0]}.{FLOOR[1]} or newer is needed; this is {sys.version.split()[0]}. "
            "Run dev.py with a newer one, for example python3.11 dev.py."
        )
        return MISSING
    return commands[name](arguments)


# --- commands -------------------------------------------------------------------------------------


def setup(arguments: Sequence[str] = ()) -> int:
    """Make .venv from the hashed lock, unless it stands already for this lock."""
    del arguments
    wanted = _digest()
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return 0
    code = _make_environment()
    if code:
        return code
    STAMP.unlink(missing_ok=True)
    for installer in _installers():
        if all(_install(installer, what) for what in _what_to_install()):
            STAMP.write_text(wanted)
            return 0
        say(f"{installer.name} could not install it; the lines above say why")
    return MISSING


def demo(arguments: Sequence[str]) -> int:
    """Run the main job end to end. ARGS go to `clusterwright demo`; it writes into ./demo-out."""
    return setup() or run([str(BINARIES / "clusterwright"), "demo", *arguments])


def test(arguments: Sequence[str]) -> int:
    """Run the tests. ARGS go to pytest, for example: tests/plan -m "not slow" -x.

    What this machine lacks is skipped; the list before the closing line says what would enable it.
    """
    code = setup()
    if code:
        return code
    say("pytest")
    code = run([str(PYTHON), "-m", "pytest", "-q", *arguments])
    if code == NO_TESTS:
        say("FAILED: not one test ran. Look at the path, -k and -m of the call.")
    return code


def lint(arguments: Sequence[str]) -> int:
    """Run everything that judges the code without running it: all of it, then the verdict."""
    del arguments
    code = setup()
    if code:
        return code
    checks = (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports", "--no-logo"),
        ("codespell",),
    )
    failed = []
    for check in checks:
        say(" ".join(check))
        if run([str(BINARIES / check[0]), *check[1:]]):
            failed.append(" ".join(check))
    say(f"FAILED: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def parts(arguments: Sequence[str]) -> int:
    """Install the Debian packages that some tests need, or print the command. GROUPs: {groups}."""
    unknown = [group for group in arguments if group not in PARTS]
    if unknown:
        say(f"{', '.join(unknown)}: no such group. Groups: {', '.join(PARTS)}.")
        return 2
    groups = [PARTS[group] for group in (arguments or PARTS)]
    wanted = [package for part in groups for package in _packages_missing(part)]
    if not wanted:
        say("every part is there")
        return 0
    command = ["apt-get", "install", "-y", "--no-install-recommends", *wanted]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        say(f"run as root on Debian: apt-get update && {' '.join(command)}")
        return 0
    say(f"installing {' '.join(wanted)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return run(["apt-get", "update", "-qq"], quiet) or run([*command, "-qq"], quiet)


parts.__doc__ = (parts.__doc__ or "").format(groups=", ".join(PARTS))


def lock(arguments: Sequence[str]) -> int:
    """Write the lock anew: every package with the hashes of its files, no address.

    Pins stay where they can; --upgrade moves all, --upgrade-package NAME moves one.
    """
    uv = _uv()
    if uv is None:
        say("uv is needed to write the lock: install uv, or run python3 dev.py setup first")
        return MISSING
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    # The main index only: what lies beside it on this machine may hold some of a release's files.
    environment = _uv_environment()
    for beside in ("UV_INDEX", "UV_FIND_LINKS"):
        environment.pop(beside, None)
    code = run(
        [
            *(uv, "pip", "compile", "pyproject.toml", *extras, "--python-version", "3.11"),
            *("--python-platform", "linux", "--generate-hashes", "--no-header", "--no-annotate"),
            *("--no-emit-index-url", "--no-emit-find-links", "--quiet", *arguments),
            *("--output-file", str(LOCK)),
        ],
        environment,
    )
    if not code:
        LOCK.write_text(LOCK_HEADER + LOCK.read_text().removeprefix(LOCK_HEADER))
        say(f"wrote {LOCK.relative_to(ROOT)}")
    return code


def docs(arguments: Sequence[str]) -> int:
    """Write the generated reference pages anew and build the site into ./site."""
    code = setup()
    writer = ROOT / "tools" / "write_reference.py"
    if not code and writer.exists():
        say(f"{writer.relative_to(ROOT)}")
        code = run([str(PYTHON), str(writer), *arguments])
    if code or not (ROOT / "docs").is_dir():
        return code
    say("mkdocs build")
    return run([str(BINARIES / "mkdocs"), "build", "--strict", "--quiet"])


def bench(arguments: Sequence[str]) -> int:
    """Measure and print a table. ARGS go to benchmarks/run.py; --write FILE keeps the table."""
    return setup() or run([str(PYTHON), str(ROOT / "benchmarks" / "run.py"), *arguments])


def accuracy(arguments: Sequence[str]) -> int:
    """Fit the step model to benchmarks/training_runs.csv; write its accuracy page and pictures."""
    # The matrices are small: threads of the linear algebra would only wait for each other.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return setup() or run([str(PYTHON), "-m", "tools.write_accuracy", *arguments], environment)


# --- the environment ------------------------------------------------------------------------------


class _Installer(NamedTuple):
    name: str
    command: tuple[str, ...]
    environment: dict[str, str] | None


def _make_environment() -> int:
    """Make `.venv` unless one of this Python stands; leave no half-made one behind."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if PYTHON.exists() and _version_of(PYTHON) == version:
        return 0
    uv = shutil.which("uv")
    if importlib.util.find_spec("ensurepip"):
        command = [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)]
    elif uv:
        command = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENT)]
    else:
        say(
            f"This Python ({sys.executable}) has no ensurepip, so it cannot make an environment.\n"
            f"On Debian: apt-get install python{version}-venv. Or put uv on the PATH."
        )
        return MISSING
    say(f"making {ENVIRONMENT.name} with Python {sys.version.split()[0]}")
    if run(command):
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        say("the environment could not be made; the lines above say why")
        return MISSING
    return 0


def _installers() -> tuple[_Installer, ...]:
    """Return what may install here, fastest first; pip comes last because it always works."""
    has_pip = run([str(PYTHON), "-c", "import pip"], output=subprocess.DEVNULL) == 0
    if has_pip and _uv() is None:
        say("fetching uv")
        _install_uv_with_pip()
    found = []
    uv = _uv()
    if uv:
        # Compiled, as pip does: where Python may write no bytecode, each start would compile anew.
        command = (uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(PYTHON))
        found.append(_Installer("uv", command, _uv_environment()))
    if has_pip:
        found.append(_Installer("pip", _pip_install(), None))
    return tuple(found)


def _what_to_install() -> tuple[tuple[str, ...], ...]:
    return (
        ("--require-hashes", "-r", str(LOCK)),
        ("--no-deps", "--no-build-isolation", "-e", str(ROOT)),
    )


def _install(installer: _Installer, what: tuple[str, ...]) -> bool:
    say(f"{installer.name}: installing {Path(what[-1]).name}")
    return run([*installer.command, *what], installer.environment) == 0


def _install_uv_with_pip() -> None:
    """Install the uv of the lock; without it pip does the rest, only slower."""
    entry = re.search(r"^uv==.*(?:\n .*)*", LOCK.read_text(), re.MULTILINE)
    if entry is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder) / "uv.txt"
        requirement.write_text(entry.group() + "\n")
        command = [*_pip_install(), "--no-deps", "--only-binary", ":all:", "--require-hashes"]
        run([*command, "-r", str(requirement)], output=subprocess.DEVNULL)


def _pip_install() -> tuple[str, ...]:
    return (str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def _uv() -> str | None:
    own = BINARIES / "uv"
    return shutil.which("uv") or (str(own) if own.exists() else None)


def _uv_environment() -> dict[str, str]:
    """Return the environment in which uv looks where this machine's pip is set to look."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "cert": "SSL_CERT_FILE",
    }
    environment = dict(os.environ)
    # Every file is pinned by its hash, so which index offers it does not matter.
    environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    for line in _pip_settings().splitlines():
        key, _, value = line.partition("=")
        name = names.get(key.rpartition(".")[2])
        if name and value:
            separator = "," if name == "UV_FIND_LINKS" else " "
            environment.setdefault(name, separator.join(str(ast.literal_eval(value)).split()))
    return environment


def _pip_settings() -> str:
    """Return the settings of pip as it prints them; nothing where there is no pip."""
    own = (str(PYTHON),) if PYTHON.exists() else ()
    for interpreter in (*own, sys.executable):
        listing = subprocess.run(
            [interpreter, "-m", "pip", "config", "list"],
            capture_output=True,
            text=True,
            check=False,
        )
        if listing.returncode == 0:
            return listing.stdout
    return ""


def _version_of(python: Path) -> str:
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [str(python), "-c", asked], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return answer.stdout.strip()


def _digest() -> str:
    """Return what the environment depends on: the Python, the place, the lock and the project."""
    found = hashlib.sha256()
    for path in (LOCK, ROOT / "pyproject.toml"):
        found.update(path.read_bytes())
    return f"{sys.version_info[0]}.{sys.version_info[1]} {ROOT} {found.hexdigest()}\n"


# --- parts and programs ---------------------------------------------------------------------------


def _packages_missing(part: Part) -> tuple[str, ...]:
    """Return the packages to install; where there is no dpkg, the program speaks for all."""
    if shutil.which("dpkg-query") is None:
        return () if shutil.which(part.program) else part.packages
    return tuple(package for package in part.packages if not _is_installed(package))


def _is_installed(package: str) -> bool:
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() == "install ok installed"


def run(
    command: Sequence[str], environment: Mapping[str, str] | None = None, output: int | None = None
) -> int:
    """Run a program in the project's folder and return its exit code."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL if os.environ.get("CI") else None,
        stdout=output,
        stderr=output,
    ).returncode


def say(text: str) -> None:
    """Write a remark on stderr."""
    print(f"dev: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
