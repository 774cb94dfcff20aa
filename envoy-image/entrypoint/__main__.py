"""``python -m entrypoint``: the container's first process."""

from __future__ import annotations

import gc
import os
import sys

from meshcert.contract.exit_codes import EXIT_CODES

_USAGE = """\
usage: python -m entrypoint [--help]

Fetches the secrets of MESHCERT_PROXY, checks them, runs Envoy with them and watches for new versions.
Settings come from the environment. Logs are JSON lines on standard output.

exit codes:"""


def main(arguments: list[str]) -> int:
    """Run until Envoy or the container ends, and return the exit code."""
    if arguments:
        print(_USAGE)
        print("\n".join(f"  {code:>3}  {cause}" for code, cause in EXIT_CODES.items()))
        print("  128+n  Envoy was killed by signal n")
        return 0 if arguments == ["--help"] else 2
    # A start leaves no garbage in circles, but would be searched for it again and again; each process allows it later.
    gc.disable()
    from entrypoint import supervisor

    return supervisor.run(os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
