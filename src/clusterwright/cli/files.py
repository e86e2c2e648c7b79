"""Reading what people name and writing directories that are whole or not there."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from clusterwright.errors import TargetMissing, UsageError, nearest


def read_bytes(path: str) -> bytes:
    """Return the bytes of a file, or of stdin for `-`.

    Raises
    ------
    UsageError
        If there is no such file, or it is a directory or not readable.
    """
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except IsADirectoryError as error:
        msg = f"{path}: this is a directory; name the file in it"
        raise UsageError(msg) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(_missing(path)) from error
    except (PermissionError, OSError, ValueError) as error:
        msg = f"{path}: cannot be read ({error}); check name and permissions"
        raise UsageError(msg) from error


def write_directory(directory: str, files: Mapping[str, str | bytes]) -> Path:
    """Write files into a directory so that each is there whole or not at all.

    All files are first written beside the directory; only when every one of them is on disk are
    they moved in, so a full disk or an interruption leaves what was there before.

    Raises
    ------
    TargetMissing
        If the directory cannot be made or written.
    """
    target = Path(directory)
    try:
        if target.exists() and not target.is_dir():
            msg = f"{directory}: this is a file; name a directory with --out"
            raise UsageError(msg)
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        msg = f"{directory}: cannot be made ({error.strerror}); name another with --out"
        raise TargetMissing(msg) from error
    try:
        for name, content in files.items():
            part = staging / name
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content.encode() if isinstance(content, str) else content)
        if target.exists():
            for name in files:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (staging / name).replace(target / name)
        else:
            staging.chmod(0o755)
            staging.replace(target)
    except OSError as error:
        msg = f"{directory}: cannot be written ({error.strerror}); free space or name another"
        raise TargetMissing(msg) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def _missing(path: str) -> str:
    parent = Path(path).parent
    names = sorted(str(parent / p.name) for p in parent.iterdir()) if parent.is_dir() else []
    hints = nearest(path, [name.removeprefix("./") for name in names])
    near = f" Did you mean {', '.join(hints)}?" if hints else ""
    return f"{path}: no such file.{near}{_origin(Path(path))}"


def _origin(path: Path) -> str:
    if path.name == "design.yaml":
        return " `clusterwright plan centre.yaml --out build` writes build/design.yaml."
    if path.suffix in {".yaml", ".yml"}:
        return " `clusterwright init` writes a first demand."
    return ""
