"""The exit codes of ``meshcert``, for scripts."""

from __future__ import annotations

SETTLED = 0
UNSETTLED = 3
NEEDS_A_PERSON = 4
USAGE = 64
UNAVAILABLE = 69
REFUSED = 77
INTERRUPTED = 130

EXIT_CODES = {
    SETTLED: "done; of plan and status: every identity is settled",
    UNSETTLED: "something is under way, or will be done by the next look",
    NEEDS_A_PERSON: "a person has to act; each finding says how",
    USAGE: "no such identity, the mesh is not deployed here, or the command line is wrong",
    UNAVAILABLE: "AWS could not answer, at least not everything: try again",
    REFUSED: "AWS refused: credentials, or rights that the operator role would have",
    INTERRUPTED: "Ctrl-C; an order that was sent stays",
}
"""Every code that an operator's command ends with; 1 is a fault of the program, with its traceback."""
