"""The bundle of a foreign trust domain at a deploy: the first one, a file's, and what somebody else asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.contract.staging_labels import CURRENT
from meshcert.deploying.custom_resource import answer
from meshcert.deploying.foreign_bundles import FOREIGN_BUNDLE_TYPE, declared_bundle, digest_of
from meshcert.material.foreign_bundle import ForeignBundle
from tests.meshcert.publishing.world import SECRET, STACK

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

PARTNER = "partner.example"
ARN = SECRET.replace("identity/colorteller", f"federation/{PARTNER}")
ROOT, OTHER = Hierarchy(name="partner").root_pem, Hierarchy(name="other").root_pem
FILE, FRIEND = ForeignBundle(PARTNER, ROOT, 4), ForeignBundle("friend.example", OTHER)
FETCHED = ForeignBundle(PARTNER, OTHER, 9)
DECLARED = [declared_bundle(FILE), declared_bundle(FRIEND)]
FIRST = {"Mesh": "color", "TrustDomain": PARTNER, "SecretId": ARN}
OF_FILE = FIRST | {"Bundle": FILE.dumps(), "Declared": DECLARED}


@pytest.fixture
def partnered(world: World) -> World:
    """The mesh, with the secret of a partner's bundle as the template makes it."""
    world.vault.seed(ARN)
    return world


def ask(world: World, properties: dict[str, Any], kind: str = "Create", digest: str | None = None) -> dict[str, Any]:
    """CloudFormation asks; the stacks declare both bundles of files."""
    event = {
        "RequestType": kind,
        "ResourceType": FOREIGN_BUNDLE_TYPE,
        "ResourceProperties": properties,
        "StackId": STACK,
        "LogicalResourceId": "Published",
        "RequestId": "request",
        **({} if kind == "Create" else {"PhysicalResourceId": f"foreign-bundle/{PARTNER}"}),
    }
    deployment = world.deployment()
    object.__setattr__(deployment, "foreign_bundles", digest_of(DECLARED) if digest is None else digest)
    return answer(event, lambda: deployment, "log")


def publish(world: World, bundle: ForeignBundle) -> None:
    """As the federate function does."""
    current = world.vault.current_value(ARN).version_id
    world.vault.put_pending(ARN, bundle.version_id, bundle.dumps())
    world.vault.move_label(ARN, CURRENT, to=bundle.version_id, away_from=current)


def believed(world: World) -> ForeignBundle:
    """What a proxy reads."""
    return ForeignBundle.loads(world.vault.current_value(ARN).value, ARN)


def test_the_first_bundle_lets_nobody_in(partnered: World) -> None:
    """A container finds one from the first deploy on."""
    answered = ask(partnered, FIRST, digest="")

    assert answered["Status"] == "SUCCESS"
    assert answered["PhysicalResourceId"] == f"foreign-bundle/{PARTNER}"
    assert believed(partnered) == ForeignBundle(PARTNER)


def test_what_was_fetched_since_stays(partnered: World) -> None:
    """Whatever a later deploy, or its rollback, says again."""
    ask(partnered, FIRST)
    publish(partnered, FETCHED)

    assert ask(partnered, FIRST, "Update")["Status"] == "SUCCESS"
    assert believed(partnered) == FETCHED


def test_a_files_bundle_is_published_at_the_deploy(partnered: World) -> None:
    """In place of whatever was there: it is how people set an endpoint right."""
    ask(partnered, FIRST)
    publish(partnered, FETCHED)

    assert ask(partnered, OF_FILE, "Update")["Data"] == {"VersionId": FILE.version_id}
    assert believed(partnered) == FILE


def test_from_a_file_to_an_endpoint_the_files_bundle_stays_until_another_is_fetched(partnered: World) -> None:
    """No edge closes meanwhile."""
    ask(partnered, OF_FILE)

    assert ask(partnered, FIRST, "Update")["Status"] == "SUCCESS"
    assert believed(partnered) == FILE


def test_a_removed_trust_domain_keeps_its_secret(partnered: World) -> None:
    """Running tasks still read it."""
    ask(partnered, OF_FILE)

    assert ask(partnered, OF_FILE, "Delete")["Status"] == "SUCCESS"
    assert believed(partnered) == FILE


FORGED = ForeignBundle(PARTNER, OTHER, 99)
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "bundle-that-nobody-declares": ({"Bundle": FORGED.dumps()}, "not what the stacks declare"),
    "bundle-with-its-own-list": (
        {"Bundle": FORGED.dumps(), "Declared": [declared_bundle(FORGED)]},
        "not what the stacks declare",
    ),
    "bundle-in-a-longer-list": (
        {"Bundle": FORGED.dumps(), "Declared": [*DECLARED, declared_bundle(FORGED)]},
        "not what the stacks declare",
    ),
    "another-domains-bundle": ({"Bundle": FRIEND.dumps()}, "not what the stacks declare"),
    "no-list": ({"Declared": "all"}, "not what the stacks declare"),
    "no-bundle": ({"Bundle": "<html>"}, "Bundle: Bundle: it is not JSON"),
    "another-secret": ({"SecretId": SECRET}, "not the secret of this trust domain"),
    "another-domains-secret": ({"TrustDomain": "friend.example"}, "not the secret of this trust domain"),
    "another-mesh": ({"Mesh": "other"}, "Mesh: it is other"),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_forged_request_publishes_nothing(partnered: World, change: dict[str, Any], reason: str) -> None:
    """Whoever may invoke the function cannot have a root believed."""
    ask(partnered, FIRST)
    before = {arn: dict(secret.values) for arn, secret in partnered.vault.secrets.items()}

    answered = ask(partnered, OF_FILE | change, "Update")

    assert answered["Status"] == "FAILED"
    assert reason in answered["Reason"]
    assert {arn: dict(secret.values) for arn, secret in partnered.vault.secrets.items()} == before


def test_where_no_files_are_declared_none_is_believed(partnered: World) -> None:
    """An empty digest is nobody's."""
    assert ask(partnered, OF_FILE | {"Declared": []}, digest="")["Status"] == "FAILED"
    assert ask(partnered, OF_FILE, digest="")["Status"] == "FAILED"
