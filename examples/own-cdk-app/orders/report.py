"""
The job of the examples: asks ``stock`` once, by the port that its sidecar has for it on loopback, and ends.

Its exit code is 0 if that answers, else 1. ``MESHCERT_LOOPBACK_ADDRESS``, which the local AWS sets, says where loopback
is: there, tasks share one network.
"""

from __future__ import annotations

import os
import sys
import urllib.request

LOOPBACK = os.environ.get("MESHCERT_LOOPBACK_ADDRESS", "127.0.0.1")


def main() -> None:
    """Ask, and say what the answer is; HTTPError, which is an OSError, if it is none."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{os.environ['STOCK_PORT']}/", timeout=10) as answer:
            sys.stdout.write(f"stock: {answer.read().decode()}\n")
    except OSError as error:
        sys.exit(f"no report: {error}")


if __name__ == "__main__":
    main()
