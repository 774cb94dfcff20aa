"""The custom resources: every request is answered, and every reason says what to do next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evidence.simulation.vault import SEED_VERSION
from meshcert.deploying.custom_resource import answer
from meshcert.errors import AccessDenied, Fault, SettingsInvalid
from meshcert.identity import ServiceUse
from meshcert.material.document import read_trust_bundle
from meshcert.proxy import RotationMode
from meshcert.san import Dns, Uri
from tests.meshcert.publishing.world import (
    BUNDLE,
    CERTIFICATE,
    IDENTITY,
    ISSUING,
    NAME,
    ROOT,
    SECRET,
    STACK,
    TELLER,
    TRUST,
)

if TYPE_CHECKING:
    from meshcert.deploying.deployment import Deployment
    from tests.meshcert.publishing.world import World


class TestCreateAndUpdate:
    """Deploys."""

    def test_create_publishes_and_remembers(self, world: World) -> None:
        """The physical id is the identity's name, and the row has what a renewal needs."""
        answered = world.ask("Create", IDENTITY)

        assert answered["Status"] == "SUCCESS"
        assert answered["PhysicalResourceId"] == "colorteller"
        assert answered["Data"] == {"VersionId": world.current(SECRET)}
        row = world.identities.find_by_certificate(CERTIFICATE)
        assert row is not None
        assert (row.name, row.secret_id, row.names, row.peer_rules) == (
            "colorteller",
            SECRET,
            (Dns(NAME),),
            ((Dns(NAME),),),
        )
        assert row.certificate_authority_arns == (ISSUING, ROOT)
        assert row.services == (ServiceUse("colorteller", RotationMode.RELOAD, 60.0),)

    def test_what_was_published_is_looked_at_soon(self, world: World) -> None:
        """Services of the identity take a new version over, without waiting for the next sweep."""
        world.ask("Create", IDENTITY)
        world.ask("Create", TRUST)

        assert world.marks.wanted == ["colorteller"]

    def test_a_deploy_does_not_fail_because_nobody_can_be_told(self, world: World) -> None:
        """The sweep finds it: what was published is published."""
        world.marks.error = AccessDenied("dynamodb:UpdateItem", "colorteller", "AccessDeniedException")
        start = world.clock.now()

        answered = world.ask("Create", IDENTITY)

        assert answered["Status"] == "SUCCESS"
        assert "colorteller" in world.identities.rows
        assert world.clock.now() == start

    def test_what_was_refused_asks_for_no_look(self, world: World) -> None:
        """Nothing has changed."""
        world.ask("Create", IDENTITY | {"PeerNames": ["x.y"]})

        assert world.marks.wanted == []

    def test_services_keep_the_order_of_the_mesh_file(self, world: World) -> None:
        """It is the order of a rollout."""
        services = [
            {"Name": name, "Rotation": rotation, "PollIntervalS": interval}
            for name, rotation, interval in (("z", "redeploy", "60"), ("a", "reload", "0.5"), ("m", "reload", 60))
        ]

        assert world.ask("Create", IDENTITY | {"Services": services})["Status"] == "SUCCESS"
        assert world.identities.rows["colorteller"].services == (
            ServiceUse("z", RotationMode.REDEPLOY, 60.0),
            ServiceUse("a", RotationMode.RELOAD, 0.5),
            ServiceUse("m", RotationMode.RELOAD, 60.0),
        )

    @pytest.mark.parametrize("change", [{"Services": []}, {"CertificateAuthorityArns": [ROOT]}])
    def test_a_single_tier_and_an_identity_that_nobody_serves_are_fine(
        self, world: World, change: dict[str, Any]
    ) -> None:
        """Smaller meshes have them."""
        assert world.ask("Create", IDENTITY | change)["Status"] == "SUCCESS"

    def test_the_same_request_twice_changes_nothing(self, world: World) -> None:
        """CloudFormation's invocation may be delivered twice."""
        assert world.ask("Create", IDENTITY) == world.ask("Create", IDENTITY)

    def test_create_publishes_a_trust_bundle(self, world: World) -> None:
        """Its physical id cannot be an identity's, and it has no row."""
        answered = world.ask("Create", TRUST)

        assert (answered["Status"], answered["PhysicalResourceId"]) == ("SUCCESS", "trust-bundle/colorteller")
        assert read_trust_bundle(world.vault.current_value(BUNDLE).value, BUNDLE) == world.hierarchy.trust_bundle
        assert world.identities.rows == {}

    def test_a_reissued_root_is_published_by_an_update(self, world: World) -> None:
        """The update comes because a property changed that nobody reads."""
        world.ask("Create", TRUST | {"Reissue": "0"})
        world.hierarchy.reissue_root()

        answered = world.ask("Update", TRUST | {"Reissue": "1"}, PhysicalResourceId="trust-bundle/colorteller")

        assert answered["Status"] == "SUCCESS"
        assert read_trust_bundle(world.vault.current_value(BUNDLE).value, BUNDLE) == world.hierarchy.trust_bundle

    def test_a_name_is_added_with_a_new_certificate(self, world: World) -> None:
        """CloudFormation replaces the certificate; the identity and its secret stay."""
        world.ask("Create", IDENTITY)
        names = [NAME, "teller.svc.local"]
        world.issue("arn:certificate-2", names)

        answered = world.ask("Update", IDENTITY | {"CertificateArn": "arn:certificate-2", "Names": names})

        assert answered["Status"] == "SUCCESS"
        assert world.identities.find_by_certificate(CERTIFICATE) is None
        assert world.identities.find_by_certificate("arn:certificate-2") is not None

    def test_a_replaced_name_is_refused_before_anything_is_touched(self, world: World) -> None:
        """The reason spells the two steps out."""
        world.ask("Create", IDENTITY)
        before = world.current(SECRET), dict(world.identities.rows)
        changed = IDENTITY | {"CertificateArn": "arn:not-even-there", "Names": ["new.svc.local"]}

        answered = world.ask("Update", changed, OldResourceProperties=IDENTITY, PhysicalResourceId="colorteller")

        assert answered["Status"] == "FAILED"
        for words in ("adds new.svc.local", f"removes {NAME}", "Do it in two", f"deploy again without {NAME}"):
            assert words in answered["Reason"]
        assert (world.current(SECRET), world.identities.rows) == before

    def test_the_rollback_of_a_refused_replacement_passes(self, world: World) -> None:
        """CloudFormation rolls back by asking for the old names again; refusing that would leave the stack stuck."""
        world.ask("Create", IDENTITY)
        changed = IDENTITY | {"Names": ["new.svc.local"]}
        world.ask("Update", changed, OldResourceProperties=IDENTITY)

        answered = world.ask("Update", IDENTITY, OldResourceProperties=changed)

        assert answered["Status"] == "SUCCESS"

    def test_a_uri_is_published_as_a_dns_name_is(self, world: World) -> None:
        """Nothing behind the properties asks which kind a name is; only requesting it from ACM would."""
        names = [NAME, "spiffe://color.example/Teller"]
        world.issue("arn:certificate-2", names)
        changed = {"CertificateArn": "arn:certificate-2", "Names": names, "PeerNames": [NAME, names]}

        answered = world.ask("Update", IDENTITY | changed, OldResourceProperties=IDENTITY)

        assert answered["Status"] == "SUCCESS"
        row = world.identities.rows["colorteller"]
        assert row.names == (Dns(NAME), Uri(names[1]))
        assert row.peer_rules == ((Dns(NAME),), (Dns(NAME), Uri(names[1])))

    def test_a_uri_in_place_of_a_dns_name_is_a_replaced_name(self, world: World) -> None:
        """In two deploys: its peers have to take both in between."""
        world.ask("Create", IDENTITY)

        answered = world.ask("Update", IDENTITY | {"Names": ["spiffe://color.example/teller"]})

        assert f"adds spiffe://color.example/teller and removes {NAME}" in answered["Reason"]

    def test_a_replaced_name_is_refused_without_a_row_too(self, world: World) -> None:
        """The request itself tells the old names then."""
        answered = world.ask("Update", IDENTITY | {"Names": ["new.svc.local"]}, OldResourceProperties=IDENTITY)

        assert "Do it in two" in answered["Reason"]

    def test_a_row_that_makes_no_sense_is_written_anew(self, world: World) -> None:
        """A deploy is the way to mend it, so nothing of it is in a deploy's way; the request tells the old names."""
        world.ask("Create", IDENTITY)
        world.identities.unreadable.add(TELLER.name)

        replaced = world.ask("Update", IDENTITY | {"Names": ["new.svc.local"]}, OldResourceProperties=IDENTITY)
        answered = world.ask("Update", IDENTITY, OldResourceProperties=IDENTITY)

        assert "Do it in two" in replaced["Reason"]
        assert answered["Status"] == "SUCCESS"
        assert world.identities.find(TELLER.name)

    def test_a_rolled_back_deploy_publishes_the_certificate_of_before(self, world: World) -> None:
        """The update that rolls back names the old certificate, whose version is stored already."""
        world.ask("Create", IDENTITY)
        before, names = world.current(SECRET), [NAME, "teller.svc.local"]
        world.issue("arn:certificate-2", names)
        world.ask("Update", IDENTITY | {"CertificateArn": "arn:certificate-2", "Names": names})

        answered = world.ask("Update", IDENTITY)

        assert answered["Status"] == "SUCCESS"
        assert world.current(SECRET) == before


class TestRefusals:
    """What a person has to act on."""

    @pytest.mark.parametrize(
        ("properties", "words"),
        [
            (IDENTITY | {"Mesh": "other"}, ["Mesh: it is other, and this function serves color"]),
            (IDENTITY | {"Names": []}, ["Names: it is not a list"]),
            (IDENTITY | {"PeerNames": [[]]}, ["PeerNames: it is not a list"]),
            (
                IDENTITY | {"Names": [NAME, "spiffe://Color.example/w"], "PeerNames": [NAME, [NAME, "a b"]]},
                [
                    "Names[1]: 'spiffe://Color.example/w' has a trust domain that is not in lower case",
                    "PeerNames[1][1]: 'a b' is not a DNS name",
                ],
            ),
            (IDENTITY | {"PeerNames": ["spiffe://a.example"]}, ["PeerNames[0]: 'spiffe://a.example' names a trust"]),
            (
                {"Identity": "x"},
                [
                    *("Mesh:", "CertificateArn:", "SecretId:", "RootCertificateAuthorityArn:"),
                    *("Names:", "CertificateAuthorityArns:", "Services: it is not a list"),
                ],
            ),
            (IDENTITY | {"CertificateAuthorityArns": [ROOT, ISSUING]}, ["a list of CAs that ends with Root"]),
            (IDENTITY | {"CertificateAuthorityArns": ROOT}, ["CertificateAuthorityArns: it is not a list"]),
            (
                IDENTITY
                | {
                    "Services": [
                        {"Name": "a", "Rotation": "reload", "PollIntervalS": "0"},
                        {"Name": "a", "Rotation": "restart", "PollIntervalS": "nan"},
                        {"Name": "", "Rotation": {}, "PollIntervalS": None},
                        "b",
                    ]
                },
                [
                    "Services[0].PollIntervalS: it is no number of seconds above 0",
                    *("Services[1].Name: a is listed twice", "Services[1].Rotation: it is restart, not one of reload"),
                    *("Services[1].PollIntervalS:", "Services[2].Name:", "Services[2].Rotation:"),
                    *("Services[2].PollIntervalS:", "Services[3]: it has no Name"),
                ],
            ),
            ({"Hierarchy": 5}, ["Mesh:", "Hierarchy:", "SecretId:", "RootCertificateAuthorityArn:"]),
        ],
    )
    def test_every_wrong_property_is_told(self, world: World, properties: dict[str, Any], words: list[str]) -> None:
        """All at once, and the failed create names something that can be deleted."""
        answered = world.ask("Create", properties)

        assert answered["Status"] == "FAILED"
        for word in words:
            assert word in answered["Reason"]

    def test_a_type_that_is_not_ours_is_refused(self, world: World) -> None:
        """Somebody used the function's ARN for something else."""
        answered = world.ask("Create", IDENTITY, ResourceType="Custom::Other")

        assert "Custom::Other is not ours" in answered["Reason"]

    def test_a_peers_rule_of_several_names_is_met_by_one(self, world: World) -> None:
        """Each element of PeerNames is a name, or a list of which one is enough."""
        assert world.ask("Create", IDENTITY | {"PeerNames": [NAME, [NAME, "old.svc.local"]]})["Status"] == "SUCCESS"
        assert world.ask("Update", IDENTITY | {"PeerNames": [["old.svc.local"]]})["Status"] == "FAILED"

    def test_a_long_reason_is_cut_to_what_cloudformation_reads(self, world: World) -> None:
        """4,096 bytes, of whatever characters."""
        services = [{"Name": f"s{number}", "Rotation": "a\u00e9\U0001f600"} for number in range(400)]

        answered = world.ask("Create", IDENTITY | {"Services": services})

        assert answered["Status"] == "FAILED"
        assert answered["Reason"].endswith(" ...")
        assert len(json.dumps(answered)) > 3500

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (SettingsInvalid("settings", (Fault("MESHCERT_MESH", "it is not set", "Set it"),)), "MESHCERT_MESH"),
            (ZeroDivisionError("secret text"), "Unexpected ZeroDivisionError. Read the log, log stream X, request Y"),
        ],
    )
    def test_a_function_that_cannot_even_start_answers(self, error: Exception, words: str) -> None:
        """An hour of waiting is spared; the text of an unexpected error stays in the log."""

        def build() -> Deployment:
            raise error

        answered = answer({"RequestType": "Create", "StackId": STACK}, build, "log stream X, request Y")

        assert answered["Status"] == "FAILED"
        assert words in answered["Reason"]
        assert "secret text" not in answered["Reason"]

    def test_an_event_that_is_no_request_is_answered(self, world: World) -> None:
        """Nothing is taken for granted."""
        answered = answer({}, world.deployment, "log")

        assert answered["Status"] == "FAILED"

    def test_no_answer_shows_material(self, world: World) -> None:
        """Success or failure: only public facts."""
        answers = [world.ask("Create", IDENTITY), world.ask("Create", IDENTITY | {"PeerNames": ["x.y"]})]

        stored = json.loads(world.vault.current_value(SECRET).value)
        assert world.current(SECRET) != SEED_VERSION
        for answered in map(json.dumps, answers):
            assert stored["Passphrase"] not in answered
            assert stored["PrivateKey"][60:120] not in answered
