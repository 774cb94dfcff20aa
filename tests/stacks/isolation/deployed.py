"""The stacks of a cell as AWS would have them: who is there, and what, with all policies read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.stacks.isolation.policies import EVERYTHING, Allowance, Caller, Target, left_by, statements_of
from tests.stacks.isolation.shares import ISSUING, REGISTERED, REGISTERING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Template = dict[str, Any]

# What a policy calls a resource, and all that is in it; {id} is chosen by AWS, {a} and {r} are account and region.
ARNS: dict[str, tuple[str, ...]] = {
    "AWS::ACMPCA::CertificateAuthority": ("acm-pca:{r}:{a}:certificate-authority/{id}",),
    "AWS::CertificateManager::Certificate": ("acm:{r}:{a}:certificate/{id}",),
    "AWS::DynamoDB::Table": ("dynamodb:{r}:{a}:table/{TableName}", "dynamodb:{r}:{a}:table/{TableName}/*"),
    "AWS::ECS::Cluster": ("ecs:{r}:{a}:cluster/{ClusterName}", "ecs:{r}:{a}:task/{ClusterName}/*"),
    "AWS::ECS::Service": ("ecs:{r}:{a}:service/*/{ServiceName}",),
    "AWS::ECS::TaskDefinition": ("ecs:{r}:{a}:task-definition/{Family}:*",),
    "AWS::Events::Rule": ("events:{r}:{a}:rule/{id}",),
    "AWS::IAM::ManagedPolicy": ("iam::{a}:policy/{ManagedPolicyName}",),
    "AWS::IAM::Role": ("iam::{a}:role/{RoleName}",),
    "AWS::KMS::Alias": ("kms:{r}:{a}:{AliasName}",),
    "AWS::KMS::Key": ("kms:{r}:{a}:key/{id}",),
    "AWS::Lambda::Function": ("lambda:{r}:{a}:function:{FunctionName}", "lambda:{r}:{a}:function:{FunctionName}:*"),
    "AWS::Logs::LogGroup": ("logs:{r}:{a}:log-group:{LogGroupName}", "logs:{r}:{a}:log-group:{LogGroupName}:*"),
    "AWS::S3::Bucket": ("s3:::{BucketName}", "s3:::{BucketName}/*"),
    "AWS::SNS::Topic": ("sns:{r}:{a}:{TopicName}",),
    "AWS::SQS::Queue": ("sqs:{r}:{a}:{QueueName}",),
    "AWS::SSM::Parameter": ("ssm:{r}:{a}:parameter{Name}",),
    "AWS::Scheduler::Schedule": ("scheduler:{r}:{a}:schedule/default/{Name}",),
    "AWS::SecretsManager::Secret": ("secretsmanager:{r}:{a}:secret:{Name}-??????",),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ("servicediscovery:{r}:{a}:namespace/{id}",),
    "AWS::ServiceDiscovery::Service": ("servicediscovery:{r}:{a}:service/{id}",),
}
# Types that hold policies or join others, that AWS keeps no policy for, or that carry traffic: security groups decide.
NOT_ASKED_FOR = re.compile(
    r"AWS::(ACMPCA::(Certificate|CertificateAuthorityActivation|Permission)|CloudFormation::WaitConditionHandle"
    r"|CloudWatch::(Alarm|Dashboard)|EC2::\w+|ElasticLoadBalancingV2::\w+|IAM::Policy"
    r"|Lambda::(EventInvokeConfig|EventSourceMapping|Permission)|Logs::MetricFilter|RAM::(Permission|ResourceShare)"
    r"|S3::BucketPolicy|SNS::TopicPolicy|SQS::QueuePolicy|SecretsManager::ResourcePolicy)|Custom::\w+"
)
# Documents of resources' policies: the type that has it, the property with it, and the one that says of what it is.
POLICIES = {
    "AWS::DynamoDB::Table": ("ResourcePolicy.PolicyDocument", ""),
    "AWS::IAM::Role": ("AssumeRolePolicyDocument", ""),
    "AWS::KMS::Key": ("KeyPolicy", ""),
    "AWS::S3::BucketPolicy": ("PolicyDocument", "Bucket"),
    "AWS::SNS::TopicPolicy": ("PolicyDocument", "Topics"),
    "AWS::SQS::QueuePolicy": ("PolicyDocument", "Queues"),
    "AWS::SecretsManager::ResourcePolicy": ("ResourcePolicy", "SecretId"),
}
IDENTITY_POLICIES = {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}
ADMINISTRATOR, SERVICES = "administrator", "services of AWS for it"


@dataclass(frozen=True)
class DeployedCell:
    """
    A cell, from its templates.

    Args:
        name: The cell's.
        stacks: Its templates by stack name.
        known: ARNs that the mesh file knows of what its templates make, by the beginning of the logical id.
        namespace_of: The account that shares a namespace in which its services register; empty if it is its own.
        namespace_with: The accounts with which that one shares it.
    """

    name: str
    account: str
    region: str
    stacks: Mapping[str, Template]
    known: Mapping[str, str]
    namespace_of: str = ""
    namespace_with: tuple[str, ...] = ()

    @cached_property
    def callers(self) -> tuple[Caller, ...]:
        """Each role, whoever has a policy of the mesh's, the account's administrator, and services that act for it."""
        return tuple(self._callers())

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """Each resource that can be asked for, with its own policy."""
        return tuple(self._targets())

    def _callers(self) -> Iterator[Caller]:
        rights: dict[str, list[Allowance]] = {}
        only: dict[str, tuple[str, ...]] = {}
        for stack, name, resource in self._resources():
            properties = self._resolved(stack, resource.get("Properties", {}))
            arn = self._arns(stack, name)[0] if resource["Type"] in ARNS else ""
            if resource["Type"] == "AWS::IAM::Role":
                rights.setdefault(arn, [])
                assert "ManagedPolicyArns" not in properties, name
                for policy in properties.get("Policies", ()):
                    rights[arn] += statements_of(policy["PolicyDocument"])
                    only |= {arn: left} if (left := left_by(policy["PolicyDocument"])) != EVERYTHING else {}
            elif resource["Type"] in IDENTITY_POLICIES:
                # Whoever attaches a policy of the mesh's to a role of theirs may what it says.
                for holder in properties.get("Roles") or [f"{arn.replace(':policy/', ':role/')}.holder"]:
                    of = holder if holder.startswith("arn:") else f"arn:aws:iam::{self.account}:role/{holder}"
                    rights.setdefault(of, []).extend(statements_of(properties["PolicyDocument"]))
        for arn, allowed in rights.items():
            left = only.get(arn, EVERYTHING)
            yield Caller(arn.partition("/")[2], self.name, self.account, arn, tuple(allowed), left)
        anybody = f"arn:aws:iam::{self.account}:*"
        yield Caller(ADMINISTRATOR, self.name, self.account, anybody, (Allowance(actions=("*",)),))
        yield Caller(SERVICES, self.name, self.account, "", (), service=True)

    def _targets(self) -> Iterator[Target]:
        policies = self._policies()
        for stack, name, resource in self._resources():
            if resource["Type"] in ARNS:
                arns = self._arns(stack, name)
                policy = tuple(policies.get(arns[0], ()))
                runs_as = self._resolved(stack, resource.get("Properties", {}).get("Role", ""))
                account = arns[0].split(":")[4] if resource["Type"] == REGISTERED else self.account
                yield Target(resource["Type"], name, self.name, account, arns, policy, runs_as)

    def unread(self) -> set[str]:
        """Types of resources that nobody here knows, and policies that nobody here reads, or reads for nothing."""
        found = {
            resource["Type"]
            for _, _, resource in self._resources()
            if resource["Type"] not in ARNS and not NOT_ASKED_FOR.fullmatch(resource["Type"])
        }
        for _, name, resource in self._resources():
            kind, properties = resource["Type"], json.loads(json.dumps(resource.get("Properties", {})))
            if kind in POLICIES:
                _take(properties, POLICIES[kind][0])
            if kind in IDENTITY_POLICIES:
                _take(properties, "PolicyDocument")
            for policy in properties.get("Policies", ()) if kind == "AWS::IAM::Role" else ():
                _take(policy, "PolicyDocument")
            if '"Statement"' in json.dumps(properties):
                found.add(f"{kind} {name}")
        return found | {
            f"the policy of {arn}" for arn in self._policies().keys() - {each.arns[0] for each in self.targets}
        }

    def _policies(self) -> dict[str, list[Allowance]]:
        found: dict[str, list[Allowance]] = {}
        for stack, name, resource in self._resources():
            kind, properties = resource["Type"], self._resolved(stack, resource.get("Properties", {}))
            if kind in POLICIES:
                way, of = POLICIES[kind]
                document = _at(properties, way)
                holders = _listed(properties[of]) if of else [self._arns(stack, name)[0]]
                allowed = [one for one in statements_of(document) if not _passed(kind, one)] if document else []
                for holder in holders:
                    found.setdefault(holder, []).extend(allowed)
            elif kind == REGISTERED and self.namespace_with:
                with_them = tuple(("AWS", account) for account in self.namespace_with)
                shared = Allowance(actions=tuple(map(str.lower, REGISTERING)), principals=with_them)
                found.setdefault(self._arns(stack, name)[0], []).append(shared)
            elif kind == "AWS::Lambda::Permission":
                found.setdefault(properties["FunctionName"], []).append(_permission(properties))
            elif kind == "AWS::RAM::ResourceShare":
                for holder in properties["ResourceArns"]:
                    found.setdefault(holder, []).append(
                        Allowance(
                            actions=tuple(
                                each.lower() for arn in properties["PermissionArns"] for each in _shared(arn)
                            ),
                            principals=tuple(("AWS", each) for each in properties["Principals"]),
                        )
                    )
        return found

    def _resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for stack, template in self.stacks.items():
            for name, resource in template["Resources"].items():
                yield stack, name, resource

    def _arns(self, stack: str, name: str) -> tuple[str, ...]:
        for beginning, arn in self.known.items():
            if name.startswith(beginning):
                return (arn,)
        resource = self.stacks[stack]["Resources"][name]
        properties = resource.get("Properties", {})
        # What is made in a shared namespace lies in its owner's account.
        account = self.namespace_of * (resource["Type"] == REGISTERED) or self.account
        words = {"r": self.region, "a": account, "id": f"{stack}-{name}"}
        return tuple(
            "arn:aws:"
            + re.sub(
                r"\{(\w+)\}",
                lambda found: words.get(found[1]) or str(self._resolved(stack, properties.get(found[1], words["id"]))),
                pattern,
            )
            for pattern in ARNS[resource["Type"]]
        )

    def _resolved(self, stack: str, value: Any) -> Any:
        """A value without functions of CloudFormation, references to resources being their ARNs."""
        if isinstance(value, list):
            return [self._resolved(stack, each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, of),) = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._called(stack, function, of)
        return {key: self._resolved(stack, each) for key, each in value.items()}

    def _called(self, stack: str, function: str, of: Any) -> Any:
        if function == "Ref":
            return self._reference(stack, of)
        if function == "Fn::GetAtt":
            return self._attribute(stack, *of)
        if function == "Fn::Join":
            return of[0].join(str(each) for each in self._resolved(stack, of[1]))
        if function == "Fn::ImportValue":
            return self._exported(of)
        # No policy has any other; a pattern that is not known could be any.
        return "*"

    def _reference(self, stack: str, name: str) -> str:
        pseudo = {"AWS::Partition": "aws", "AWS::Region": self.region, "AWS::AccountId": self.account}
        pseudo |= {"AWS::URLSuffix": "amazonaws.com", "AWS::StackName": stack, "AWS::NoValue": ""}
        if name in pseudo:
            return pseudo[name]
        resource = self.stacks[stack]["Resources"].get(name, {"Type": ""})
        return self._arns(stack, name)[0] if resource["Type"] in ARNS else f"{stack}-{name}"

    def _attribute(self, stack: str, name: str, attribute: str) -> str:
        resource = self.stacks[stack]["Resources"][name]
        if attribute == "Arn" and resource["Type"] in ARNS:
            return self._arns(stack, name)[-1 if resource["Type"] == "AWS::Logs::LogGroup" else 0]
        if attribute == "Arn" and resource["Type"] == "AWS::RAM::Permission":
            return "shares " + " ".join(resource["Properties"]["PolicyTemplate"]["Action"])
        return f"{stack}-{name}.{attribute}"

    def _exported(self, name: str) -> Any:
        for stack, template in self.stacks.items():
            for output in template.get("Outputs", {}).values():
                if output.get("Export", {}).get("Name") == name:
                    return self._resolved(stack, output["Value"])
        raise KeyError(name)


def _passed(kind: str, allowance: Allowance) -> bool:
    """
    Whether a statement lets Lambda alone take a role: it takes it from whoever may pass it.

    Nobody passes another account's role (IAM user guide, "Grant a user permissions to pass a role to an AWS service").
    """
    return kind == "AWS::IAM::Role" and set(allowance.principals) == {("Service", "lambda.amazonaws.com")}


def _shared(permission: str) -> Iterable[str]:
    """The actions of a permission of RAM's."""
    if permission.startswith("shares "):
        return permission.removeprefix("shares ").split()
    assert permission.endswith("/AWSRAMDefaultPermissionCertificateAuthority"), permission
    return ISSUING


def _permission(properties: Mapping[str, Any]) -> Allowance:
    """A statement of a function's policy, whose principal is a service, an account or an ARN."""
    principal = properties["Principal"]
    conditions = {"SourceArn": "aws:sourcearn", "SourceAccount": "aws:sourceaccount"}
    return Allowance(
        actions=(properties["Action"].lower(),),
        principals=(("Service" if principal.endswith(".amazonaws.com") else "AWS", principal),),
        conditions=tuple(
            ("arnlike", key, (properties[field],)) for field, key in conditions.items() if field in properties
        ),
    )


def _at(properties: Mapping[str, Any], way: str) -> Any:
    found: Any = properties
    for step in way.split("."):
        found = found.get(step, {})
    return found


def _take(properties: dict[str, Any], way: str) -> None:
    *steps, last = way.split(".")
    _at(properties, ".".join(steps)).pop(last, None) if steps else properties.pop(last, None)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
