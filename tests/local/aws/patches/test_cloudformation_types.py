"""Resource types that MiniStack lacks, and properties that it drops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.stacks import delete, deploy, outputs_of, reasons_of

if TYPE_CHECKING:
    from local.running_aws import LocalAws


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    """A resource of a template."""
    return {"Type": kind, "Properties": properties}


def deployed(aws: LocalAws, resources: dict[str, Any], outputs: dict[str, Any]) -> dict[str, str]:
    """The outputs of a stack that came to its end."""
    status = deploy(aws, "stack", resources, outputs)
    assert status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, reasons_of(aws, "stack")
    return outputs_of(aws, "stack")


def test_a_vpc_with_nat_and_rules_between_security_groups(fresh_aws: LocalAws) -> None:
    """EIP, NAT gateway, ingress and egress rules and a flow log are made, and taken down with the stack."""
    vpc, group = {"Ref": "Vpc"}, {"Fn::GetAtt": ["Group", "GroupId"]}
    rule = {"GroupId": group, "IpProtocol": "tcp", "FromPort": 9080, "ToPort": 9080}
    resources = {
        "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
        "Subnet": resource("AWS::EC2::Subnet", VpcId=vpc, CidrBlock="10.0.0.0/24"),
        "Group": resource("AWS::EC2::SecurityGroup", GroupDescription="g", VpcId=vpc),
        "Address": resource("AWS::EC2::EIP", Domain="vpc"),
        "Nat": resource(
            "AWS::EC2::NatGateway",
            SubnetId={"Ref": "Subnet"},
            AllocationId={"Fn::GetAtt": ["Address", "AllocationId"]},
        ),
        "In": resource("AWS::EC2::SecurityGroupIngress", **rule, SourceSecurityGroupId=group),
        "Out": resource("AWS::EC2::SecurityGroupEgress", **rule, CidrIp="10.0.0.0/16"),
        **{
            f"To{name}": resource("AWS::EC2::SecurityGroupEgress", **rule, DestinationPrefixListId=f"pl-{name}")
            for name in ("one", "two")
        },
        "Flow": resource("AWS::EC2::FlowLog", ResourceId=vpc, ResourceType="VPC", TrafficType="ALL"),
    }
    outputs = {"Nat": {"Ref": "Nat"}, "Group": group, "Address": {"Ref": "Address"}}

    made = deployed(fresh_aws, resources, outputs)

    ec2 = fresh_aws.client("ec2")
    (nat,) = ec2.describe_nat_gateways(NatGatewayIds=[made["Nat"]])["NatGateways"]
    (group_now,) = ec2.describe_security_groups(GroupIds=[made["Group"]])["SecurityGroups"]
    assert nat["State"] == "available"
    assert made["Address"] in {address["PublicIp"] for address in ec2.describe_addresses()["Addresses"]}
    (rule_now,) = [item for item in group_now["IpPermissions"] if item.get("FromPort") == 9080]
    assert [pair["GroupId"] for pair in rule_now["UserIdGroupPairs"]] == [made["Group"]]
    out = [item for item in group_now["IpPermissionsEgress"] if item.get("FromPort") == 9080]
    assert {listed["PrefixListId"] for item in out for listed in item["PrefixListIds"]} == {"pl-one", "pl-two"}
    assert delete(fresh_aws, "stack") == "DELETE_COMPLETE"
    assert made["Address"] not in {address["PublicIp"] for address in ec2.describe_addresses()["Addresses"]}


def test_a_secrets_reference_is_its_arn_and_its_policy_is_enforced_by_arn(fresh_aws: LocalAws) -> None:
    """Ref and GetAtt agree; the policy resource is set, changed and removed."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:PutSecretValue", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    resources = {
        "Secret": resource("AWS::SecretsManager::Secret", Name="meshcert/color/identity/teller", SecretString="{}"),
        "Policy": resource("AWS::SecretsManager::ResourcePolicy", SecretId={"Ref": "Secret"}, ResourcePolicy=policy),
    }
    outputs = {"Ref": {"Ref": "Secret"}, "Id": {"Fn::GetAtt": ["Secret", "Id"]}, "Policy": {"Ref": "Policy"}}
    secrets = fresh_aws.client("secretsmanager")

    made = deployed(fresh_aws, resources, outputs)
    stored = json.loads(secrets.get_resource_policy(SecretId=made["Ref"])["ResourcePolicy"])
    statement["Action"] = "secretsmanager:UpdateSecret"
    resources["Secret"]["Properties"]["Description"] = "changed"
    again = deployed(fresh_aws, resources, outputs)
    changed = json.loads(secrets.get_resource_policy(SecretId=made["Ref"])["ResourcePolicy"])

    assert made["Ref"] == made["Id"] == made["Policy"]
    assert made["Ref"].startswith(
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:meshcert/color/identity/teller-"
    )
    assert again == made
    assert stored["Statement"][0]["Action"] == "secretsmanager:PutSecretValue"
    assert changed["Statement"][0]["Action"] == "secretsmanager:UpdateSecret"
    assert secrets.describe_secret(SecretId=made["Ref"])["Description"] == "changed"


def test_a_tables_expiry_and_index_work(fresh_aws: LocalAws) -> None:
    """TTL from the template is on; a global index can be queried."""
    resources = {
        "Table": resource(
            "AWS::DynamoDB::Table",
            TableName="meshcert-color-identities",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "name", "AttributeType": "S"},
                {"AttributeName": "certificate_arn", "AttributeType": "S"},
            ],
            KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-certificate",
                    "KeySchema": [{"AttributeName": "certificate_arn", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True},
        )
    }
    dynamodb = fresh_aws.client("dynamodb")

    made = deployed(fresh_aws, resources, {"Table": {"Ref": "Table"}})
    item = {"name": {"S": "teller"}, "certificate_arn": {"S": "arn:1"}}
    dynamodb.put_item(TableName=made["Table"], Item=item)
    found = dynamodb.query(
        TableName=made["Table"],
        IndexName="by-certificate",
        KeyConditionExpression="certificate_arn = :arn",
        ExpressionAttributeValues={":arn": {"S": "arn:1"}},
    )["Items"]

    expiry = dynamodb.describe_time_to_live(TableName=made["Table"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    assert found == [item]


def test_a_functions_dead_letter_queue_and_reserved_concurrency_are_kept(fresh_aws: LocalAws) -> None:
    """Both are dropped by MiniStack on create and would never be missed until something fails."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    resources = {
        "Queue": resource("AWS::SQS::Queue"),
        "Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument={"Version": "2012-10-17", "Statement": [trust]}),
        "Function": resource(
            "AWS::Lambda::Function",
            FunctionName="export",
            Runtime="python3.13",
            Handler="index.handler",
            Role={"Fn::GetAtt": ["Role", "Arn"]},
            Code={"ZipFile": "def handler(event, context): return event"},
            DeadLetterConfig={"TargetArn": {"Fn::GetAtt": ["Queue", "Arn"]}},
            ReservedConcurrentExecutions=2,
        ),
    }
    functions = fresh_aws.client("lambda")

    made = deployed(fresh_aws, resources, {"Queue": {"Fn::GetAtt": ["Queue", "Arn"]}})
    resources["Function"]["Properties"]["Description"] = "changed"
    deployed(fresh_aws, resources, {"Queue": {"Fn::GetAtt": ["Queue", "Arn"]}})

    configuration = functions.get_function_configuration(FunctionName="export")
    assert configuration["Description"] == "changed"
    assert configuration["DeadLetterConfig"]["TargetArn"] == made["Queue"]
    assert functions.get_function_concurrency(FunctionName="export")["ReservedConcurrentExecutions"] == 2


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::SecretsManager::Secret", {"Name": "taken", "SecretString": "second"}),
        (
            "AWS::DynamoDB::Table",
            {
                "TableName": "taken",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "name", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
            },
        ),
    ],
    ids=["secret", "table"],
)
def test_a_name_that_was_retained_is_not_overwritten(
    fresh_aws: LocalAws, kind: str, properties: dict[str, Any]
) -> None:
    """Deploying anew over what an earlier stack left behind fails, as on AWS."""
    deploy(fresh_aws, "first", {"It": {**resource(kind, **properties), "DeletionPolicy": "Retain"}})
    delete(fresh_aws, "first")

    status = deploy(fresh_aws, "second", {"It": resource(kind, **properties)})

    assert status == "ROLLBACK_COMPLETE"
    assert "already exists" in reasons_of(fresh_aws, "second")
