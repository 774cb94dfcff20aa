"""
How a container is kept apart: by Linux namespaces where they are permitted, by an ordinary process where they are not.

With namespaces the container's program is process 1 of its own process namespace: when it ends, the kernel ends all it
started, as on Fargate, and a read-only root and tmpfs mounts are the kernel's own. A user namespace comes first, so
nobody needs rights for that. The network stays the host's: each task has a loopback address of its own instead.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

logger = logging.getLogger(__name__)

_INSIDE = Path(__file__).with_name("inside.py")
_PROBE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Tmpfs:
    """
    A tmpfs of a container definition.

    Args:
        path: Where it is mounted.
        size_mib: Its size in MiB.
        mode: Permissions of its root, octal digits.
    """

    path: str
    size_mib: int
    mode: str = "0755"


@dataclass(frozen=True)
class Bind:
    """
    A folder of this machine in a container.

    Args:
        folder: The folder.
        path: Where the container sees it.
        read_only: Whether the container may only read there.
    """

    folder: str
    path: str
    read_only: bool


@dataclass(frozen=True)
class Program:
    """
    What is started in a container.

    Args:
        argv: Program and arguments; the program is found on the container's PATH.
        cwd: Working directory.
        read_only: Whether the container may write to its mounts only.
        user_id: The user as which the program sees itself, where namespaces are permitted; 0 is root.
    """

    argv: tuple[str, ...]
    cwd: str = "/"
    read_only: bool = False
    tmpfs: tuple[Tmpfs, ...] = ()
    user_id: int = 0
    binds: tuple[Bind, ...] = ()


@lru_cache(maxsize=1)
def namespaces_permitted() -> bool:
    """True if this user may create user, mount and process namespaces and mount a tmpfs; tried once."""
    if not all(shutil.which(program) for program in ("setpriv", "unshare", "nsenter")):
        return False
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as report:
        program = Program(("true",), tmpfs=(Tmpfs("/run", 1),))
        try:
            done = subprocess.run(
                start_command(program, writing, namespaces=True),
                pass_fds=(writing,),
                capture_output=True,
                timeout=_PROBE_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        finally:
            os.close(writing)
        pid, problem = read_report(report)
    if not pid or problem or done.returncode:
        logger.warning("containers run without namespaces: %s", problem or done.stderr.decode().strip())
        return False
    return True


def read_report(report: BinaryIO) -> tuple[int, str]:
    """
    What became of a start: waits until the program runs or failed to.

    Returns:
        Its first process's id as the host sees it (0 if there never was one), and the problem or "".
    """
    pid = report.readline().decode().strip()
    outcome = report.readline().decode().strip()
    return int(pid or 0), "" if outcome == "started" else outcome or "no process could be started; see its log"


def start_command(program: Program, report: int, *, namespaces: bool) -> list[str]:
    """
    The command line that starts ``program`` in a container.

    The process is killed when the thread that starts it ends, so that thread must live as long as the container.

    Args:
        report: Inherited descriptor; :func:`read_report` reads the other end.
        namespaces: What :func:`namespaces_permitted` said.
    """
    spec = {
        "report": report,
        "namespaces": namespaces,
        "argv": program.argv,
        "cwd": program.cwd,
        "read_only": program.read_only,
        "user_id": program.user_id,
        "tmpfs": [{"path": item.path, "size_mib": item.size_mib, "mode": item.mode} for item in program.tmpfs],
        "binds": [asdict(item) for item in program.binds],
    }
    # -I and -S: the environment is the container's, and its PYTHONPATH must not reach this interpreter.
    inside = [sys.executable, "-I", "-S", str(_INSIDE), json.dumps(spec)]
    die_together = [_path("setpriv"), "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    if not namespaces:
        return [*die_together, *inside]
    own = ("--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")
    return [*die_together, _path("unshare"), *own, "--", *inside]


def enter_command(first_process: int, argv: list[str], *, namespaces: bool) -> list[str]:
    """
    The command line that runs ``argv`` beside a container's first process, with no more rights than that one has.

    Args:
        first_process: Its process id on the host.
        argv: Program and arguments.
        namespaces: What :func:`namespaces_permitted` said.
    """
    if not namespaces:
        return argv
    enter = [_path("nsenter"), "--target", str(first_process), "--user", "--mount", "--pid", "--preserve-credentials"]
    return [*enter, "--", _path("setpriv"), "--bounding-set=-all", "--no-new-privs", "--", *argv]


def _path(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"{program} (package util-linux) is not on PATH; containers need it")
    return found
