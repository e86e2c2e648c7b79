"""Who may do what: tokens, roles and projects. Only digests of tokens are kept.

A token is `cw_<id>_<secret>`; the secret is random, so one round of SHA-256 hides it as well as
many would. What a token may not see looks to it as if it were not there.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.control.book import Book
from clusterwright.control.entries import Entry, Fact
from clusterwright.errors import ClusterwrightError, Conflict, ExitCode, UnknownName

ROLES = ("viewer", "user", "operator", "admin")
"""From the least to the most: sees, submits, runs the centre, hands out tokens."""
EVERY = "*"
"""Stands for all projects."""
_TOKEN = re.compile(r"cw_(?P<id>[a-z0-9]{8})_(?P<secret>[A-Za-z0-9_-]{43})")


class Unauthenticated(ClusterwrightError):
    """No token, or none that holds."""

    exit_code = ExitCode.TARGET


class Forbidden(ClusterwrightError):
    """The token holds, but not for this."""

    exit_code = ExitCode.TARGET


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may."""

    token_id: str
    """Id of the token."""
    name: str
    """Its name: who is meant by it."""
    role: str
    """One of `ROLES`."""
    projects: tuple[str, ...]
    """Projects that it may see and work in; `*` for all."""

    @property
    def is_operator(self) -> bool:
        """Return whether it may run the centre."""
        return self.role in ("operator", "admin")

    def sees(self, project: str) -> bool:
        """Return whether it may see a project."""
        return self.is_operator or EVERY in self.projects or project in self.projects

    def need(self, role: str) -> None:
        """Refuse unless it has a role, or one above it.

        Raises
        ------
        Forbidden
            Saying which role is needed.
        """
        if ROLES.index(self.role) < ROLES.index(role):
            msg = f"this needs the role {role}; token {self.name!r} has {self.role}"
            raise Forbidden(msg)

    def need_project(self, project: str) -> None:
        """Refuse unless it may work in a project.

        Raises
        ------
        Forbidden
            Saying which project it may not work in.
        """
        if not self.sees(project):
            msg = f"token {self.name!r} may not work in project {project!r}"
            raise Forbidden(msg)


def caller(book: Book, token: str | None, now_s: float) -> Caller:
    """Return who a token stands for.

    Raises
    ------
    Unauthenticated
        If there is none, or it does not hold; the message never says which part was wrong.
    """
    found = _TOKEN.fullmatch(token or "")
    kept = book.tokens.get(found["id"]) if found else None
    # The digest is compared even for an unknown id, so that time tells nothing.
    digest = digest_of(token or "")
    right = hmac.compare_digest(digest, kept["hash"] if kept else digest_of("nobody"))
    if kept is None or not right:
        msg = "this needs a token: `clusterwright token add`, then CLUSTERWRIGHT_TOKEN or --context"
        raise Unauthenticated(msg)
    if kept["expires_s"] is not None and now_s >= kept["expires_s"]:
        msg = f"token {kept['name']!r} has expired"
        raise Unauthenticated(msg)
    return Caller(kept["id"], kept["name"], kept["role"], tuple(kept["projects"]))


def new_token(token_id: str | None = None) -> tuple[str, str]:
    """Return a new token's id and the token itself, which nobody will see again."""
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    made = token_id or "".join(secrets.choice(alphabet) for _ in range(8))
    return made, f"cw_{made}_{secrets.token_urlsafe(32)}"


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def add_token(
    book: Book,
    token: str,
    name: str,
    role: str,
    projects: Sequence[str],
    now_s: float,
    *,
    who: str = "",
    expires_s: float | None = None,
) -> list[Entry]:
    """Return the entry that makes a token hold.

    Raises
    ------
    UnknownName
        If there is no such role.
    Conflict
        If another token has that name.
    """
    if role not in ROLES:
        raise UnknownName.of("role", role, ROLES)
    if any(one["name"] == name for one in book.tokens.values()):
        msg = f"there is a token {name!r} already; revoke it first, or name another"
        raise Conflict(msg)
    found = _TOKEN.fullmatch(token)
    assert found is not None  # made by `new_token`
    body = {
        "id": found["id"],
        "hash": digest_of(token),
        "name": name,
        "role": role,
        "projects": list(projects),
        "expires_s": expires_s,
        "created_s": now_s,
    }
    return [Entry(now_s, Fact.TOKEN, body=body, who=who)]


def revoke_token(book: Book, name: str, now_s: float, *, who: str = "") -> list[Entry]:
    """Return the entry after which a token, by name or id, holds no more.

    Raises
    ------
    UnknownName
        If there is no such token.
    Conflict
        If it is the last one of an administrator.
    """
    kept = next((t for t in book.tokens.values() if name in (t["name"], t["id"])), None)
    if kept is None:
        raise UnknownName.of("token", name, [one["name"] for one in book.tokens.values()])
    admins = [one for one in book.tokens.values() if one["role"] == "admin"]
    if kept["role"] == "admin" and len(admins) == 1:
        msg = f"{kept['name']!r} is the last token of an administrator; make another first"
        raise Conflict(msg)
    return [Entry(now_s, Fact.REVOKE, body={"id": kept["id"], "name": kept["name"]}, who=who)]
