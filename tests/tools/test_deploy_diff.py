"""``make diff``: what a deploy would do, in words, from two sets of templates."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.stacks.synthesis import assemble
from tools.deploy_diff import assembled, difference, main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Stacks = dict[str, dict[str, Any]]


class Deployed:
    """CloudFormation with some stacks."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks

    def get_template(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's own name
        """As boto3 answers; a stack that is not there is a ValidationError."""
        if StackName not in self._stacks:
            error = {"Error": {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}}
            raise ClientError(error, "GetTemplate")
        return {"TemplateBody": self._stacks[StackName]}


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """The demo's mesh, in the order of its deploy."""
    folder = tmp_path_factory.mktemp("assembly")
    assemble(folder)
    return assembled(folder)


def resource(stacks: Stacks, kind: str, having: str = "") -> dict[str, Any]:
    """The properties of a resource of this type that has a text somewhere."""
    found: dict[str, Any] = next(
        each["Properties"]
        for template in stacks.values()
        for each in template["Resources"].values()
        if each["Type"] == kind and having in json.dumps(each)
    )
    return found


def _environment(stacks: Stacks) -> None:
    task = resource(stacks, "AWS::ECS::TaskDefinition", "meshcert-color-colorteller")
    task["ContainerDefinitions"][0]["Environment"].append({"Name": "MORE", "Value": "1"})


def _count(stacks: Stacks) -> None:
    resource(stacks, "AWS::ECS::Service", '"colorteller"')["DesiredCount"] = 3


def _name(stacks: Stacks) -> None:
    resource(stacks, "AWS::ECS::Service", '"colorteller"')["Cluster"] = "another"


def _role(stacks: Stacks) -> None:
    resource(stacks, "AWS::IAM::Role", "tasks of colorteller")["RoleName"] = "another"


def _authority(stacks: Stacks) -> None:
    resource(stacks, "AWS::ACMPCA::CertificateAuthority", "Gateway")["KeyAlgorithm"] = "EC_secp384r1"


def _rule(stacks: Stacks) -> None:
    resource(stacks, "AWS::EC2::SecurityGroupEgress")["Description"] = "another"


def _grace(stacks: Stacks) -> None:
    resource(stacks, "AWS::ECS::Service", '"colorteller"')["HealthCheckGracePeriodSeconds"] = 10


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_environment, ["colorteller   new tasks, because of envoy's Environment", "colorgateway  nothing"]),
        (_count, ["colorteller   3 tasks instead of 1", "colorgateway  nothing"]),
        (_grace, ["colorteller   nothing for running tasks; the service's HealthCheckGracePeriodSeconds change"]),
        (_name, ["colorteller   a replacement, because of Cluster", "colorgateway  nothing"]),
        (_role, ["colorteller   new tasks, because of TaskRoleArn", "AWS::IAM::Role", "because of RoleName"]),
        (_authority, ["AWS::ACMPCA::CertificateAuthority", "because of KeyAlgorithm, the old one is kept"]),
        (_rule, ["colorteller   nothing", "colorgateway  nothing"]),
    ],
)
def test_each_service_is_told_what_happens_to_it(
    stacks: Stacks, change: Callable[[Stacks], None], told: list[str]
) -> None:
    """Nothing, new tasks or a replacement; and besides, what is replaced or removed."""
    new = copy.deepcopy(stacks)
    change(new)

    lines = "\n".join(difference(Deployed(stacks), new))

    for text in told:
        assert text in lines, lines


def test_a_replaced_authority_reaches_the_certificates_of_the_next_stack(stacks: Stacks) -> None:
    """Its ARN is imported there; ACM then makes other certificates."""
    new = copy.deepcopy(stacks)
    _authority(new)

    assert "color-identities: AWS::CertificateManager::Certificate" in "\n".join(difference(Deployed(stacks), new))


def test_the_same_templates_change_nothing(stacks: Stacks) -> None:
    """A deploy would be over in seconds."""
    assert list(difference(Deployed(stacks), stacks)) == [
        "Services:",
        "  colorgateway  nothing",
        "  colorteller   nothing",
        "Nothing would change.",
    ]


def test_a_first_deploy_and_a_removed_service_are_told(stacks: Stacks) -> None:
    """Stacks that are not there, and a service that leaves the file."""
    first = list(difference(Deployed({}), stacks))
    new = copy.deepcopy(stacks)
    resources = new["color-services"]["Resources"]
    gone = next(name for name, it in resources.items() if it.get("Properties", {}).get("ServiceName") == "colorteller")
    del resources[gone]

    assert list(stacks) == ["color-pki", "color-identities", "color-services", "color-renewal"]
    assert first[:4] == [f"{stack}: not deployed yet, everything in it is new" for stack in stacks]
    assert "  colorteller   new" in first
    assert "  colorteller   removed: its tasks stop" in difference(Deployed(stacks), new)


def test_without_a_synthesised_app_or_a_region_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No stack trace."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    (tmp_path / "manifest.json").write_text('{"artifacts": {}}')

    assert main(["--assembly", str(tmp_path / "none")]) == 2
    assert main(["--assembly", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "Run `make synth` first" in said
    assert "Set AWS_REGION" in said
