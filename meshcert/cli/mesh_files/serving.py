"""What both sides of a call serve now, as ``meshcert status`` sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.cli import exit_codes
from meshcert.cli.advice import advice
from meshcert.cli.screen import duration, short
from meshcert.cli.survey import survey
from meshcert.cli.terminal import tell_aside
from meshcert.errors import IdentityMissing, MeshcertError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcert.cli.options import ChosenMesh
    from meshcert.mesh.edges.permission import Permission


@dataclass(frozen=True)
class SidesServed:
    """
    What is published and served of the identities of a call.

    Args:
        identities: The documents of ``meshcert status --json``, by identity.
        unreadable: Identities that nothing can be said about, and why.
        problem: Why nothing could be seen; empty if it could.
        exit_code: That of the problem; 0 without one.
    """

    identities: dict[str, dict[str, Any]]
    unreadable: dict[str, str]
    problem: str = ""
    exit_code: int = exit_codes.SETTLED

    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "identities": list(self.identities.values()),
            "unreadable": [*self.unreadable],
            "problem": self.problem or None,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """A label and a text for each side, and the last refusals."""
        if self.problem:
            yield "live", self.problem
        for name, why in self.unreadable.items():
            yield "live", f"{name}: {why}"
        for name, seen in self.identities.items():
            yield "live", f"{name}: {_told(seen)}"
            for service in seen["services"]:
                for task in service["tasks"]:
                    if task["error"]:
                        refused = f"refused {short(task['refused'])}: " if task["refused"] else ""
                        yield "", f"{service['service']} {short(task['task'])} {refused}{task['error']}"


def serving(chosen: ChosenMesh, found: Sequence[Permission]) -> SidesServed:
    """Look at the identities that the calls are about; what goes wrong is told, and hides no answer of the file."""
    named = [each for one in found for each in (one.presented, one.callee.listener.tls.identity) if each]
    names = list(dict.fromkeys(named))
    if not names:
        return SidesServed({}, {}, "neither side has a certificate")
    seen: dict[str, dict[str, Any]] = {}
    unreadable: dict[str, str] = {}
    try:
        account = chosen.account()
        for name in names:
            try:
                surveyed = survey(account, [name], tell_aside)
            except IdentityMissing as error:
                unreadable[name] = str(error)
            else:
                seen |= {each.name: each.document() for each in surveyed.sights}
                unreadable |= surveyed.unreadable
    except MeshcertError as error:
        problem, code = advice(error)
        return SidesServed(seen, unreadable, problem, code)
    return SidesServed(seen, unreadable)


def _told(seen: dict[str, Any]) -> str:
    published = seen["published"]
    if published["version"] is None:
        return "nothing is published"
    left = f", {duration(published['left_s'])} left" if published["left_s"] is not None else ""
    tasks = [task for service in seen["services"] for task in service["tasks"]]
    serving = sum(task["version"] == published["version"] for task in tasks)
    return f"version {short(published['version'])}{left}; {serving} of {len(tasks)} tasks serve it"
