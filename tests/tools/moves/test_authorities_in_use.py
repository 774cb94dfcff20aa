"""CAs that are in use go, or become others: told before CloudFormation takes the deploy back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.mesh import load_mesh
from tests.local.aws.stacks import deploy, reasons_of
from tests.meshcert.mesh.mesh_slips import COLOR, REMOVED, changed
from tests.stacks.synthesis import synthesise
from tools import first_deploy
from tools.moves.authorities_in_use import InUse, authorities_in_use

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.running_aws import LocalAws

    Stacks = Mapping[str, Mapping[str, Any]]

OLD = (
    ("hierarchies.color-old", COLOR["hierarchies"]["colorteller"]),
    ("identities.old", COLOR["identities"]["colorteller"] | {"hierarchy": "color-old", "dns_names": ["old.local"]}),
)
STEPS = ["services", "identities", "all"]


@pytest.mark.parametrize(
    ("shards", "left"),
    [({}, {}), ({"back": ["old", "colorteller"]}, {"back": ["colorteller"]}), ({"back": ["old"]}, {})],
    ids=["one stack", "a shard", "a shard that goes with it"],
)
def test_in_the_opposite_order_no_stack_imports_what_is_not_there(
    tmp_path: Path, shards: dict[str, list[str]], left: dict[str, list[str]]
) -> None:
    """In the usual one, the stack of the CAs would drop what the next one still imports."""
    files = {"before": tmp_path / "before.yaml", "after": tmp_path / "after.yaml"}
    files["before"].write_bytes(changed(*OLD, ("shards", shards)))
    files["after"].write_bytes(changed(("shards", left)))
    before, after = (synthesise(tmp_path / name, mesh=str(file)).by_stack for name, file in files.items())
    mesh = load_mesh(files["after"])

    def told(stacks: Stacks) -> list[str]:
        parts = {name: each for name, each in stacks.items() if name.partition("-")[0] in STEPS}
        return list(authorities_in_use(mesh, InUse(before["pki"], parts), STEPS))

    (refused,) = told(before)
    assert refused.startswith("hierarchies.colorold: the file has it no more, and identities")
    assert ("Destroy identities-back first" in refused) == (bool(shards) and not left)
    assert list(authorities_in_use(load_mesh(files["before"]), InUse(before["pki"], before), STEPS)) == []
    exported = {name: _exports(stacks["pki"]) for name, stacks in (("before", before), ("after", after))}
    assert _imports(before) - exported["after"]
    deployed = dict(before)
    for part in ("services", "identities"):
        gone: dict[str, Any] = {name: {} for name in before if name.startswith(part)}
        deployed |= gone | {name: each for name, each in after.items() if name.startswith(part)}
        assert _imports(deployed) - exported["before"] == set()
    assert told(deployed) == []
    assert _imports(deployed) - exported["after"] == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("colorteller.subject", {"organization": "Another"})], True),
        ([("colorteller.key_algorithm", "RSA_4096")], True),
        ([("colorteller.tiers", 1), ("colorteller.issuing_validity_years", REMOVED)], True),
        ([("colorgateway.tiers", 2), ("colorgateway.issuing_validity_years", 5)], False),
        ([("colorteller.reissue", 2)], False),
        ([("colorteller.revocation", "crl"), ("colorgateway.revocation", "crl")], False),
    ],
    ids=["subject", "key", "one tier less", "one tier more", "certificates", "revocation lists"],
)
def test_what_makes_another_ca_under_a_name_that_is_in_use_is_told(
    tmp_path: Path, changes: list[tuple[str, object]], *, expected: bool
) -> None:
    """In no order would that go: the ARN that is imported keeps its name. What the templates say is so."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(*((f"hierarchies.{place}", value) for place, value in changes)))
    before, after = synthesise(tmp_path / "before").by_stack, synthesise(tmp_path / "after", mesh=str(file)).by_stack

    told = list(authorities_in_use(load_mesh(file), InUse(before["pki"], before), STEPS))

    assert [each.split(":")[0] for each in told] == ["hierarchies.colorteller"] * expected
    assert bool(_replaced(before["pki"], after["pki"])) == expected


def test_make_deploy_does_not_begin_and_says_in_which_order_it_can(
    fresh_aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What CloudFormation does otherwise, and that the order is right."""
    for name, value in fresh_aws.environment().items():
        monkeypatch.setenv(name, value)
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    queue, arn = {"Type": "AWS::SQS::Queue"}, {"Fn::GetAtt": ["Old", "Arn"]}
    imported = {"Type": "String", "Name": "imported", "Value": {"Fn::ImportValue": "color-pki:Old"}}
    parameter = {"Type": "AWS::SSM::Parameter", "Properties": imported}
    deploy(fresh_aws, "color-pki", {"Old": queue}, {"coloroldRootCa": arn}, exports={"color-pki:Old": arn})
    deploy(fresh_aws, "color-identities", {"It": handle, "Imported": parameter}, tags={"meshcert:mesh": "color"})
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}
    named = {"Name": "a.local", "Vpc": {"Ref": "Vpc"}}
    zone = {"Type": "AWS::ServiceDiscovery::PrivateDnsNamespace", "Properties": named}
    deploy(fresh_aws, "color-services", {"Vpc": vpc, "Zone": zone}, tags={"meshcert:mesh": "color"})
    file, mark = tmp_path / "mesh.yaml", tmp_path / "deployed"
    file.write_bytes(changed())
    command = ["sh", "-c", f"touch {mark}", "-c", f"mesh={file}"]

    refused = first_deploy.main(command, tmp_path / "kept")

    told = capsys.readouterr().err
    assert (refused, mark.exists()) == (1, False)
    assert f'make cdk ARGS="deploy -e color-services -c mesh={file}"' in told
    assert deploy(fresh_aws, "color-pki", {"Old": queue, "Changed": handle}) == "UPDATE_ROLLBACK_COMPLETE"
    assert "Export color-pki:Old cannot be deleted as it is in use by color-identities" in reasons_of(
        fresh_aws, "color-pki"
    )
    deploy(fresh_aws, "color-identities", {"It": handle}, tags={"meshcert:mesh": "color"})
    assert first_deploy.main(command, tmp_path / "kept") == 0
    assert deploy(fresh_aws, "color-pki", {"Old": queue, "Changed": handle}) == "UPDATE_COMPLETE"


def _exports(template: Mapping[str, Any]) -> set[str]:
    return {each["Export"]["Name"] for each in template["Outputs"].values() if "Export" in each}


def _imports(stacks: Stacks) -> set[str]:
    """What stacks import of that of the CAs."""
    words = (word for template in stacks.values() for word in json.dumps(template.get("Resources", {})).split('"'))
    return {word for word in words if word.startswith("color-pki:")}


def _replaced(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The CAs of a template that another one lacks, or makes anew (CloudFormation reference of the type)."""
    anew = ("Type", "Subject", "KeyAlgorithm", "SigningAlgorithm", "UsageMode")
    return {
        name
        for name, each in before["Resources"].items()
        if each["Type"] == "AWS::ACMPCA::CertificateAuthority"
        and any(
            each["Properties"].get(key) != after["Resources"].get(name, {}).get("Properties", {}).get(key)
            for key in anew
        )
    }
