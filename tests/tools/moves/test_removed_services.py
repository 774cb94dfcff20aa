"""A service leaves the mesh file: told while deployed stacks use its security group, which would be left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshcert.mesh import load_mesh
from tests.local.aws.stacks import deploy, outputs_of, reasons_of
from tests.meshcert.mesh.mesh_slips import COLOR, GATEWAY_NAME, NODE_TLS, changed
from tests.stacks.synthesis import synthesise
from tools import first_deploy
from tools.moves.removed_services import removed_services

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.running_aws import LocalAws

    Stacks = Mapping[str, Mapping[str, Any]]

CLIENT = COLOR["virtual_gateways"]["colorgateway"]["backends"][0]["client_policy"]["tls"] | {
    "certificate": {"identity": "extra"}
}


def listener(identity: str) -> dict[str, Any]:
    """A listener with such a certificate."""
    tls = {"mode": "STRICT", "certificate": {"identity": identity}}
    return {"port_mapping": {"port": 9443, "protocol": "http"}, "tls": tls}


EXTRA = (
    ("identities.extra", COLOR["identities"]["colorgateway"] | {"dns_names": ["extra.mtls.svc.cluster.local"]}),
    (
        "virtual_nodes.extra",
        {
            "listeners": [listener("extra")],
            "backends": [{"virtual_node": "colorteller", "client_policy": {"tls": CLIENT}}],
        },
    ),
    (
        f"{NODE_TLS}.validation.subject_alternative_names.match",
        {"exact": [GATEWAY_NAME, "extra.mtls.svc.cluster.local"]},
    ),
    ("services.extra", COLOR["services"]["colorteller"] | {"virtual_node": "extra"}),
)
NEW = (
    ("identities.new", COLOR["identities"]["colorgateway"] | {"dns_names": ["new.mtls.svc.cluster.local"]}),
    ("virtual_nodes.new", {"listeners": [listener("new")]}),
    ("services.new", COLOR["services"]["colorteller"] | {"virtual_node": "new"}),
)
TAGS = {"meshcert:mesh": "color"}
HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}


def told(mesh_file: Path, stacks: Stacks) -> list[str]:
    """What a deploy of a mesh file over such stacks is told."""
    parts = {name: each for name, each in stacks.items() if name.partition("-")[0] in {"services", "identities"}}
    return list(
        removed_services(load_mesh(mesh_file), parts, lambda names: f"deploy {' '.join(names)}", "delete {}".format)
    )


@pytest.mark.parametrize(
    ("shards", "after", "steps"),
    [
        ({}, {}, ""),
        ({"back": ["colorteller"]}, {"back": ["colorteller"]}, "Deploy them first: deploy services-back, then this"),
        (
            {"back": ["colorteller"], "front": ["colorgateway", "extra"]},
            {"back": ["colorteller"], "front": ["colorgateway"]},
            "Deploy them first: deploy services-back services-front, then this again",
        ),
        (
            {"back": ["colorteller"], "alone": ["extra"]},
            {"back": ["colorteller"]},
            "deploy services-back, then delete services-alone, then delete identities-alone, then this again",
        ),
        ({"alone": ["extra"]}, {}, "Deploy them first: delete services-alone, then delete identities-alone, then this"),
    ],
    ids=["no shards", "a caller of a shard", "a member", "the last member", "the last shard"],
)
def test_no_group_goes_before_what_uses_it(
    tmp_path: Path, shards: dict[str, list[str]], after: dict[str, list[str]], steps: str
) -> None:
    """Neither rules nor tasks; when the steps are done, nothing is told any more."""
    files = {"before": tmp_path / "before.yaml", "after": tmp_path / "after.yaml"}
    files["before"].write_bytes(changed(*EXTRA, ("shards", shards)))
    files["after"].write_bytes(changed(("shards", after)))
    before, wanted = (synthesise(tmp_path / name, mesh=str(file)).by_stack for name, file in files.items())

    moves = told(files["after"], before)

    assert len(moves) == bool(steps)
    assert all(move.startswith("services: the file has extra no more") and steps in move for move in moves)
    assert told(files["before"], before) == []
    done = {name: wanted.get(name, each) for name, each in before.items() if name == "services" or name in wanted}
    assert told(files["after"], {**done, "services": before["services"]}) == []


def test_what_has_no_group_yet_comes_later(tmp_path: Path) -> None:
    """The stacks of shards could not find its id in the parameter that the first stack makes."""
    files = {"before": tmp_path / "before.yaml", "after": tmp_path / "after.yaml"}
    files["before"].write_bytes(changed(*EXTRA, ("shards", {"back": ["colorteller", "extra"]})))
    files["after"].write_bytes(changed(*NEW, ("shards", {"back": ["colorteller", "new"]})))

    (move,) = told(files["after"], synthesise(tmp_path / "before", mesh=str(files["before"])).by_stack)

    assert "Without new, which has no group yet, deploy them first: deploy services-back, then this again" in move


def test_make_deploy_does_not_begin_and_its_steps_leave_no_group_behind(
    fresh_aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What CloudFormation does otherwise, and that the order is right."""
    for name, value in fresh_aws.environment().items():
        monkeypatch.setenv(name, value)
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}
    zone = {
        "Type": "AWS::ServiceDiscovery::PrivateDnsNamespace",
        "Properties": {"Name": "a.local", "Vpc": {"Ref": "Vpc"}},
    }

    def home(*services: str) -> str:
        resources: dict[str, Any] = {"Vpc": vpc, "Zone": zone}
        for each in services:
            group = {"GroupDescription": each, "VpcId": {"Ref": "Vpc"}}
            resources[each] = {"Type": "AWS::EC2::SecurityGroup", "Properties": group}
            value = {"Fn::GetAtt": [each, "GroupId"]}
            parameter = {"Type": "String", "Name": f"/meshcert/color/group/{each}", "Value": value}
            resources[f"Parameter{each}"] = {"Type": "AWS::SSM::Parameter", "Properties": parameter}
        ids = {each: {"Fn::GetAtt": [each, "GroupId"]} for each in services}
        return deploy(fresh_aws, "color-services", resources, ids, tags=TAGS)

    deploy(fresh_aws, "color-pki", {"It": HANDLE})
    home("colorteller", "extra")
    ids = outputs_of(fresh_aws, "color-services")
    rule = {"IpProtocol": "tcp", "FromPort": 9443, "ToPort": 9443}
    rule |= {"GroupId": {"Ref": "colorteller"}, "SourceSecurityGroupId": {"Ref": "extra"}}
    named = {
        each: {"Type": "AWS::SSM::Parameter::Value<String>", "Default": f"/meshcert/color/group/{each}"}
        for each in ("colorteller", "extra")
    }
    deploy(
        fresh_aws,
        "color-services-back",
        {"Rule": {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": rule}},
        parameters=named,
        tags=TAGS,
    )
    file, mark = tmp_path / "mesh.yaml", tmp_path / "deployed"
    file.write_bytes(changed(("shards", {"back": ["colorteller"]})))
    command = ["sh", "-c", f"touch {mark}", "-c", f"mesh={file}"]

    refused = first_deploy.main(command, tmp_path / "kept")

    told = capsys.readouterr().err
    assert (refused, mark.exists()) == (1, False)
    assert f'make cdk ARGS="deploy -e color-services-back -c mesh={file} -c moves_asked=true", then this again' in told
    deploy(fresh_aws, "color-services-back", {"It": HANDLE}, tags=TAGS)
    assert first_deploy.main(command, tmp_path / "kept") == 0
    assert home("colorteller") == "UPDATE_COMPLETE"
    assert reasons_of(fresh_aws, "color-services") == ""
    groups = fresh_aws.client("ec2").describe_security_groups()["SecurityGroups"]
    assert ids["extra"] not in {each["GroupId"] for each in groups}
