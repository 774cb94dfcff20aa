"""Rules that are there twice: one is, and whoever goes first takes it along. Groups in use stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.patches.test_cloudformation_types import resource
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.stacks import delete, deploy, outputs_of, reasons_of

if TYPE_CHECKING:
    from local.running_aws import LocalAws

GROUP = {"Fn::GetAtt": ["Group", "GroupId"]}
PORT = {"IpProtocol": "tcp", "FromPort": 9443, "ToPort": 9443}
FROM_VPC = {**PORT, "CidrIp": "10.0.0.0/16"}
RULE = resource("AWS::EC2::SecurityGroupIngress", GroupId=GROUP, **FROM_VPC)
RENAMED = resource("AWS::EC2::SecurityGroupIngress", GroupId=GROUP, **FROM_VPC, Description="the same in other words")


def with_group(*own: dict[str, Any], **rules: dict[str, Any]) -> dict[str, Any]:
    """A security group with rules of its own, and rules beside it."""
    properties = {"SecurityGroupIngress": list(own)} if own else {}
    return {
        "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
        "Group": resource("AWS::EC2::SecurityGroup", GroupDescription="g", VpcId={"Ref": "Vpc"}, **properties),
        **rules,
    }


def rules_after(aws: LocalAws, resources: dict[str, Any]) -> int:
    """How many rules let traffic into the group once the stack is deployed, which must succeed."""
    assert deploy(aws, "groups", resources, {"Group": GROUP}) in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    group = outputs_of(aws, "groups")["Group"]
    [described] = aws.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    return len(described["IpPermissions"])


@pytest.mark.parametrize(
    ("both", "one"),
    [
        (with_group(Old=RULE, New=RENAMED), with_group(New=RENAMED)),
        (with_group(FROM_VPC, New=RENAMED), with_group(New=RENAMED)),
        (with_group(FROM_VPC, Old=RULE), with_group(FROM_VPC)),
        (with_group(FROM_VPC, {**FROM_VPC, "Description": "again"}), with_group(FROM_VPC)),
    ],
    ids=["two resources", "own and resource", "resource and own", "two of its own"],
)
def test_a_duplicate_is_ignored_and_the_rule_goes_with_either(
    fresh_aws: LocalAws, both: dict[str, Any], one: dict[str, Any]
) -> None:
    """CloudFormation reports success both times, and in the end nothing is let in."""
    assert rules_after(fresh_aws, both) == 1
    assert rules_after(fresh_aws, one) == 0


def test_a_rule_that_moves_to_another_logical_id_is_lost(fresh_aws: LocalAws) -> None:
    """The new one is made first and ignored as a duplicate; then the old one is revoked."""
    assert rules_after(fresh_aws, with_group(Old=RULE)) == 1
    assert rules_after(fresh_aws, with_group(New=RULE)) == 0


def test_another_description_changes_in_place_and_another_port_replaces(fresh_aws: LocalAws) -> None:
    """Neither loses the rule."""
    other = resource("AWS::EC2::SecurityGroupIngress", GroupId=GROUP, **{**FROM_VPC, "FromPort": 8443, "ToPort": 9443})

    assert rules_after(fresh_aws, with_group(Rule=RULE)) == 1
    assert rules_after(fresh_aws, with_group(Rule=RENAMED)) == 1
    assert rules_after(fresh_aws, with_group(Rule=other)) == 1


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_ec2_refuses_a_rule_that_is_there(fresh_aws: LocalAws, direction: str) -> None:
    """Whatever its description."""
    ec2 = fresh_aws.client("ec2")
    group = ec2.create_security_group(GroupName="g", Description="g")["GroupId"]
    authorize = getattr(ec2, f"authorize_security_group_{direction}")
    authorize(GroupId=group, IpPermissions=[{**PORT, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}])

    with pytest.raises(ClientError) as refused:
        authorize(
            GroupId=group, IpPermissions=[{**PORT, "IpRanges": [{"CidrIp": "10.0.0.0/16", "Description": "again"}]}]
        )

    assert code_of(refused) == "InvalidPermission.Duplicate"


def test_a_group_that_another_ones_rule_names_stays(fresh_aws: LocalAws) -> None:
    """An update leaves it behind, a stack that goes does not end, and EC2 refuses; without the rule it goes."""
    more = with_group(Caller=resource("AWS::EC2::SecurityGroup", GroupDescription="c", VpcId={"Ref": "Vpc"}))
    deploy(fresh_aws, "groups", more, {"Group": GROUP, "Caller": {"Fn::GetAtt": ["Caller", "GroupId"]}})
    told = outputs_of(fresh_aws, "groups")
    rule = resource(
        "AWS::EC2::SecurityGroupIngress", GroupId=told["Group"], SourceSecurityGroupId=told["Caller"], **PORT
    )
    nothing = resource("AWS::CloudFormation::WaitConditionHandle")
    deploy(fresh_aws, "rules", {"Rule": rule})

    assert deploy(fresh_aws, "groups", with_group()) == "UPDATE_COMPLETE"

    assert f"Caller: resource {told['Caller']} has a dependent object" in reasons_of(fresh_aws, "groups")
    ec2 = fresh_aws.client("ec2")
    with pytest.raises(ClientError) as refused:
        ec2.delete_security_group(GroupId=told["Caller"])
    assert code_of(refused) == "DependencyViolation"
    deploy(fresh_aws, "rules", {"Nothing": nothing})
    ec2.delete_security_group(GroupId=told["Caller"])


def test_a_group_that_a_services_tasks_have_stays(fresh_aws: LocalAws) -> None:
    """As long as there is the service."""
    ec2, ecs = fresh_aws.client("ec2"), fresh_aws.client("ecs")
    deploy(fresh_aws, "groups", with_group(), {"Group": GROUP})
    group = outputs_of(fresh_aws, "groups")["Group"]
    ecs.create_cluster(clusterName="c")
    ecs.register_task_definition(
        family="f", containerDefinitions=[{"name": "a", "image": "a"}], networkMode="awsvpc", cpu="256", memory="512"
    )
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": [group]}}
    ecs.create_service(cluster="c", serviceName="s", taskDefinition="f", desiredCount=0, networkConfiguration=network)

    assert delete(fresh_aws, "groups") == "DELETE_FAILED"

    ecs.delete_service(cluster="c", service="s", force=True)
    ec2.delete_security_group(GroupId=group)
