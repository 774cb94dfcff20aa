"""A certificate hangs under a root only once partners know it; what passes forwards passes backwards."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.deploying.custom_resource import IDENTITY_TYPE, answer
from meshcert.deploying.published_roots import PublishedRoots, refuse_unpublished_root
from meshcert.errors import RootNotPublished
from meshcert.federation.own_bundle import next_bundle
from meshcert.federation.ports import StoredBundle
from meshcert.identity import IssuerName
from meshcert.publishing.export import Sources
from meshcert.san import Dns, Uri
from tests.meshcert.publishing.fakes import FakeClock, InMemoryAuthorities
from tests.meshcert.publishing.world import IDENTITY, ROOT, STACK, TELLER, declared

if TYPE_CHECKING:
    from meshcert.federation.own_bundle import OwnBundle
    from meshcert.identity import Identity
    from tests.meshcert.publishing.world import World

T0 = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
HINT = 600
OLD, NEW, OTHER = (f"{ROOT}-{name}" for name in ("old", "new", "other"))
ROOTS = {arn: Hierarchy(1, name=arn[-3:]) for arn in (OLD, NEW, OTHER)}
BUNDLES = {"old": declared(OLD, NEW), "new": declared(NEW), "other": declared(OTHER)}
LISTED = ("old", "new")


def _identity(root: str, *names: Any) -> Identity:
    names = names or (Uri("spiffe://color.example/teller"),)
    return replace(TELLER, root_certificate_authority_arn=root, names=names, issuer=IssuerName.PRIVATE_CA)


class Place:
    """Where partners fetch a bundle that had one root from T0 on, and others from an hour later on."""

    def __init__(self, first: str | None = OLD, *later: str) -> None:
        self._bundle: OwnBundle | None = None
        if first:
            self._bundle = next_bundle(None, [ROOTS[first].root_pem], HINT, T0)
            roots = [ROOTS[each].root_pem for each in (first, *later)]
            self._bundle = next_bundle(self._bundle, roots, HINT, T0 + dt.timedelta(hours=1))

    def find(self) -> StoredBundle | None:
        """See :class:`meshcert.federation.ports.FoundBundle`."""
        found = self._bundle
        return StoredBundle(found.document, found.notes(), "tag") if found else None


class Spoiled(Place):
    """Something else is there."""

    def find(self) -> StoredBundle | None:
        """See :class:`meshcert.federation.ports.FoundBundle`."""
        return StoredBundle(b"<html>", {}, "tag")


def _refused(
    row: Identity | None, identity: Identity, place: Place, minutes: float, hierarchies: tuple[str, ...] = LISTED
) -> RootNotPublished | None:
    """What a deploy says so long after T0."""
    authorities = InMemoryAuthorities()
    authorities.hierarchies |= ROOTS
    nobody: Any = None
    sources = Sources(nobody, authorities, nobody, FakeClock(T0 + dt.timedelta(minutes=minutes)))
    try:
        refuse_unpublished_root(identity, row, PublishedRoots("color.example", hierarchies, place), BUNDLES, sources)
    except RootNotPublished as error:
        return error
    return None


BOTH = Place(OLD, NEW)


@pytest.mark.parametrize(
    ("before", "now", "place", "minutes", "refused"),
    [
        pytest.param(None, OLD, Place(None), 0, None, id="the first deploy, before the first bundle"),
        pytest.param(None, OLD, BOTH, 60, None, id="a new identity under a root of the first bundle"),
        pytest.param(None, NEW, BOTH, 60, (NEW, 90), id="a new identity under a new root"),
        pytest.param(None, NEW, BOTH, 90, None, id="the same three refresh hints later"),
        pytest.param(None, NEW, Place(), 999, (NEW, None), id="a root that is declared and not published yet"),
        pytest.param(None, OTHER, BOTH, 60, None, id="a hierarchy that partners do not know"),
        pytest.param(OLD, OLD, Spoiled(), 60, None, id="nothing moves"),
        pytest.param(OLD, NEW, BOTH, 60, (NEW, 90), id="a move at once"),
        pytest.param(OLD, NEW, BOTH, 89.9, (NEW, 90), id="a move a little too early"),
        pytest.param(OLD, NEW, BOTH, 90, None, id="a move in time"),
        pytest.param(OLD, NEW, Place(None), 999, (NEW, None), id="a move while there is no bundle"),
        pytest.param(OLD, NEW, Spoiled(), 999, (NEW, None), id="a move while something else is there"),
        pytest.param(OLD, OTHER, BOTH, 999, (OTHER, None), id="a move away from what partners know"),
        pytest.param(OTHER, OLD, BOTH, 999, (OTHER, None), id="a move from what they do not know, which may go back"),
    ],
)
def test_a_root_is_used_once_partners_know_it(
    before: str | None, now: str, place: Place, minutes: float, refused: tuple[str, float | None] | None
) -> None:
    """And the refusal says from when on, or what to do first."""
    row = _identity(before) if before else None

    error = _refused(row, _identity(now), place, minutes)

    if refused is None:
        assert error is None
        return
    root, usable = refused
    assert error is not None
    assert (error.root, error.usable) == (root, None if usable is None else T0 + dt.timedelta(minutes=usable))
    assert ("Deploy again then" in str(error)) == (usable is not None)


def test_a_dns_name_is_no_matter_of_partners_and_a_first_spiffe_id_is() -> None:
    """Also under the root that the identity has had before."""
    dns = Dns("teller.color.internal")

    assert _refused(_identity(OLD, dns), _identity(NEW, dns), BOTH, 60) is None
    assert _refused(_identity(NEW, dns), _identity(NEW), BOTH, 60) is not None
    assert _refused(_identity(NEW), _identity(NEW, dns), BOTH, 60) is None


def test_what_passes_forwards_passes_backwards() -> None:
    """CloudFormation takes a deploy back by the same requests; refusing one would leave the stack stuck."""
    passed = 0
    places = (BOTH, Place(), Place(None), Spoiled(), Place(OLD, NEW, OTHER))
    lists = (LISTED, ("old",), ("new",), ("old", "other"), ("other",))
    for before, now in itertools.permutations(ROOTS, 2):
        for place, listed, minutes in itertools.product(places, lists, (0, 60, 90, 999)):
            if _refused(_identity(before), _identity(now), place, minutes, listed) is None:
                passed += 1
                assert _refused(_identity(now), _identity(before), place, minutes, listed) is None
    assert passed > 50


def test_a_deploy_that_comes_too_early_is_answered_with_the_reason(world: World) -> None:
    """Before anything is issued, exported or written."""
    world.identities.rows["colorteller"] = _identity(OLD)
    world.authorities.hierarchies |= ROOTS
    world.bundles = dict(BUNDLES)
    world.clock.time = T0 + dt.timedelta(hours=1)
    published = PublishedRoots("color.example", LISTED, BOTH)
    roots = {"RootCertificateAuthorityArn": NEW, "CertificateAuthorityArns": [NEW], "TrustedByPeers": [OLD, NEW]}
    names = {"Names": ["spiffe://color.example/teller"], "PeerNames": []}
    asked = IDENTITY | roots | names | {"Issuer": "acm-pca", "Terms": "{}"}
    event = {
        "RequestType": "Update",
        "ResourceType": IDENTITY_TYPE,
        "StackId": STACK,
        "LogicalResourceId": "Teller",
        "ResourceProperties": asked,
        "OldResourceProperties": asked | {"RootCertificateAuthorityArn": OLD},
    }

    answered = answer(event, lambda: replace(world.deployment(), published_roots=published), "log")

    assert answered["Status"] == "FAILED"
    assert f"its root CA {NEW} is known to every partner only from 2026-11-30 13:30:00 UTC on" in answered["Reason"]
    assert world.identities.rows["colorteller"].root_certificate_authority_arn == OLD
