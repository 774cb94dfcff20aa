"""
Run a long command that says nothing: ``patiently.py WHAT COMMAND...``.

Says every ten seconds that it is still at it, and what pip was doing last; if the command fails, prints all of its
output. Ends with its exit code. It runs before anything is installed, with the standard library alone.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time

TOLD_EVERY_S = 10.0
LONGEST_LINE = 80
PROGRESS = ("Building ", "Collecting ", "Downloading ", "Installing ", "Obtaining ", "Preparing ", "Using cached ")
"""How pip's lines of progress begin. Its warnings, and what it takes away, are no progress, and alarm people."""


def run(what: str, command: list[str], told_every_s: float = TOLD_EVERY_S) -> int:
    """
    Run a command to its end.

    Args:
        what: What it does, for the lines.
        told_every_s: Between two lines, seconds.

    Returns:
        Its exit code.
    """
    began = time.monotonic()
    lines: list[str] = []
    done = threading.Event()

    def tell() -> None:
        while not done.wait(told_every_s):
            told = (line.strip() for line in reversed(lines.copy()))
            last = next((line[:LONGEST_LINE] for line in told if line.startswith(PROGRESS)), "")
            sys.stdout.write(f"{what}: {time.monotonic() - began:.0f} s{f', {last}' if last else ''}\n")
            sys.stdout.flush()

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        threading.Thread(target=tell, daemon=True).start()
        lines.extend(process.stdout or ())
    done.set()
    if process.returncode:
        sys.stdout.write("".join(lines))
    return process.returncode


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
