#!/usr/bin/env python3
"""The project's own commands; needs nothing but Python 3.11 and git.

    python3 dev.py demo          plan the worked case, run its month in the twin, show the report
    python3 dev.py test [ARGS]   run the tests that this machine has the parts for
    python3 dev.py lint          style, types, order of the rooms, spelling
    python3 dev.py parts         install the Debian packages that some tests need, where it may
    python3 dev.py setup         make the environment only
    python3 dev.py lock          write the lock anew
    python3 dev.py docs          write the generated reference pages anew
    python3 dev.py bench         measure, and write the table of the docs

It makes `.venv` from the hashed lock, with uv when uv is there and with pip when not.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BINARIES = ENVIRONMENT / "bin"
PYTHON = BINARIES / "python"
LOCK = ROOT / "locks" / "python311-linux.txt"
FLOOR = (3, 11)
PARTS = {
    # group: (program that shows it is there, Debian packages, what needs it)
    "browser": ("chromium", ("chromium", "fonts-noto-cjk", "fonts-liberation"), "report tests"),
}


def main() -> int:
    """Run the command named on the command line."""
    if sys.version_info < FLOOR:
        say(f"Python {FLOOR[0]}.{FLOOR[1]} or newer is needed; this is {sys.version.split()[0]}.")
        return 2
    words = sys.argv[1:]
    commands = {
        "setup": setup,
        "demo": demo,
        "test": test,
        "lint": lint,
        "parts": parts,
        "lock": lock,
        "docs": docs,
        "bench": bench,
    }
    if not words or words[0] in {"-h", "--help", "help"}:
        print(__doc__)
        return 0 if words else 2
    if words[0] not in commands:
        say(f"{words[0]}: no such command. Commands: {', '.join(commands)}.")
        return 2
    return commands[words[0]](words[1:])


def setup(arguments: Sequence[str] = ()) -> int:
    """Make the environment, unless it stands already for this lock."""
    del arguments
    stamp = ENVIRONMENT / "made-from"
    wanted = _digest()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return 0
    if not PYTHON.exists():
        say(f"making {ENVIRONMENT.name} with Python {sys.version.split()[0]}")
        try:
            venv.create(ENVIRONMENT, with_pip=True)
        except (subprocess.CalledProcessError, OSError) as error:
            say(
                f"the environment could not be made ({error}).\n"
                "On Debian: apt-get install python3-venv"
            )
            return 3
    uv = shutil.which("uv")
    say(f"installing from {LOCK.relative_to(ROOT)} with {'uv' if uv else 'pip'}")
    install = (
        [uv, "pip", "install", "--quiet", "--python", str(PYTHON)]
        if uv
        else [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    )
    for step in (
        [*install, "--require-hashes", "-r", str(LOCK)],
        [*install, "--no-deps", "--no-build-isolation", "-e", str(ROOT)],
    ):
        code = run(step)
        if code:
            say("the installation failed; the lines above say why")
            return 3
    stamp.write_text(wanted)
    return 0


def demo(arguments: Sequence[str]) -> int:
    """Run the main job end to end."""
    return setup() or run([str(BINARIES / "clusterwright"), "demo", *arguments])


def test(arguments: Sequence[str]) -> int:
    """Run the tests, and say what would enable those that were skipped."""
    code = setup() or run([str(PYTHON), "-m", "pytest", *arguments])
    absent = [name for name, (program, _, _) in PARTS.items() if shutil.which(program) is None]
    if absent:
        say(
            f"Not tested, because the machine lacks: {', '.join(absent)}. "
            "`python3 dev.py parts` installs it."
        )
    if not (ROOT.parent / "shared" / "reference").is_dir():
        say(
            "Not tested, because the reference tables are not beside the repository: the golden "
            "tests that read ../shared."
        )
    return code


def lint(arguments: Sequence[str]) -> int:
    """Run everything that looks at the code without running it; all of it, then the verdict."""
    del arguments
    code = setup()
    if code:
        return code
    checks = (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports", "--no-logo"),
        ("codespell", "src", "tests", "docs", "README.md", "CONTRIBUTING.md", "dev.py"),
    )
    failed = []
    for check in checks:
        say(f"-- {' '.join(check)}")
        if run([str(BINARIES / check[0]), *check[1:]]):
            failed.append(check[0])
    say(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def parts(arguments: Sequence[str]) -> int:
    """Install the Debian packages that some tests need, or say how."""
    del arguments
    wanted = [
        package
        for program, packages, _ in PARTS.values()
        if shutil.which(program) is None
        for package in packages
    ]
    if not wanted:
        say("every part is there")
        return 0
    command = ["apt-get", "install", "-y", "--no-install-recommends", *wanted]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        say(f"as root on Debian: {' '.join(command)}")
        return 0
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return run(["apt-get", "update", "-qq"], quiet) or run([*command, "-qq"], quiet)


def lock(arguments: Sequence[str]) -> int:
    """Write the lock anew: every package with the hashes of its files, no address."""
    del arguments
    code = setup() if LOCK.exists() else 0
    uv = shutil.which("uv") or str(BINARIES / "uv")
    if code or not Path(uv).exists():
        say("uv is needed to write the lock: pip install uv")
        return code or 3
    return run(
        [
            *(uv, "pip", "compile", "pyproject.toml", "--extra", "test", "--extra", "dev"),
            *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header"),
            *("--no-annotate", "--python-version", "3.11", "--upgrade", "--quiet"),
            *("--output-file", str(LOCK)),
        ]
    )


def docs(arguments: Sequence[str]) -> int:
    """Write the generated reference pages anew."""
    return setup() or run([str(PYTHON), str(ROOT / "tools" / "write_reference.py"), *arguments])


def bench(arguments: Sequence[str]) -> int:
    """Measure, and write the table of the docs."""
    return setup() or run([str(PYTHON), str(ROOT / "benchmarks" / "run.py"), *arguments])


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> int:
    """Run a program in the project's folder and return its exit code."""
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def say(text: str) -> None:
    """Write a remark on stderr."""
    print(text, file=sys.stderr, flush=True)


def _digest() -> str:
    found = hashlib.sha256()
    for path in (LOCK, ROOT / "pyproject.toml"):
        found.update(path.read_bytes())
    return f"{sys.version_info[:2]} {ROOT} {found.hexdigest()}"


if __name__ == "__main__":
    sys.exit(main())
