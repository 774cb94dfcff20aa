"""Limits and signals that this container's processes set with the kernel."""

from __future__ import annotations

import ctypes  # before the forks: both children need it
import os
import resource
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def no_core_dumps() -> None:
    """
    Forbid core files of this process and its children, because they would hold keys.

    The limit is one byte, not zero: Linux ignores zero when ``core_pattern`` names a program (core(5)), and takes one
    byte as "never" in both cases (``do_coredump`` in fs/coredump.c).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def end_with_parent(parent: int) -> None:
    """
    Have the kernel kill this process when its parent ends (prctl PR_SET_PDEATHSIG, which ``exec`` preserves).

    Args:
        parent: Process id of the parent. If it has already ended, this process ends now.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def hide_memory() -> None:
    """Keep other processes of the same user from reading this one's memory (prctl PR_SET_DUMPABLE)."""
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
