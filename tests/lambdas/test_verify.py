"""The verify function's handler: one question, one answer in sentences, and nothing that it could change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from lambdas.verify import handler
from meshcert.errors import AccessDenied, IdentityMissing, RequestInvalid
from tests.lambdas.invocation import Invocations
from tests.meshcert.publishing.world import IDENTITY, SECRET, TELLER

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Invocations:
    """The handler on a mesh in memory, whose one identity is published."""
    world.ask("Create", IDENTITY)
    parts = handler.VerifyPorts(world.identities, world.vault, world.authorities, world.clock)
    return Invocations(handler, lambda: parts, monkeypatch, capsys)


def test_a_good_version_has_no_faults(run: Invocations, world: World) -> None:
    """The answer says which version was checked."""
    result = run.invoke({"verify": "colorteller"})

    assert (result["subject"], result["version_id"], result["faults"]) == ("colorteller", world.current(), [])
    assert set(result) == {"subject", "version_id", "serial_number", "not_after", "faults"}
    assert run.metrics() == ["Verified"]
    assert run.emitted()[0]["identity"] == "colorteller"


def test_faults_are_told_and_not_raised(run: Invocations, world: World) -> None:
    """Finding them is what the call is for."""
    world.authorities.hierarchies[TELLER.root_certificate_authority_arn] = Hierarchy()

    (fault,) = run.invoke({"verify": "colorteller"})["faults"]

    assert "does not lead to the trust anchor" in fault
    assert run.metrics() == ["Verified"]


def test_an_unknown_identity_is_refused(run: Invocations) -> None:
    """Somebody mistyped it."""
    with pytest.raises(IdentityMissing, match=r"identity colortelle does not exist\. Deploy the mesh file"):
        run.invoke({"verify": "colortelle"})
    assert run.metrics() == ["VerifyFailed"]


def test_what_aws_refuses_is_raised_and_never_counted_as_bad_material(
    run: Invocations, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's check must not set the alarms of the export function off."""

    def denied(*_: Any) -> Any:
        raise AccessDenied("secretsmanager:GetSecretValue", SECRET, "AccessDeniedException")

    monkeypatch.setattr(world.vault, "current_value", denied)

    with pytest.raises(AccessDenied):
        run.invoke({"verify": "colorteller"})
    assert run.metrics() == ["VerifyFailed"]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"verify": ""},
        {"verify": None},
        {"verify": ["colorteller"]},
        {"identity": "colorteller"},
        {"identity": "colorteller", "version": "0" * 64},
        {"verify": "colorteller", "identity": "colorteller"},
        {"verify": "colorteller", "mesh": "other"},
    ],
    ids=lambda event: "-".join(event) or "nothing",
)
def test_nothing_else_is_taken(run: Invocations, world: World, event: dict[str, Any]) -> None:
    """Whoever may have something checked can have nothing exported."""
    world.issue()
    before = world.current()

    with pytest.raises(RequestInvalid, match="it is something else"):
        run.invoke(event)
    assert world.current() == before
    assert run.metrics() == ["VerifyFailed"]


def test_no_output_shows_material(run: Invocations, world: World) -> None:
    """A good version and broken ones: answers, log and metrics are searched for keys and passphrases."""
    answers = [run.invoke({"verify": "colorteller"})]
    stored = [json.loads(value) for value in world.vault.secrets[SECRET].values.values()]
    (value,) = (each for each in stored if "Passphrase" in each)
    for broken in (json.dumps({**value, "CertificateChain": value["PrivateKey"]}), value["PrivateKey"]):
        world.vault.secrets[SECRET].values[world.vault.current_value(SECRET).version_id] = broken
        answers.append(run.invoke({"verify": "colorteller"}))
        assert answers[-1]["faults"]
    output = run.output() + json.dumps(answers) + repr(world.vault.current_value(SECRET))

    assert "verified" in output
    assert value["Passphrase"] not in output
    for line in value["PrivateKey"].splitlines()[1:-1]:
        assert line not in output
