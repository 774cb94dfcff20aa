"""``meshcert status`` from the mesh's tables: what the latest look at each identity has found."""

from __future__ import annotations

import datetime as dt
import fnmatch
from dataclasses import replace
from typing import TYPE_CHECKING

from meshcert.cli import exit_codes
from meshcert.cli.screen import STATES, chosen, duration, head, short
from meshcert.cli.sights import Sight
from meshcert.cli.survey import GRAVEST_FIRST, Survey, declared_names, exit_code, not_deployed, require_declared, survey
from meshcert.contract.staging_labels import CURRENT, LAST_GOOD, QUARANTINED
from meshcert.errors import IdentityMissing, IdentityUnreadable
from meshcert.lifecycle.deciding.findings import Finding, Kind, remedies
from meshcert.lifecycle.deciding.plan import Plan
from meshcert.lifecycle.deciding.steps import Action, Step, waiting
from meshcert.lifecycle.memory import Memory
from meshcert.lifecycle.observation import Observation, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshcert.cli.account import Account
    from meshcert.cli.screen import Screen
    from meshcert.identity import Identity
    from meshcert.issuing.issuer import Abilities

LIVE_UP_TO = 50
"""Identities that are looked at now unless told otherwise: ten at once, then four a second, are ten seconds."""
ON_A_PAGE = 50
STALE = dt.timedelta(hours=2, minutes=15)
"""Two sweeps, and the 15 minutes that one takes to come to its last identity."""
_NOT_ASKED = "the tables do not say; --live asks"
_NAME, _STATE = 32, 14
_STALE_REMEDY = "`meshcert status NAME --live` asks now; the alarms of the renewal function say why no look comes"


def status_of(
    account: Account, names: Sequence[str], match: str, *, live: bool | None, tell: Callable[[str], None]
) -> Survey:
    """
    The state of identities: looked at now, or as the last looks left it.

    Args:
        names: Names of identities; if empty, all.
        match: A pattern of the shell's (``*`` for every name); only identities whose name matches are kept.
        live: Whether AWS is asked; None asks, but of more than 50 identities without a name.
        tell: Called with a line of progress if it takes long.

    Raises:
        IdentityMissing: If one of the names is not declared, or the mesh is not deployed.
        MeshcertError: If the tables cannot be read.
    """
    kept = fnmatch.filter(names or declared_names(account), match)
    whole = not names and match == "*"
    if live or (live is None and (names or len(kept) <= LIVE_UP_TO)):
        if not kept:
            return Survey((), whole=whole)
        # Of a whole mesh, an identity that goes meanwhile is no fault of the command line.
        return replace(survey(account, () if whole else kept if names else sorted(kept), tell), whole=whole)
    found, kept_names = recorded(account), set(kept)
    for name in sorted(set(names) - {each.name for each in found.sights} - set(found.unreadable)):
        require_declared(account, name)
    return replace(
        found,
        sights=tuple(each for each in found.sights if each.name in kept_names),
        unreadable={name: why for name, why in found.unreadable.items() if name in kept_names},
        whole=whole,
    )


def recorded(account: Account) -> Survey:
    """
    What the latest looks at all identities ended with, from two tables, those that need a person first.

    A few calls for each thousand identities. What tasks serve, and what the issuer has, is not among it.

    Raises:
        IdentityMissing: If the mesh is not deployed.
        MeshcertError: If the tables cannot be read.
    """
    sights: list[Sight] = []
    unreadable: dict[str, str] = {}
    try:
        # Memories after identities: a look that comes in between is in them.
        declared = list(account.declared.all())
        memories = account.remembered.memories()
    except IdentityMissing as error:
        raise not_deployed(account) from error
    now = account.observers.clock.now()
    for identity in declared:
        if isinstance(identity, IdentityUnreadable):
            unreadable[identity.identity] = str(identity)
            continue
        try:
            sight = _sight(account, identity, memories.get(identity.name), now)
            # Whoever wrote the row may have written anything: whatever comes of it is one line about this identity.
            sight.document()
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            why = f"what its last look wrote is of another version of meshcert ({type(error).__name__}); use --live"
            unreadable[identity.name] = why
        else:
            sights.append(sight)
    return Survey(tuple(sorted(sights, key=urgency)), unreadable, live=False)


def show_recorded(
    screen: Screen, account: Account, surveyed: Survey, *, unsettled_only: bool = False, page: int = 1
) -> None:
    """
    Show a page of identities, a line for each, and below it what is wrong.

    Args:
        page: From 1; a page beyond the last is empty.
    """
    now = account.observers.clock.now()
    head(screen, account, surveyed)
    show_when(screen, surveyed.sights, now)
    rows = [(each, "") for each in chosen(surveyed, unsettled_only=unsettled_only)]
    show_page(screen, rows, now, page=page)


def show_when(screen: Screen, sights: Sequence[Sight], now: dt.datetime) -> None:
    """Show how old it is what the tables say."""
    looks = [each.looked_at for each in sights if each.looked_at]
    if looks:
        oldest, newest = (duration((now - at).total_seconds()) for at in (min(looks), max(looks)))
        screen.paragraph("", f"as of each identity's last look, {newest} to {oldest} ago; --live asks now", width=0)


def show_page(
    screen: Screen,
    rows: Sequence[tuple[Sight, str]],
    now: dt.datetime,
    *,
    page: int,
    first: str = "",
    live: bool = False,
) -> None:
    """
    Show a page of identities, and how it goes on.

    Args:
        rows: Identities, each with what stands before its name.
        first: The head of what stands there.
    """
    heads = f"  {first}{'identity':<{_NAME}} {'state':<{_STATE}} {'version':<8} {'left':>9}"
    screen.line((heads if live else f"{heads}  looked at", "dim"))
    for sight, before in rows[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]:
        _show(screen, sight, before, None if live else now)
    pages = max(-(-len(rows) // ON_A_PAGE), 1)
    if pages > 1:
        more = f"; --page {page + 1} goes on" if page < pages else ""
        screen.line(f"page {page} of {pages}, {len(rows):,} identities, those that need a person first{more}")


def _show(screen: Screen, sight: Sight, before: str, now: dt.datetime | None) -> None:
    code = exit_code(sight)
    state, style = STATES[code]
    if code in (exit_codes.REFUSED, exit_codes.UNAVAILABLE):
        state = "not all seen"
    document = sight.document()
    left_s = document["published"]["left_s"]
    left = "?" if left_s is None else duration(left_s) if left_s >= 0 else "ended"
    looked = ""
    if now:
        looked = f"  {duration((now - sight.looked_at).total_seconds())} ago" if sight.looked_at else "  not told yet"
    cells = f"  {before}{sight.name:<{_NAME}} ", (f"{state:<{_STATE}}", style)
    screen.line(*cells, f" {short(document['published']['version']):<8} {left:>9}{looked}")
    for finding in document["findings"]:
        screen.paragraph("!", f"{finding['kind']}: {finding['detail']}", style, width=3)
        screen.paragraph("do", finding["remedy"], width=3)
    if not document["findings"] and code != exit_codes.SETTLED:
        step = document["next"]
        screen.paragraph("", f"{step['action']}: {step['why']}", width=3)


def urgency(sight: Sight) -> tuple[int, float, str]:
    """By what it is sorted: those that need a person first, then those whose published certificate ends first."""
    codes = (*GRAVEST_FIRST, exit_codes.SETTLED)
    publication = sight.memory.publication
    ends = publication.not_after.timestamp() if publication and publication.not_after else float("inf")
    return codes.index(exit_code(sight)), ends, sight.name


def _sight(account: Account, identity: Identity, memory: Memory | None, now: dt.datetime) -> Sight:
    can = account.observers.issuers[identity.issuer].can
    memory = memory or Memory()
    seen = Observation(
        identity=identity,
        now=now,
        issuer=can,
        issuance=Unknown(_NOT_ASKED),
        labels=_labels(memory),
        services=Unknown(_NOT_ASKED),
        acknowledgements=Unknown(_NOT_ASKED),
        authorities=Unknown(_NOT_ASKED),
    )
    looked_at = memory.last_look.at if memory.last_look else None
    return Sight(seen, memory, _plan(memory, can, now), account.policy, looked_at)


def _labels(memory: Memory) -> dict[str, frozenset[str]] | Unknown:
    if memory.publication is None:
        return Unknown("no look has seen a published version")
    versions = {
        CURRENT: memory.publication.version,
        LAST_GOOD: memory.last_look.last_good if memory.last_look else "",
        QUARANTINED: memory.quarantine.version if memory.quarantine else "",
    }
    return {
        version: frozenset(label for label, labelled in versions.items() if labelled == version)
        for version in filter(None, versions.values())
    }


def _plan(memory: Memory, can: Abilities, now: dt.datetime) -> Plan:
    """
    The plan that the latest look ended with.

    Raises:
        ValueError: If it has an action or a finding that this version does not know.
    """
    last_look = memory.last_look
    if last_look is None:
        step = waiting("no look has told of it yet: the next sweep does, within 75 minutes")
        return Plan(step, (step,))
    does = remedies(can)
    findings = tuple(Finding(Kind(each.kind), each.detail, does[Kind(each.kind)]) for each in last_look.faults)
    if now - last_look.at > STALE:
        ago = duration((now - last_look.at).total_seconds())
        late = Finding(Kind.AWS_UNAVAILABLE, f"nothing has looked at it for {ago}", _STALE_REMEDY)
        findings = (*findings, late)
    step = Step(Action(last_look.action), last_look.why, service=last_look.service)
    return Plan(step, () if last_look.settled or step.acts else (step,), findings)
