"""Looks at identities as the renewal function does, at a pace that leaves it enough of the quota."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.cli import exit_codes
from meshcert.cli.costs.issuing import declared_issuing, short_lived_authorities
from meshcert.cli.costs.month import BilledParts, Poll, alarms, metrics
from meshcert.cli.costs.offline import declared_polls
from meshcert.cli.sights import Sight, service_of
from meshcert.errors import IdentityMissing, IdentityUnreadable
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.observing.observe import observe, remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from meshcert.cli.account import Account, Pauses
    from meshcert.mesh import Mesh

A_SECOND = 4.0
"""Looks a second: ACM answers ten calls a second for a whole account, and the renewal function asks too."""
AT_FIRST = 10
"""Looks without a pause."""
AT_ONCE = 4
"""Identities looked at at the same time: a look is some ten calls, one after the other."""
_QUIET_S = 5.0
_TOLD_EVERY_S = 15.0
_NO_ROW = "its row has gone meanwhile"
_NOTHING_TO_DO = {Kind.ROLLED_BACK}
"""Findings that no person has to act on: a fresh renewal follows by itself."""


@dataclass(frozen=True)
class Survey:
    """
    The result of looking at identities of a mesh.

    Args:
        sights: The identities, in the order asked for.
        unreadable: Identities that nothing can be said about, and why: one of them hides none of the others.
        whole: Whether these are all identities of the mesh.
        live: Whether AWS was asked now; otherwise it is what the last looks have left in the tables.
    """

    sights: tuple[Sight, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True
    live: bool = True

    @property
    def exit_code(self) -> int:
        """The exit code of a command: that of the most serious state."""
        found = {exit_code(sight) for sight in self.sights}
        if self.unreadable:
            found.add(exit_codes.NEEDS_A_PERSON)
        return next((code for code in GRAVEST_FIRST if code in found), exit_codes.SETTLED)


GRAVEST_FIRST = (exit_codes.NEEDS_A_PERSON, exit_codes.REFUSED, exit_codes.UNAVAILABLE, exit_codes.UNSETTLED)
"""Exit codes for identities that are not settled, the most serious first."""


def survey(account: Account, names: Sequence[str], tell: Callable[[str], None]) -> Survey:
    """
    The state of identities. Nothing is changed.

    Args:
        names: Names of identities; if empty, all that are declared, in alphabetical order.
        tell: Called with a line of progress if it takes long.

    Raises:
        IdentityMissing: If one of the names is not declared, or the mesh is not deployed.
        MeshcertError: If the tables cannot be read.
    """
    chosen = list(dict.fromkeys(names)) or sorted(declared_names(account))
    pace = _Pace(account.pauses, len(chosen), tell)
    seen: list[Sight | str] = []
    looks: deque[Future[Sight | str]] = deque()
    with ThreadPoolExecutor(max_workers=AT_ONCE) as looking:
        try:
            for name in chosen:
                pace.wait()
                looks.append(looking.submit(_sight_or_fault, account, name))
                while looks and looks[0].done():
                    seen.append(looks.popleft().result())
            seen += [look.result() for look in looks]
        finally:
            looking.shutdown(cancel_futures=True)
    unreadable = {name: one for name, one in zip(chosen, seen, strict=True) if isinstance(one, str)}
    undeclared = next((name for name, why in unreadable.items() if why == _NO_ROW), None)
    if names and undeclared:
        raise _undeclared(account, undeclared)
    return Survey(tuple(one for one in seen if isinstance(one, Sight)), unreadable, whole=not names)


def sight(account: Account, name: str) -> Sight:
    """
    The state of one identity.

    Raises:
        IdentityMissing: If it is not declared, or the mesh is not deployed.
        MeshcertError: If the tables cannot be read.
    """
    seen = _sight(account, name)
    if seen is None:
        raise _undeclared(account, name)
    return seen


def require_declared(account: Account, name: str) -> None:
    """
    Check that an identity is declared, before anything is requested for it.

    Raises:
        IdentityMissing: If it is not declared, or the mesh is not deployed.
    """
    try:
        identity = account.declared.find(name)
    except IdentityMissing as error:
        raise not_deployed(account) from error
    if identity is None:
        raise _undeclared(account, name)


def exit_code(looked: Sight) -> int:
    """The exit code for one identity: that of its most serious state."""
    findings = {finding.kind for finding in looked.plan.findings} - _NOTHING_TO_DO
    if findings - {Kind.AWS_DENIED, Kind.AWS_UNAVAILABLE}:
        return exit_codes.NEEDS_A_PERSON
    if Kind.AWS_DENIED in findings:
        return exit_codes.REFUSED
    if Kind.AWS_UNAVAILABLE in findings:
        return exit_codes.UNAVAILABLE
    return exit_codes.SETTLED if looked.plan.settled else exit_codes.UNSETTLED


def usage(sights: Sequence[Sight], declared: Mesh | None) -> BilledParts:
    """
    The parts of a mesh that cost money, counted from its identities.

    Args:
        declared: The mesh file; None without one. Rows name no backends, no services without an identity, and neither
            the usage of a CA nor the life of a certificate.
    """
    identities = [looked.seen.identity for looked in sights]
    polls: dict[str, Poll] = {}
    for looked in sights:
        for use in looked.seen.identity.services:
            service = service_of(looked.seen, use.name)
            # It polls its identities' secrets, and the trust bundle for its peers.
            secrets = polls[use.name].secrets + 1 if use.name in polls else 2
            polls[use.name] = Poll(service.desired_count if service else 0, secrets, use.poll_interval_s)
    for name, poll in declared_polls(declared).items() if declared else ():
        polls[name] = replace(poll, tasks=polls[name].tasks) if name in polls else poll
    authorities = len(
        {
            arn
            for identity in identities
            if not identity.has_existing_authority
            for arn in identity.certificate_authority_arns
        }
    )
    short_lived = short_lived_authorities(declared) if declared else 0
    issuers = {identity.issuer for identity in identities}
    return BilledParts(
        keys=2 - bool(declared and declared.about.secrets_key),
        authorities=max(authorities - short_lived, 0),
        short_lived_authorities=short_lived,
        issued=declared_issuing(declared) if declared else (),
        identities=len(identities),
        trust_bundles=len({identity.root_certificate_authority_arn for identity in identities}),
        polls=tuple(polls.values()),
        alarms=alarms(issuers),
        metrics=metrics(issuers),
    )


class _Pace:
    """Keeps looks below the quota, and tells people who wait for them."""

    def __init__(self, pauses: Pauses, looks: int, tell: Callable[[str], None]) -> None:
        self._pauses, self._looks, self._tell = pauses, looks, tell
        self._begun = self._told = pauses.monotonic()
        self._taken = 0
        takes_s = (looks - AT_FIRST) / A_SECOND
        if takes_s > _QUIET_S:
            tell(
                f"looking at {looks:,} identities takes about {takes_s:.0f} seconds: "
                "ACM answers ten questions a second for the whole account"
            )

    def wait(self) -> None:
        """Wait for the next look's turn."""
        due = self._begun + (self._taken - AT_FIRST) / A_SECOND
        left_s = due - self._pauses.monotonic()
        if left_s > 0:
            self._pauses.sleep(left_s)
        if self._pauses.monotonic() - self._told >= _TOLD_EVERY_S:
            self._told = self._pauses.monotonic()
            self._tell(f"  {self._taken:,} of {self._looks:,}")
        self._taken += 1


def declared_names(account: Account) -> list[str]:
    """
    The names of all identities, in no order.

    Raises:
        IdentityMissing: If the mesh is not deployed.
        MeshcertError: If the table cannot be read.
    """
    try:
        return list(account.declared.names())
    except IdentityMissing as error:
        raise not_deployed(account) from error


def _sight(account: Account, name: str) -> Sight | None:
    try:
        # For a table, this error means that the table is missing: a missing row is not an error.
        identity = account.declared.find(name)
        memory = account.remembered.memory(name)
    except IdentityMissing as error:
        raise not_deployed(account) from error
    if identity is None:
        return None
    seen = observe(identity, memory, account.observers)
    memory = remembered(memory, seen)
    return Sight(seen, memory, plan(seen, memory, account.policy), account.policy)


def _sight_or_fault(account: Account, name: str) -> Sight | str:
    """
    What is seen of an identity, or why nothing can be said about it.

    Whoever wrote what is read here may have written anything: whatever comes of it is one line about this identity.
    """
    try:
        seen = _sight(account, name)
        if seen is not None:
            seen.document()
    except IdentityUnreadable as error:
        return str(error)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return f"what is written about it makes no sense ({type(error).__name__}); please report this"
    return _NO_ROW if seen is None else seen


def not_deployed(account: Account) -> IdentityMissing:
    """The error for a mesh whose tables are missing."""
    tables = f"{naming.identities_table(account.mesh)} and {naming.lifecycle_table(account.mesh)}"
    return IdentityMissing(
        f"the mesh {account.mesh} in {account.region}",
        f"It would have the tables {tables}: deploy its identities stack, or look at --mesh, AWS_REGION, AWS_PROFILE",
    )


def _undeclared(account: Account, name: str) -> IdentityMissing:
    return IdentityMissing(
        f"identity {name} of the mesh {account.mesh} in {account.region}", "`meshcert status` lists those that do"
    )
