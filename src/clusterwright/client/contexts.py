"""Which centre is meant: contexts of the configuration file, variables, and what `up` left.

Option over variable over file. A token stands in the file as a reference (`file:PATH`, `env:NAME`),
never as itself.
"""

import os
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from clusterwright.errors import Fault, InvalidInput, TargetMissing, UnknownName

LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A centre to talk to."""

    name: str
    """Its name in the configuration."""
    url: str
    """Where its API is, without `/api/v1`."""
    token: str = ""
    """Reference of its token: `file:PATH` or `env:NAME`; empty for none."""

    def secret(self) -> str:
        """Return the token itself.

        Raises
        ------
        TargetMissing
            If what the reference names is not there.
        """
        kind, _, place = self.token.partition(":")
        try:
            if kind == "file":
                return Path(place).expanduser().read_text().strip()
            return os.environ[place] if kind == "env" else ""
        except (OSError, KeyError) as error:
            msg = f"the token of context {self.name!r} is not there: {self.token}"
            raise TargetMissing(msg) from error


def where(what: str) -> Path:
    """Return a directory of ours by the XDG rules: config, data, state or cache."""
    variable, under = {
        "config": ("XDG_CONFIG_HOME", ".config"),
        "data": ("XDG_DATA_HOME", ".local/share"),
        "state": ("XDG_STATE_HOME", ".local/state"),
        "cache": ("XDG_CACHE_HOME", ".cache"),
    }[what]
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / under) / "clusterwright"


def context_named(name: str | None = None) -> Context:
    """Return the context that is meant.

    Parameters
    ----------
    name
        Of `--context`; absent, CLUSTERWRIGHT_URL and CLUSTERWRIGHT_TOKEN, then
        CLUSTERWRIGHT_CONTEXT, then the current one of the file.

    Raises
    ------
    UnknownName
        If there is no such context.
    TargetMissing
        If none is meant at all.
    """
    if name is None and os.environ.get("CLUSTERWRIGHT_URL"):
        token = "env:CLUSTERWRIGHT_TOKEN" if os.environ.get("CLUSTERWRIGHT_TOKEN") else ""
        return Context(name="environment", url=os.environ["CLUSTERWRIGHT_URL"], token=token)
    current, known = _read()
    wanted = name or os.environ.get("CLUSTERWRIGHT_CONTEXT") or current
    if not wanted:
        msg = "no centre is known here; `clusterwright up` starts one, or set CLUSTERWRIGHT_URL"
        raise TargetMissing(msg)
    if wanted not in known:
        raise UnknownName.of("context", wanted, known)
    found = known[wanted]
    if os.environ.get("CLUSTERWRIGHT_TOKEN"):
        return replace(found, token="env:CLUSTERWRIGHT_TOKEN")  # noqa: S106 - a reference
    return found


def keep(context: Context) -> Path:
    """Write a context into the configuration, make it the current one, and return the file."""
    _, known = _read()
    known[context.name] = context
    path = _path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [f"current = {_quoted(context.name)}"]
    for one in known.values():
        lines += ["", f"[contexts.{_quoted(one.name)}]", f"url = {_quoted(one.url)}"]
        if one.token:
            lines.append(f"token = {_quoted(one.token)}")
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text("\n".join(lines) + "\n")
    fresh.rename(path)
    return path


def _read() -> tuple[str, dict[str, Context]]:
    path = _path()
    try:
        found = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return "", {}
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput([Fault(file=str(path), message=str(error))]) from error
    contexts, faults = {}, []
    for name, body in found.get("contexts", {}).items():
        url, token = body.get("url", ""), body.get("token", "")
        if not url.startswith(("http://", "https://")):
            faults.append(_fault(path, f"contexts.{name}.url", "is no URL", "write http://…"))
        if token and not token.startswith(("file:", "env:")):
            remedy = "write file:PATH or env:NAME; a token itself does not belong here"
            faults.append(_fault(path, f"contexts.{name}.token", "is no reference", remedy))
        contexts[name] = Context(name=name, url=url.rstrip("/"), token=token)
    if faults:
        raise InvalidInput(faults)
    return found.get("current", ""), contexts


def _fault(path: Path, field: str, message: str, remedy: str) -> Fault:
    return Fault(file=str(path), path=field, message=message, remedy=remedy)


def _path() -> Path:
    return where("config") / "config.toml"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
