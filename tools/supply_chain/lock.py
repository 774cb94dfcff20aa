"""
``make lock``: write the lock files anew.

Versions come from ``constraints.txt``; the hashes are those that PyPI names for every file of each version. uv resolves
and writes them; it is installed for this alone (``build/venv-lock``).
"""

from __future__ import annotations

import subprocess
import sys

from tools.supply_chain.locks import LOCKS, ROOT, Lock

UV = ROOT / "build" / "venv-lock" / "bin" / "uv"
OLDEST_PYTHON, OLDEST_LINUX = "3.11", "x86_64-manylinux_2_31"
"""What the README asks for. A package that only an older Python needs is in the lock for all of them."""


def command(lock: Lock) -> list[str]:
    """The command that writes a lock."""
    return [
        str(UV),
        *("pip", "compile", "--no-config", "--quiet", "--generate-hashes", "--no-annotate", "--no-header"),
        *("--python-version", OLDEST_PYTHON, "--python-platform", OLDEST_LINUX, "--only-binary", ":all:"),
        *("--constraint", str(lock.constraints), "--output-file", str(lock.path)),
        *map(str, lock.requirements),
    ]


def main() -> int:
    """Write all of them, or as many as uv could; returns uv's exit code."""
    for lock in LOCKS:
        code = subprocess.run(command(lock), cwd=ROOT, check=False).returncode
        if code:
            return code
        sys.stdout.write(f"locked {lock.path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
