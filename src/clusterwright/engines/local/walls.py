"""Walls between jobs: a task sees nothing of what the centre keeps, save what is its own.

Standard library alone: agents load it. All jobs of an engine run as one user, so modes of files do
not keep them apart. Where user namespaces are permitted, each task gets a mount namespace in which
an empty directory lies over that of the centre, with the task's own directories put back into it,
and a user namespace of its own, out of which it may neither trace nor look into processes of others
(`/proc/PID/environ`, `/proc/PID/root`). A second namespace within makes the mounts somebody else's,
so that the task cannot take them away. Signals, sockets and `/tmp` are not walled off.
"""

import ctypes
import os
import stat
from collections.abc import Sequence
from pathlib import Path

_NEW_NS, _NEW_USER = 0x00020000, 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
_RDONLY, _NOSUID, _NODEV, _REMOUNT = 0x1, 0x2, 0x4, 0x20
_BIND, _REC, _SLAVE = 0x1000, 0x4000, 0x80000
_SIZE = "size=1m,mode=700"
_libc = ctypes.CDLL(None, use_errno=True)


def hide(private: str, shown: Sequence[str]) -> None:
    """Let this process, and what it becomes, see of a directory what is shown of it alone.

    The process has one thread. The directory is given without links; what is shown exists, and is
    no matter where it lies elsewhere.

    Raises
    ------
    OSError
        If that is not permitted here; the process must then not go on.
    """
    real = map(os.path.realpath, shown)
    inside = sorted({path for path in real if Path(path).is_relative_to(private)})
    uid, gid = os.getuid(), os.getgid()
    _apart(uid, gid)
    # What is mounted outside later is seen; nothing of ours is seen outside.
    _mount(None, "/", None, _REC | _SLAVE)
    # Taken hold of here: mounts of another namespace cannot be put into this one.
    handles = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in inside]
    _mount("tmpfs", private, "tmpfs", _NOSUID | _NODEV, _SIZE)
    for path, handle in zip(inside, handles, strict=True):
        place = Path(path)
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        _mount(f"/proc/self/fd/{handle}", path, None, _BIND | _REC)
    _mount(None, private, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)
    for handle in handles:
        os.close(handle)
    _apart(uid, gid)


def permitted(private: str) -> bool:
    """Return whether a directory can be hidden from processes of this user."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            hide(private, ())
            code = 0 if not os.listdir(private) else 1  # noqa: PTH208 - no more than names
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _apart(uid: int, gid: int) -> None:
    """Enter namespaces of its own, as the same user."""
    _check(_libc.unshare(_NEW_USER | _NEW_NS), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        Path("/proc/self", name).write_text(text)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    words = [None if one is None else os.fsencode(one) for one in (source, target, kind, data)]
    _check(_libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]), target)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
