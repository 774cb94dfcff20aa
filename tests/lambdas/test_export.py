"""The export function's handler: direct calls, one result each, and nothing of the material in any output."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from lambdas.export import handler
from meshcert.aws.issuing import ExportPorts
from meshcert.errors import (
    AccessDenied,
    AwsRefused,
    IdentityMissing,
    MaterialRejected,
    PublicationRaced,
    RequestInvalid,
)
from meshcert.publishing.export import export_identity
from tests.lambdas.invocation import Invocations
from tests.meshcert.publishing.world import CERTIFICATE, IDENTITY, NAME, SECRET, TELLER, never

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

VERSION = "0" * 64


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Invocations:
    """The handler on a mesh in memory, whose one identity is published."""
    world.ask("Create", IDENTITY)
    nobody: Any = None
    ports = ExportPorts(world.sources, nobody, world.vault, world.identities, nobody)
    return Invocations(handler, lambda: ports, monkeypatch, capsys)


class TestExport:
    """Somebody names an identity."""

    def test_a_renewed_certificate_is_published(self, run: Invocations, world: World) -> None:
        """The answer has what is public about it."""
        renewed = world.issue()

        result = run.invoke({"identity": "colorteller"})

        assert (result["outcome"], result["subject"]) == ("published", "colorteller")
        assert result["version_id"] == renewed.version_id == world.current()
        assert set(result) == {"outcome", "subject", "version_id", "serial_number", "not_after"}
        assert run.metrics() == ["Published"]
        assert run.emitted()[0]["identity"] == "colorteller"

    def test_a_repeated_call_changes_nothing(self, run: Invocations) -> None:
        """Whoever is not sure calls again."""
        assert run.invoke({"identity": "colorteller"})["outcome"] == "already_current"
        assert run.metrics() == ["AlreadyCurrent"]

    def test_who_has_seen_the_version_spares_acm_the_looks(
        self, run: Invocations, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The renewal function has just looked itself."""
        version = world.issue().version_id
        monkeypatch.setattr(world.certificates, "look", never)

        assert run.invoke({"identity": "colorteller", "version": version})["outcome"] == "published"
        assert world.current() == version

    def test_a_rolled_back_version_is_withheld(self, run: Invocations, world: World) -> None:
        """The renewal function hears that ACM can renew it now."""
        good, bad = world.roll_back()

        result = run.invoke({"identity": "colorteller", "version": bad})

        assert (result["outcome"], result["version_id"]) == ("withheld", bad)
        assert world.current() == good
        assert run.metrics() == ["Withheld"]

    def test_a_row_that_a_deploy_is_about_to_replace_does_no_harm(self, run: Invocations, world: World) -> None:
        """The deploy has published a newer certificate already; it stays, and the caller hears to look again."""
        newer = world.hierarchy.issue([NAME], not_before=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=59))
        world.certificates.issue("arn:replaced", newer)
        export_identity(replace(TELLER, certificate_arn="arn:replaced"), world.sources)

        for event in ({"identity": "colorteller"}, {"identity": "colorteller", "version": VERSION}):
            with pytest.raises(PublicationRaced):
                run.invoke(event)
        assert world.current() == newer.version_id

    def test_a_rejection_is_raised_and_counted(self, run: Invocations, world: World) -> None:
        """The caller hears why."""
        world.certificates.issue(CERTIFICATE, Hierarchy().issue([NAME]))

        with pytest.raises(MaterialRejected, match="trust anchor"):
            run.invoke({"identity": "colorteller", "version": VERSION})
        assert run.metrics() == ["Rejected"]

    def test_what_may_heal_is_raised_and_counted_apart(self, run: Invocations, world: World) -> None:
        """A throttled call is no reason to call a person."""
        world.issue(pending_looks=1)

        with pytest.raises(Exception, match="PENDING_VALIDATION"):
            run.invoke({"identity": "colorteller"})
        assert run.metrics() == ["NotReady"]

    @pytest.mark.parametrize(
        "error",
        [
            AccessDenied("acm:ExportCertificate", CERTIFICATE, "AccessDeniedException"),
            AwsRefused("acm:ExportCertificate", CERTIFICATE, "ValidationException"),
            IdentityMissing(CERTIFICATE, "Deploy the stacks again"),
        ],
    )
    def test_what_aws_refuses_is_not_counted_as_bad_material(
        self, run: Invocations, world: World, error: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever is called then looks at rights, not at certificates."""
        world.issue()

        def refused(*_: Any) -> Any:
            raise error

        monkeypatch.setattr(world.certificates, "export", refused)

        with pytest.raises(type(error)):
            run.invoke({"identity": "colorteller", "version": VERSION})
        assert run.metrics() == ["Refused"]

    def test_an_unknown_identity_is_refused(self, run: Invocations) -> None:
        """Somebody mistyped it."""
        with pytest.raises(IdentityMissing, match=r"identity colortelle does not exist\. Deploy the mesh file"):
            run.invoke({"identity": "colortelle"})


class TestOthers:
    """Whatever else may arrive."""

    @pytest.mark.parametrize(
        "event",
        [
            {},
            {"identity": ""},
            {"identity": 5},
            {"identity": "colorteller", "version": 5},
            {"identity": "colorteller", "version": VERSION, "mesh": "other"},
            {"identity": "colorteller", "verify": "colorteller"},
            {"verify": "colorteller"},
            {"source": "aws.acm", "detail": {"Action": "RENEWAL"}, "resources": [CERTIFICATE]},
            {"RequestType": "Create", "ResponseURL": "https://example.com", "ResourceProperties": IDENTITY},
            {"RequestType": "Create", "ResponseURL": "https://example.com", "identity": "colorteller"},
        ],
        ids=lambda event: "-".join(event) or "nothing",
    )
    def test_only_direct_calls_are_taken(self, run: Invocations, world: World, event: dict[str, Any]) -> None:
        """Events go to the renewal function, CloudFormation to the deploy function, checks to the verify function."""
        world.issue()
        before = world.current()

        with pytest.raises(RequestInvalid, match="it is none of the three"):
            run.invoke(event)
        assert world.current() == before
        assert run.metrics() == ["Refused"]


def test_no_output_shows_material(run: Invocations, world: World) -> None:
    """Publications, a refusal and an unexpected error: searched for keys and passphrases."""
    answers = [run.invoke({"identity": "colorteller", "version": world.issue().version_id}) for _ in range(2)]
    stored = [json.loads(value) for value in world.vault.secrets[SECRET].values.values()]
    values = [value for value in stored if "Passphrase" in value]
    world.vault.secrets[SECRET].values[world.vault.current_value(SECRET).version_id] = values[0]["PrivateKey"]
    answers.append(run.invoke({"identity": "colorteller", "version": world.issue().version_id}))
    world.certificates.issue(CERTIFICATE, Hierarchy().issue([NAME]))
    with pytest.raises(MaterialRejected) as caught:
        run.invoke({"identity": "colorteller", "version": VERSION})
    output = run.output() + json.dumps(answers) + str(caught.value)

    assert len(values) == 3
    assert "in line" in output
    for value in values:
        assert value["Passphrase"] not in output
        for line in value["PrivateKey"].splitlines()[1:-1]:
            assert line not in output
