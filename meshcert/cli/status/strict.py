"""Attached services that are STRICT: whether they are so in effect, or something leads past their Envoys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from meshcert.aws.ecs.ways_past import TASK_DEFINITION, close
from meshcert.cli.survey import AT_ONCE
from meshcert.errors import AccessDenied, MeshcertError

if TYPE_CHECKING:
    from meshcert.cli.account import Account
    from meshcert.cli.screen import Screen
    from meshcert.cli.survey import Survey
    from meshcert.mesh import Mesh

_WIDTH = 24
_NOT_ASKED = "the tables do not say; --live asks"


def strict_seen(account: Account, declared: Mesh | None, surveyed: Survey) -> list[dict[str, Any]] | None:
    """
    Whether STRICT is effective, for each attached service of identities that are STRICT, for scripts and the screen.

    AWS is asked if it was asked for the identities. What it does not say hides nothing else: it is told why.

    Args:
        declared: The mesh file, which says who is STRICT.

    Returns:
        None without a mesh file: nothing is known.
    """
    if declared is None:
        return None
    here = {use.name for sight in surveyed.sights for use in sight.seen.identity.services}
    names = [name for name in declared.strict_attached if name in here]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as asking:
        return list(asking.map(lambda name: _seen(account, declared, name, live=surveyed.live), names))


def _seen(account: Account, declared: Mesh, name: str, *, live: bool) -> dict[str, Any]:
    port = declared.strict_attached[name]
    told: dict[str, Any] = {"service": name, "port": port, "effective": None, "ways_past": [], "problem": None}
    if not live:
        return told | {"problem": _NOT_ASKED}
    try:
        seen = account.ways_past(declared.ecs_place(name), port, declared.cloud_map_name(name))
        if seen is None:
            return told | {"problem": "nobody asked"}
        ways, unread = list(seen.named()), list(seen.unread())
    except AccessDenied as error:
        return told | {"problem": f"{error.operation} is denied to you. {_ROLE}"}
    except MeshcertError as error:
        return told | {"problem": str(error)}
    if unread and not ways:
        return told | {
            "problem": f"{', '.join(unread)} may lead to port {port}: the task definition says, and {TASK_DEFINITION} "
            "is denied to you, as to the operator role. `make verify-aws` asks"
        }
    return told | {"effective": not ways, "ways_past": ways}


_ROLE = (
    "The operator role may (output OperatorRole of the renewal stack); one of an older meshcert after the next deploy"
)


def show_strict(screen: Screen, seen: list[dict[str, Any]] | None) -> None:
    """Show it, a line for each service; if AWS was not asked, one for all."""
    if not seen:
        return
    screen.line()
    screen.line(("STRICT of attached services", "bold"))
    if all(each["problem"] == _NOT_ASKED for each in seen):
        screen.paragraph(f"{len(seen):,} services", f"not known: {_NOT_ASKED}", width=_WIDTH)
        return
    for each in seen:
        if each["problem"]:
            screen.paragraph(each["service"], f"not known: {each['problem']}", "yellow", width=_WIDTH)
        elif each["effective"]:
            screen.paragraph(each["service"], f"effective: nothing reaches port {each['port']}", width=_WIDTH)
        else:
            told = f"not effective: {'; '.join(each['ways_past'])} to port {each['port']}"
            screen.paragraph(each["service"], told, "red", width=_WIDTH)
            screen.paragraph("  do", close(each["port"]), width=_WIDTH)
