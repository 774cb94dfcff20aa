"""Revocation lists of CAs that others make: a deploy refuses what it may not read, with the line that admits it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.errors import SecretMalformed
from meshcert.material import ListSource
from meshcert.material.document import read_trust_bundle
from meshcert.publishing.declared_bundles import listed_elsewhere
from tests.meshcert.publishing.world import BUNDLE, ROOT, TRUST, declared

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

ISSUING_LIST, ROOT_LIST = "s3://their-pki/crl/issuing.crl", "http://pki.example/root.crl"


def named(*locations: str) -> dict[str, Any]:
    """The request of a bundle whose lists the mesh file names."""
    return TRUST | {"NamedLists": [{"CertificateAuthorityArn": ROOT, "Locations": list(locations)}]}


PUBLISHED = named(ISSUING_LIST, ROOT_LIST)


def declare(world: World, *locations: str) -> None:
    """As the stacks write it into the function's environment."""
    one = declared(ROOT)
    world.bundles["colorteller"] = type(one)(one.roots, frozenset({listed_elsewhere(ROOT, locations)}))


def test_the_bundle_says_where_they_lie_and_which_ca_signs_each(world: World) -> None:
    """The one that signs for the mesh first, then those above it; a web server is not asked by the function."""
    declare(world, ISSUING_LIST, ROOT_LIST)
    world.list_buckets.admitting.add("their-pki")

    answer = world.ask("Create", named(ISSUING_LIST, ROOT_LIST))

    assert answer["Status"] == "SUCCESS", answer
    bundle = read_trust_bundle(world.vault.current_value(BUNDLE).value, BUNDLE)
    assert bundle.lists == (
        ListSource("their-pki", "crl/issuing.crl", world.hierarchy.issuing_pem),
        ListSource("", "", world.hierarchy.root_pem, "http://pki.example/root.crl"),
    )
    assert [each.location for each in bundle.lists] == [ISSUING_LIST, ROOT_LIST]
    assert world.list_buckets.asked == ["their-pki/crl/issuing.crl"]
    assert bundle.version_id == world.current(BUNDLE)


def test_a_bucket_that_does_not_admit_the_account_is_refused_with_the_line_for_its_policy(world: World) -> None:
    """Otherwise fail_open would let everybody in, and say so in a log alone. Nothing is published."""
    lists = (ISSUING_LIST, "s3://their-pki/crl/root.crl")
    declare(world, *lists)

    answer = world.ask("Create", named(*lists))

    assert answer["Status"] == "FAILED"
    reason = answer["Reason"]
    statement = json.loads(reason[reason.index("{") : reason.rindex("}") + 1])
    assert statement == {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [
            "arn:aws:s3:::their-pki",
            "arn:aws:s3:::their-pki/crl/issuing.crl",
            "arn:aws:s3:::their-pki/crl/root.crl",
        ],
    }
    assert "add to the bucket's policy" in reason
    assert world.current(BUNDLE) is None or not world.vault.current_value(BUNDLE).value.count("CERTIFICATE")


@pytest.fixture
def closed(world: World) -> World:
    """A mesh whose bundle names a list, and the list's owner has closed the bucket since."""
    declare(world, ISSUING_LIST, ROOT_LIST)
    world.list_buckets.admitting.add("their-pki")
    assert world.ask("Create", PUBLISHED)["Status"] == "SUCCESS"
    world.list_buckets.admitting.clear()
    world.list_buckets.asked.clear()
    return world


def test_a_deploy_of_what_is_published_asks_no_other_account(closed: World) -> None:
    """Otherwise an owner who closes a bucket stops every deploy here; that lists end, tasks tell."""
    changed = PUBLISHED | {"Identities": ["another"]}

    answers = [
        closed.ask("Update", changed, OldResourceProperties=PUBLISHED),
        # Undone: CloudFormation knows the bundle as the deploy that failed has left it.
        closed.ask("Update", PUBLISHED, OldResourceProperties=changed),
    ]

    assert [each["Status"] for each in answers] == ["SUCCESS", "SUCCESS"]
    assert closed.list_buckets.asked == []


@pytest.mark.parametrize("admitted", [True, False], ids=["published", "refused"])
def test_a_deploy_to_other_lists_is_undone_without_another_account(closed: World, *, admitted: bool) -> None:
    """Whether the other lists were published or not: what it goes back to names a bucket that is closed by now."""
    before = closed.current(BUNDLE)
    lists = ("s3://new-pki/issuing.crl", "s3://new-pki/root.crl")
    if admitted:
        closed.list_buckets.admitting.add("new-pki")
    declare(closed, *lists)
    gone_on = closed.ask("Update", named(*lists), OldResourceProperties=PUBLISHED)
    asked = list(closed.list_buckets.asked)
    declare(closed, ISSUING_LIST, ROOT_LIST)

    undone = closed.ask("Update", PUBLISHED, OldResourceProperties=named(*lists))

    assert (gone_on["Status"], undone["Status"]) == ("SUCCESS" if admitted else "FAILED", "SUCCESS"), undone
    assert closed.current(BUNDLE) == before
    assert closed.list_buckets.asked == asked
    assert {each.partition("/")[0] for each in asked} == {"new-pki"}


def test_a_list_beside_known_ones_is_asked_for_alone(closed: World) -> None:
    """The line for the policy is of its bucket."""
    lists = (ISSUING_LIST, "s3://new-pki/root.crl")
    declare(closed, *lists)

    answer = closed.ask("Update", named(*lists), OldResourceProperties=PUBLISHED)

    assert answer["Status"] == "FAILED"
    assert "arn:aws:s3:::new-pki/root.crl" in answer["Reason"]
    assert "their-pki" not in answer["Reason"]


def test_every_ca_of_the_chain_needs_its_list(world: World) -> None:
    """Envoy would refuse every peer for the one that is missing."""
    declare(world, ROOT_LIST)

    answer = world.ask("Create", named(ROOT_LIST))

    assert answer["Status"] == "FAILED"
    assert "has 2 CAs" in answer["Reason"]


@pytest.mark.parametrize(
    "lists",
    [
        "x",
        [1],
        [{"CertificateAuthorityArn": ROOT}],
        [{"CertificateAuthorityArn": ROOT, "Locations": []}],
        [{"CertificateAuthorityArn": ROOT, "Locations": ["https://pki.example/a.crl"]}],
        [{"CertificateAuthorityArn": ROOT, "Locations": ["s3://b/../c d"]}],
    ],
)
def test_lists_of_another_shape_are_refused(world: World, lists: object) -> None:
    """Only the stacks write them."""
    answer = world.ask("Create", TRUST | {"NamedLists": lists})

    assert "NamedLists: it is no list of CertificateAuthorityArn and Locations" in answer["Reason"]


def test_lists_elsewhere_than_the_stacks_declare_are_refused(world: World) -> None:
    """Whoever may invoke the function could otherwise have peers looked up in a list that is never there."""
    declare(world, ISSUING_LIST, ROOT_LIST)

    answer = world.ask("Create", named(ISSUING_LIST, "http://pki.example/another.crl"))

    assert "not those that the stacks declare" in answer["Reason"]
    assert world.list_buckets.asked == []


@pytest.mark.parametrize("url", ["https://pki.example/a.crl", "http://a b/c", "http://u:p@pki.example/a", "", 1])
def test_a_secret_with_a_url_that_is_none_is_malformed(world: World, url: object) -> None:
    """The proxy refuses it, and the error quotes nothing."""
    pem = world.hierarchy.root_pem
    value = {"Schema": 1, "TrustBundle": pem, "RevocationLists": [{"Url": url, "Authority": pem}]}

    with pytest.raises(SecretMalformed, match="RevocationLists is no list of"):
        read_trust_bundle(json.dumps(value), BUNDLE)
