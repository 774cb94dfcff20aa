"""
A task's share of CPU as a hard limit, as on Fargate: 256 units are a quarter of a core, 25 ms in every 100 ms.

Source: the ECS developer guide, "Task definition parameters for Fargate", "Task size": 1,024 units are one vCPU. That a
task's containers together get no more than that, however idle the host is, is the kernel's CFS bandwidth control, which
Fargate sets for the task.

Works where this user may make a cgroup with a CPU limit, of version 1 or 2; elsewhere tasks run without one.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PERIOD_US = 100_000
"""Microseconds: what Docker and ECS set, and the kernel's default."""
_UNITS_OF_A_CORE = 1024
_PREFIX = "meshcert-task-"
_EMPTY_WITHIN_S = 5.0
_LOOK_AGAIN_S = 0.02
# Joins before it becomes the program: whatever that starts is then in the group from its first instruction.
_JOIN = ("/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"')


class QuotaNotPermittedError(Exception):
    """
    This user may not limit CPU by a cgroup.

    Args:
        reason: What the kernel said, or what is missing.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"CPU shares of tasks are not enforced: {reason}")


@dataclass(frozen=True)
class CpuQuota:
    """
    The cgroup of one task.

    Args:
        folder: Where it is mounted.
    """

    folder: Path

    def joining(self, command: list[str]) -> list[str]:
        """The command line that runs ``command``, and all that it starts, within the quota."""
        return [*_JOIN, str(self.folder), *command]

    @property
    def throttled(self) -> int:
        """In how many periods the task had to wait for the next one."""
        lines = (self.folder / "cpu.stat").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("nr_throttled"))

    def remove(self) -> None:
        """Remove the group as soon as its last process has gone; it is left behind if one stays."""
        deadline = time.monotonic() + _EMPTY_WITHIN_S
        while True:
            try:
                self.folder.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(_LOOK_AGAIN_S)
            else:
                return


def open_quota(name: str, units: int, period_us: int = PERIOD_US) -> CpuQuota:
    """
    A new cgroup for one task.

    Args:
        name: Names the task among those of this process.
        units: CPU units; 1,024 are one core.
        period_us: How often the task gets its share anew, microseconds.

    Raises:
        QuotaNotPermittedError: If there can be none.
    """
    quota = CpuQuota(own_group() / f"{_PREFIX}{os.getpid()}-{name}")
    limit_us = units * period_us // _UNITS_OF_A_CORE
    try:
        quota.folder.mkdir()
        if (quota.folder / "cpu.max").exists():
            (quota.folder / "cpu.max").write_text(f"{limit_us} {period_us}")
        else:
            (quota.folder / "cpu.cfs_period_us").write_text(str(period_us))
            (quota.folder / "cpu.cfs_quota_us").write_text(str(limit_us))
    except OSError as error:
        with contextlib.suppress(OSError):
            quota.folder.rmdir()
        raise QuotaNotPermittedError(str(error)) from error
    return quota


@lru_cache(maxsize=1)
def refusal() -> str:
    """Why tasks cannot have quotas here; empty if they can. Tried once, and removes what dead processes left behind."""
    try:
        for left in own_group().glob(f"{_PREFIX}*"):
            if not Path(f"/proc/{left.name.removeprefix(_PREFIX).partition('-')[0]}").exists():
                with contextlib.suppress(OSError):
                    left.rmdir()
        open_quota("try", _UNITS_OF_A_CORE).remove()
    except QuotaNotPermittedError as error:
        return error.reason
    return ""


def own_group() -> Path:
    """
    The folder of this process's own cgroup, as far as it limits CPU.

    Raises:
        QuotaNotPermittedError: If no CPU controller is mounted.
    """
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        mounted = Path(before.split()[4])
        if kind == "cgroup" and "cpu" in options.split(","):
            return mounted / own.get("cpu", "/").lstrip("/")
        if kind == "cgroup2" and "cpu" in (mounted / "cgroup.controllers").read_text().split():
            folder = mounted / own.get("", "/").lstrip("/")
            with contextlib.suppress(OSError):
                # Fails if it is in force already, or in a group that has processes of its own; then mkdir tells.
                (folder / "cgroup.subtree_control").write_text("+cpu")
            return folder
    raise QuotaNotPermittedError("no cgroup controller for CPU is mounted")
