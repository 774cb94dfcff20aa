"""SPIFFE bundles: those of foreign trust domains, and the mesh's own that partners fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.cli.screen import duration, short
from meshcert.errors import BundleInvalid, MeshcertError
from meshcert.federation.own_bundle import HINTS, read_own_bundle
from meshcert.federation.refreshing import REFUSALS

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.cli.account import Account
    from meshcert.cli.screen import Screen
    from meshcert.mesh import Mesh
    from meshcert.mesh.federation.declared import DeclaredTrustDomain

_WIDTH = 24


def bundles_seen(account: Account, declared: Mesh | None) -> dict[str, Any]:
    """
    What is known of bundles, for scripts and for the screen.

    What cannot be seen hides nothing else: it is told with the reason.

    Args:
        declared: The mesh file, which says what there should be; None without one: nothing is known.
    """
    foreign = declared.trust_domains.items() if declared else ()
    return {
        "foreign": [_foreign(account, name, each) for name, each in foreign],
        "own": _own(account, declared) if declared and declared.about.published_bundle else None,
    }


def _foreign(account: Account, name: str, declared: DeclaredTrustDomain) -> dict[str, Any]:
    endpoint = declared.bundle_endpoint.url if declared.bundle_endpoint else None
    seen: dict[str, Any] = {
        "trust_domain": name,
        "bundle_endpoint": endpoint,
        "file": declared.file or None,
        "fetched_at": None,
        "looked_at": None,
        "refresh_hint_s": None,
        "sequence": None,
        "version": None,
        "problem": None,
        "overdue": False,
    }
    if not endpoint:
        return seen
    try:
        note = account.fetches(name)
    except MeshcertError as error:
        return seen | {"problem": str(error)}
    if note is None:
        return seen | {"problem": "nobody has asked its endpoint yet"}
    return seen | {
        "fetched_at": note.fetched_at,
        "looked_at": note.looked_at,
        "refresh_hint_s": note.refresh_hint_s,
        "sequence": note.sequence,
        "version": note.version or None,
        "problem": note.problem or None,
        "overdue": note.hints_without(account.observers.clock.now()) >= HINTS,
    }


def _own(account: Account, declared: Mesh) -> dict[str, Any]:
    now = account.observers.clock.now()
    seen: dict[str, Any] = {
        "trust_domain": declared.about.trust_domain,
        "roots": None,
        "sequence": None,
        "refresh_hint_s": None,
        "usable_at": None,
        "problem": None,
    }
    try:
        stored = account.own_bundle()
        if stored is None:
            return seen | {"problem": "it is not published yet"}
        bundle = read_own_bundle(stored.document, stored.notes, declared.about.trust_domain, now)
    except BundleInvalid as error:
        return seen | {"problem": f"it is no bundle of ours: {error}"}
    except MeshcertError as error:
        return seen | {"problem": str(error)}
    waiting = [time for time in bundle.usable.values() if now < time]
    return seen | {
        "roots": len(bundle.usable),
        "sequence": bundle.sequence,
        "refresh_hint_s": bundle.refresh_hint_s,
        "usable_at": max(waiting, default=None),
    }


def show_bundles(screen: Screen, bundles: dict[str, Any], now: dt.datetime) -> None:
    """Show them, if there are any."""
    if not bundles["foreign"] and not bundles["own"]:
        return
    screen.line()
    screen.line(("SPIFFE bundles", "bold"))
    for each in bundles["foreign"]:
        screen.paragraph(each["trust_domain"], *_told_of_foreign(each, now), width=_WIDTH)
    if own := bundles["own"]:
        screen.paragraph(f"{own['trust_domain']} (own)", *_told_of_own(own), width=_WIDTH)


def _told_of_foreign(seen: dict[str, Any], now: dt.datetime) -> tuple[str, str]:
    if seen["file"]:
        return f"from the file {seen['file']}, as deployed", ""
    fetched, problem = seen["fetched_at"], seen["problem"]
    told = "never fetched: nobody of it is let in"
    if fetched:
        ago = duration((now - fetched).total_seconds())
        told = f"version {short(seen['version'])}, sequence {seen['sequence']}, fetched {ago} ago"
        told += f", asked every {duration(seen['refresh_hint_s'])}"
    if problem:
        told += f"; the last look: {problem}"
    return told, "red" if seen["overdue"] or problem in REFUSALS else "yellow" if problem else ""


def _told_of_own(seen: dict[str, Any]) -> tuple[str, str]:
    if seen["problem"]:
        return seen["problem"], "red"
    told = f"published: {seen['roots']} roots, sequence {seen['sequence']}"
    told += f", asked for every {duration(seen['refresh_hint_s'])}"
    if usable := seen["usable_at"]:
        return f"{told}; a certificate may hang under the newest root from {usable:%Y-%m-%d %H:%M} UTC on", "yellow"
    return told, ""
