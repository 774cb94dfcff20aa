"""CAs of other regions are asked nothing: their roots stand in the request, and only declared ones are published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.deploying.stated_roots import StatedRoots
from meshcert.errors import IdentityMissing
from meshcert.material.document import read_trust_bundle
from meshcert.publishing.declared_roots import DeclaredRoots, root_digest, roots_entry
from tests.meshcert.publishing.world import BUNDLE, ROOT, TRUST

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

FAR = ROOT.replace("eu-west-1", "ap-southeast-2").replace("teller", "far")
CA = Hierarchy(name="far")


@pytest.fixture
def declaring(world: World) -> World:
    """A mesh whose stacks declare the root of a CA of another region, which does not answer here."""
    world.roots = DeclaredRoots(roots_entry(FAR, CA.root_pem))
    return world


def request(root: str, *more: str) -> dict[str, object]:
    """A trust bundle of that CA, and of others."""
    return TRUST | {
        "RootCertificateAuthorityArn": [FAR, *more],
        "RemoteRoots": {FAR: root},
        "DeclaredRoots": {FAR: root_digest(CA.root_pem)},
    }


@pytest.mark.parametrize("others", [(), (ROOT,)], ids=["alone", "beside one of this region"])
def test_a_declared_root_is_published_and_nobody_is_asked_for_it(declaring: World, others: tuple[str, ...]) -> None:
    """At once, and again by a later deploy."""
    since = declaring.clock.now()

    answers = [declaring.deploy_bundle(kind, request(CA.root_pem, *others)) for kind in ("Create", "Update")]

    assert [each["Status"] for each in answers] == ["SUCCESS"] * 2, answers
    assert not any("Reason" in each for each in answers)
    assert declaring.clock.now() == since
    published = read_trust_bundle(declaring.vault.current_value(BUNDLE).value, BUNDLE).certificates
    assert CA.root_pem.strip() in published
    assert published.count("BEGIN CERTIFICATE") == 1 + len(others)


def test_another_root_than_the_declared_one_is_refused(declaring: World) -> None:
    """Who may invoke the function would else say whom everybody trusts."""
    answer = declaring.deploy_bundle("Create", request(Hierarchy(name="somebody").root_pem))

    assert answer["Status"] == "FAILED"
    assert "its chain does not end in the root certificate that the mesh file names" in answer["Reason"]


def test_a_root_that_no_stack_declares_is_refused(world: World) -> None:
    """Also that of a CA which the environment does not name."""
    answer = world.deploy_bundle("Create", request(CA.root_pem))

    assert answer["Status"] == "FAILED"


def test_nothing_else_is_known_of_such_a_ca() -> None:
    """Neither its chain nor its own certificate, which lists would need."""
    stated = StatedRoots({FAR: CA.root_pem}, DeclaredRoots(roots_entry(FAR, CA.root_pem)))

    for ask in (lambda: stated.chain(FAR), lambda: stated.certificate(FAR), lambda: stated.root(ROOT)):
        with pytest.raises(IdentityMissing):
            ask()
