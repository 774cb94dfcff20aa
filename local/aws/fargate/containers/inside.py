"""
The first program of a container: prepares its file system, gives up its rights, and becomes the container's program.

Run as a script by ``sandbox``, before anything of the image; so it imports the standard library only. Its argument is
JSON: ``report`` (descriptor that gets two lines: the process id, then ``started`` or the reason why not),
``namespaces``, ``argv``, ``cwd``, ``read_only``, ``user_id``, ``tmpfs`` (list of ``path``, ``size_mib``, ``mode``),
``binds`` (list of ``folder``, ``path``, ``read_only``).
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
_CAPABILITIES = 64
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
_CLONE_NEWUSER = 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND = 2, 4, 8, 4096
_CANNOT_EXECUTE, _NOT_FOUND, _SIGNALLED = 126, 127, 128

_libc = ctypes.CDLL(None, use_errno=True)
_covered: set[Path] = set()
"""Folders of the host that an empty tmpfs covers by now."""


def main(spec: dict[str, Any]) -> int:
    """Run the container ``spec`` describes; with namespaces it returns only if the program cannot be started."""
    report = int(spec["report"])
    try:
        if not spec["namespaces"]:
            return _supervise(spec, report)
        # The process file system is still the host's here: this is the number by which the host knows this process.
        os.write(report, f"{Path('/proc/self').readlink()}\n".encode())
        _prepare(spec)
        if spec["user_id"]:
            _take_user(spec["user_id"])
        _become(spec, report)
    except OSError as error:
        os.write(report, f"{error}\n".encode())
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_EXECUTE


def _prepare(spec: dict[str, Any]) -> None:
    if spec["read_only"]:
        # One call for every mount below the root; kernels before 5.12 lack it, and the root then stays writable.
        _set_read_only(Path("/"), read_only=True, also_below=True)
    # Refused inside some containers, where parts of /proc are hidden; the host's view of it then remains.
    _libc.mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)
    _mount_tmpfs(Path("/dev/shm"), 64, "1777")  # noqa: S108 - every container has one of its own, as on Fargate
    for tmpfs in spec["tmpfs"]:
        _mount_tmpfs(Path(tmpfs["path"]), tmpfs["size_mib"], tmpfs["mode"])
    for bind in spec["binds"]:
        _bind(bind["folder"], Path(bind["path"]), read_only=bind["read_only"])


def _set_read_only(path: Path, *, read_only: bool, also_below: bool = False) -> None:
    to_set, to_clear = (_MOUNT_ATTR_RDONLY, 0) if read_only else (0, _MOUNT_ATTR_RDONLY)
    attributes = struct.pack("QQQQ", to_set, to_clear, 0, 0)
    flags = _AT_RECURSIVE if also_below else 0
    _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, bytes(path), flags, attributes, len(attributes))


def _bind(folder: str, path: Path, *, read_only: bool) -> None:
    _make_folder(path, 1)
    if _libc.mount(folder.encode(), bytes(path), None, _MS_BIND, None):
        raise OSError(ctypes.get_errno(), f"volume {path}: {os.strerror(ctypes.get_errno())}")
    _set_read_only(path, read_only=read_only)


def _make_folder(path: Path, size_mib: int) -> None:
    """The host has no such folder and must not get one: an empty tmpfs covers the nearest one that exists."""
    if path.is_dir():
        return
    parent = next(folder for folder in path.parents if folder.is_dir())
    if parent == Path("/"):
        raise OSError(f"mount {path}: declare it below a folder that the host has, for example /run or /mnt")
    if parent not in _covered:
        _mount_tmpfs(parent, size_mib, "0755")
        _covered.add(parent)
    path.mkdir(parents=True)


def _mount_tmpfs(path: Path, size_mib: int, mode: str) -> None:
    _make_folder(path, size_mib)
    options = f"size={size_mib}m,mode={mode}".encode()
    if _libc.mount(b"tmpfs", bytes(path), b"tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, options):
        raise OSError(ctypes.get_errno(), f"tmpfs {path}: {os.strerror(ctypes.get_errno())}")


def _take_user(user_id: int) -> None:
    """
    See itself as the image's user: some programs refuse root, PostgreSQL for one.

    A user namespace inside the container's has this one user, who is root outside. It has all rights over it until the
    program starts; a kernel that permits none leaves root.
    """
    if _libc.unshare(_CLONE_NEWUSER):
        return
    Path("/proc/self/setgroups").write_text("deny")
    for mapped in ("uid_map", "gid_map"):
        Path(f"/proc/self/{mapped}").write_text(f"{user_id} 0 1")


def _become(spec: dict[str, Any], report: int) -> NoReturn:
    os.chdir(spec["cwd"])
    program = shutil.which(spec["argv"][0])
    if program is None:
        raise FileNotFoundError(f"exec: {spec['argv'][0]!r}: executable file not found in $PATH")
    for capability in range(_CAPABILITIES):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # This interpreter set it for itself, at its start.
    environment = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    os.write(report, b"started\n")
    os.close(report)
    os.execve(program, spec["argv"], environment)


def _supervise(spec: dict[str, Any], report: int) -> int:
    """Without namespaces somebody must stay behind to end what the container's first process leaves running."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    first = os.fork()
    if first == 0:
        try:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            os.write(report, f"{os.getpid()}\n".encode())
            _become(spec, report)
        except OSError as error:
            os.write(report, f"{error}\n".encode())
        os._exit(_NOT_FOUND)
    os.close(report)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(first, signal.SIGTERM))
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == first:
            break
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while remaining := children.read_text().split():
        for child in remaining:
            os.kill(int(child), signal.SIGKILL)
            os.waitpid(int(child), 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _SIGNALLED - code


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
