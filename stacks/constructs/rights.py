"""
Rights on the parts of one mesh: every statement but three is limited by name, by prefix or by tag.

One reads what is public of any ACM certificate in the account (``certificates_of_the_account``); two, of operators
alone, see rules of security groups and names of Cloud Map services (``security_groups``, ``registrations``).

A part's name comes from :mod:`meshcert.naming`, so a policy can name it before it exists, and without an import from
another stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_iam as iam

from meshcert import naming
from meshcert.contract.route_rows import SETTINGS_PREFIX
from stacks.findings import accept

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from meshcert.mesh import Mesh


VIA_SECRETS_MANAGER = {"kms:ViaService": f"secretsmanager.{Aws.REGION}.{Aws.URL_SUFFIX}"}
"""The condition on a key that only Secrets Manager uses it, on a role's behalf."""
_WITHOUT_RESOURCE = {
    "ecs:ListTasks": "ecs:ListTasks has no resource; the condition limits it to the clusters of the mesh's services.",
    "ec2:DescribeSecurityGroups": "ec2:DescribeSecurityGroups has no resource; the condition limits it to the region.",
}
"""Why a statement may name every resource, by its action."""
_OF_A_CLUSTER = re.compile(r":(service|task)/[^/]+/\*$")


@dataclass(frozen=True)
class MeshRights:
    """
    Makes policy statements for one mesh in the stack's account and region.

    Args:
        mesh: Its name.
        existing_authorities: ARNs of the CAs of the user's that sign for it.
        has_own_authorities: Whether a deploy makes CAs for it.
        namespace_owner: Account that owns its Cloud Map namespace, if the file names that by its ARN; empty if not.
    """

    mesh: str
    existing_authorities: tuple[str, ...] = ()
    has_own_authorities: bool = True
    namespace_owner: str = ""

    @classmethod
    def of(cls, mesh: Mesh) -> MeshRights:
        """For the parts of a mesh and the CAs that sign for it."""
        hierarchies = mesh.hierarchies.values()
        existing = tuple(each.existing.arn for each in hierarchies if each.existing and not each.is_remote)
        return cls(mesh.name, existing, any(each.made for each in hierarchies), mesh.namespace_owner)

    @property
    def deploy_function_arn(self) -> str:
        """The function that answers custom resources, by its name: an export would tie the stacks together."""
        return self.arn("lambda", f"function:{naming.function(self.mesh, 'deploy')}")

    def certificates(self, sid: str, *actions: str) -> iam.PolicyStatement:
        """A statement on the mesh's ACM certificates, recognised by their tag: ACM makes up their ids."""
        return self._tagged(sid, actions, self.arn("acm", "certificate/*"))

    def certificates_of_the_account(self, sid: str, *actions: str) -> iam.PolicyStatement:
        """
        A statement on every ACM certificate of the account and region, only for reading what is public.

        A certificate that is gone has no tag: a role that may see only tagged ones is denied, and never learns that
        it is gone.
        """
        return _allow(sid, actions, self.arn("acm", "certificate/*"))

    def authorities(self, sid: str, *actions: str) -> list[iam.PolicyStatement]:
        """Statements on all CAs that sign for the mesh: its own, and the user's."""
        return [*self.own_authorities(sid, *actions), *self.authorities_of_yours(f"{sid}OfYours", *actions)]

    def own_authorities(self, sid: str, *actions: str) -> list[iam.PolicyStatement]:
        """A statement on the mesh's own CAs, recognised by their tag; none if it has none."""
        resource = self.arn("acm-pca", "certificate-authority/*")
        return [self._tagged(sid, actions, resource)] if self.has_own_authorities else []

    def authorities_of_yours(self, sid: str, *actions: str) -> list[iam.PolicyStatement]:
        """A statement on exactly the CAs of the user's that the mesh file names; none if it names none."""
        return [_allow(sid, actions, *self.existing_authorities)] if self.existing_authorities else []

    def own_signing_authorities(self, sid: str, *actions: str) -> list[iam.PolicyStatement]:
        """A statement on those of the mesh's own CAs that sign certificates of workloads: no root above another CA."""
        statements = self.own_authorities(sid, *actions)
        # Beside the mesh's tag, under the same operator: both are asked for.
        signs = {f"aws:ResourceTag/{naming.SIGNS_TAG}": naming.SIGNS_CERTIFICATES}
        for statement in statements:
            statement.add_condition("StringEquals", signs)
        return statements

    def issuing(self, sid: str) -> list[iam.PolicyStatement]:
        """
        Statements to have certificates of workloads issued by the CAs that sign them.

        IAM knows the CA and the template, and nothing of names or validity: who has this right may be anybody.
        """
        action = "acm-pca:IssueCertificate"
        statements = [*self.own_signing_authorities(sid, action), *self.authorities_of_yours(f"{sid}OfYours", action)]
        for statement in statements:
            statement.add_condition("ArnLike", {"acm-pca:TemplateArn": naming.leaf_template(Aws.PARTITION)})
        return statements

    def issuance_parameters(self, sid: str, *actions: str) -> iam.PolicyStatement:
        """A statement on the parameters that say what may be issued."""
        name = naming.issuance_parameter(self.mesh, "*").removeprefix("/")
        return _allow(sid, actions, self.arn("ssm", f"parameter/{name}"))

    def secrets(self, sid: str, *actions: str) -> iam.PolicyStatement:
        """A statement on all secrets of the mesh: identities and trust bundles."""
        return _allow(sid, actions, self.arn("secretsmanager", f"secret:meshcert/{self.mesh}/*"))

    def identity_secrets(self, sid: str, *actions: str) -> iam.PolicyStatement:
        """A statement on the secrets with identities' material."""
        prefix = naming.identity_secret(self.mesh, "*")
        return _allow(sid, actions, self.arn("secretsmanager", f"secret:{prefix}"))

    def foreign_bundle_secrets(self, sid: str, *actions: str) -> iam.PolicyStatement:
        """A statement on the secrets with bundles of foreign trust domains."""
        prefix = naming.foreign_bundle_secret(self.mesh, "*")
        return _allow(sid, actions, self.arn("secretsmanager", f"secret:{prefix}"))

    def trust_bundle_secrets(self, sid: str, hierarchies: Iterable[str], *actions: str) -> iam.PolicyStatement:
        """A statement on the secrets with the trust bundles of these hierarchies."""
        names = [f"{naming.trust_bundle_secret(self.mesh, hierarchy)}-??????" for hierarchy in hierarchies]
        return _allow(sid, actions, *(self.arn("secretsmanager", f"secret:{name}") for name in names))

    def own_bundle(self, sid: str, *actions: str) -> tuple[iam.PolicyStatement, iam.PolicyStatement]:
        """
        Statements on the object with the mesh's own SPIFFE bundle, and on learning that it is not there.

        To those who may not list the bucket, S3 says "denied" of an object that does not exist.
        """
        bucket = f"arn:{Aws.PARTITION}:s3:::{naming.bundle_bucket(self.mesh, Aws.ACCOUNT_ID, Aws.REGION)}"
        missing = _allow(f"{sid}Missing", ["s3:ListBucket"], bucket)
        return _allow(sid, actions, f"{bucket}/{naming.BUNDLE_OBJECT}"), missing

    def table(self, sid: str, name: str, *actions: str, index: str = "") -> iam.PolicyStatement:
        """A statement on a table, or on one index of it alone."""
        resource = f"table/{name}/index/{index}" if index else f"table/{name}"
        return _allow(sid, actions, self.arn("dynamodb", resource))

    def own_rows(self, sid: str, name: str, key: str, *actions: str) -> iam.PolicyStatement:
        """A statement on the rows of a table with one partition key."""
        statement = self.table(sid, name, *actions)
        # "For all" is true of no keys at all, so their presence is asked for too (IAM guide, "Set operators").
        statement.add_condition("ForAllValues:StringEquals", {"dynamodb:LeadingKeys": [key]})
        statement.add_condition("Null", {"dynamodb:LeadingKeys": "false"})
        return statement

    def settings_rows(self, sid: str, *actions: str) -> iam.PolicyStatement:
        """A statement on the rows of the table ``routes`` with settings of attached services."""
        statement = self.table(sid, naming.routes_table(self.mesh), *actions)
        statement.add_condition("ForAllValues:StringLike", {"dynamodb:LeadingKeys": [f"{SETTINGS_PREFIX}*"]})
        statement.add_condition("Null", {"dynamodb:LeadingKeys": "false"})
        return statement

    def services(self, sid: str, places: Collection[str], *actions: str) -> tuple[iam.PolicyStatement, ...]:
        """
        A statement on the mesh's ECS services: all of its own cluster, and none but its own in another one.

        Args:
            places: ``CLUSTER/SERVICE`` of each; without any there is no statement.
        """
        own = naming.cluster(self.mesh)
        exact = [self.arn("ecs", f"service/{place}") for place in places if _cluster_of(place) != own]
        resources = (*self._in_clusters("service", [own], places), *exact)
        return (_allow(sid, actions, *resources),) if places else ()

    def tasks(self, sid: str, places: Collection[str], *actions: str) -> tuple[iam.PolicyStatement, ...]:
        """
        A statement on the tasks of the clusters that the mesh's services run in: ECS makes up a task's id.

        Args:
            places: As for :meth:`services`.
        """
        return (_allow(sid, actions, *self._in_clusters("task", _clusters(places), places)),) if places else ()

    def task_lists(self, sid: str, places: Collection[str]) -> tuple[iam.PolicyStatement, ...]:
        """
        A statement to list the tasks of these clusters: a condition, since the action has no resource.

        Args:
            places: As for :meth:`services`.
        """
        if not places:
            return ()
        clusters = [self.arn("ecs", f"cluster/{cluster}") for cluster in _clusters(places)]
        statement = _allow(sid, ["ecs:ListTasks"], "*")
        statement.add_condition("ArnEquals", {"ecs:cluster": clusters if len(clusters) > 1 else clusters[0]})
        return (statement,)

    def security_groups(self, sid: str) -> iam.PolicyStatement:
        """A statement to see rules of security groups: a condition, since the action has no resource."""
        statement = _allow(sid, ["ec2:DescribeSecurityGroups"], "*")
        statement.add_condition("StringEquals", {"aws:RequestedRegion": Aws.REGION})
        return statement

    def registrations(self, sid: str) -> iam.PolicyStatement:
        """A statement to see what Cloud Map services are called: Cloud Map makes up their ids."""
        return _allow(sid, ["servicediscovery:GetService"], *self._registrations)

    @property
    def _registrations(self) -> tuple[str, ...]:
        """All Cloud Map services of the account, and of that which owns the mesh's namespace."""
        own = self.arn("servicediscovery", "service/*")
        return (own, own.replace(Aws.ACCOUNT_ID, self.namespace_owner)) if self.namespace_owner else (own,)

    def function(self, sid: str, name: str) -> iam.PolicyStatement:
        """A statement to invoke one of the mesh's functions."""
        return _allow(
            sid, ["lambda:InvokeFunction"], self.arn("lambda", f"function:{naming.function(self.mesh, name)}")
        )

    def queue(self, sid: str, name: str, *actions: str) -> iam.PolicyStatement:
        """A statement on one of the mesh's queues."""
        return _allow(sid, actions, self.arn("sqs", naming.queue(self.mesh, name)))

    def received_by_lambda(self, sid: str, *names: str) -> iam.PolicyStatement:
        """A statement that lets Lambda take a function's messages from queues (Lambda guide, "Using Amazon SQS")."""
        queues = [self.arn("sqs", naming.queue(self.mesh, name)) for name in names]
        return _allow(sid, ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], *queues)

    def audit(self, sid: str, *actions: str) -> iam.PolicyStatement:
        """A statement on the audit log group and its streams."""
        return _allow(sid, actions, self._audit)

    def attach(self, role: iam.Role, statements: Iterable[iam.PolicyStatement]) -> None:
        """
        Give a role these rights, in a policy that belongs to it: what waits for the role waits for its rights.

        Args:
            statements: From this object, or others that name their resources exactly.
        """
        statements = list(statements)
        policy = iam.Policy(role, "Rights", statements=statements, roles=[role])
        named = {resource for statement in statements for resource in statement.resources}
        granted = {action for statement in statements if "*" in statement.resources for action in statement.actions}
        without = " ".join(reason for action, reason in _WITHOUT_RESOURCE.items() if action in granted)
        for resource, reason in {**self._wildcards(), "*": without}.items():
            if resource in named:
                accept(policy, f"AwsSolutions-IAM5[Resource::{_as_told(resource)}]", reason)
        for resource in sorted(each for each in named if _OF_A_CLUSTER.search(each)):
            reason = "The prefix is a cluster of the mesh's services; ids of tasks are made up by ECS."
            accept(policy, f"AwsSolutions-IAM5[Resource::{_as_told(resource)}]", reason)

    def arn(self, service: str, resource: str) -> str:
        """An ARN in the stack's account and region."""
        return f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}:{resource}"

    @property
    def _audit(self) -> str:
        return self.arn("logs", f"log-group:{naming.log_group(self.mesh, naming.AUDIT)}:*")

    def _wildcards(self) -> dict[str, str]:
        """Every wildcard resource that a statement made here may name, and the reason why it is right."""
        return {
            self.arn("acm", "certificate/*"): (
                "ACM makes up certificate ids; the condition limits this to certificates tagged with this mesh. They "
                "are described without it, for one that is gone has no tag."
            ),
            self.arn("acm-pca", "certificate-authority/*"): (
                "The condition limits this to CAs tagged with this mesh; CA certificates are public."
            ),
            self.arn("secretsmanager", f"secret:meshcert/{self.mesh}/*"): (
                "The prefix is this mesh's own: every secret under it is written by this function."
            ),
            self.arn("secretsmanager", f"secret:{naming.identity_secret(self.mesh, '*')}"): (
                "The prefix is this mesh's own: every secret under it holds the material of one of its identities."
            ),
            self.arn("secretsmanager", f"secret:{naming.foreign_bundle_secret(self.mesh, '*')}"): (
                "The prefix is this mesh's own: every secret under it holds public roots of another trust domain."
            ),
            self.arn("ssm", f"parameter/{naming.issuance_parameter(self.mesh, '*').removeprefix('/')}"): (
                "The prefix is this mesh's own: CloudFormation alone writes these parameters."
            ),
            **dict.fromkeys(
                self._registrations, "Cloud Map makes up ids of services; what is read is how tasks are registered."
            ),
            self._audit: "The wildcard stands for the log group's streams.",
        }

    def _in_clusters(self, kind: str, clusters: Iterable[str], places: Iterable[str]) -> list[str]:
        """The services or tasks of those of these clusters that have services of the mesh."""
        used = _clusters(places)
        return [self.arn("ecs", f"{kind}/{cluster}/*") for cluster in clusters if cluster in used]

    def _tagged(self, sid: str, actions: Iterable[str], resource: str) -> iam.PolicyStatement:
        statement = _allow(sid, actions, resource)
        statement.add_condition("StringEquals", {f"aws:ResourceTag/{naming.TAG}": self.mesh})
        return statement


def ecs_tasks() -> iam.ServicePrincipal:
    """
    The principal of a role for tasks: Amazon ECS, when it acts for this account and region.

    Otherwise another account's tasks could be given the role (ECS developer guide, "Amazon ECS task IAM role": it asks
    for both conditions against a confused deputy, and names no narrower ARN).
    """
    return iam.ServicePrincipal(
        "ecs-tasks.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
            "ArnLike": {"aws:SourceArn": f"arn:{Aws.PARTITION}:ecs:{Aws.REGION}:{Aws.ACCOUNT_ID}:*"},
        },
    )


def schedules() -> iam.ServicePrincipal:
    """
    The principal of a role for schedules: Amazon EventBridge Scheduler, when it acts for this account.

    Otherwise another account's schedule could use the role (EventBridge Scheduler guide, "Confused deputy prevention").
    """
    return iam.ServicePrincipal(
        "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
    )


def _allow(sid: str, actions: Iterable[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))


def _clusters(places: Iterable[str]) -> list[str]:
    """The clusters of these places, each once."""
    return list(dict.fromkeys(map(_cluster_of, places)))


def _cluster_of(place: str) -> str:
    return place.partition("/")[0]


def _as_told(resource: str) -> str:
    """The resource as cdk-nag writes it in a finding, with parameters in angle brackets."""
    for token, name in (
        (Aws.PARTITION, "Partition"),
        (Aws.REGION, "Region"),
        (Aws.ACCOUNT_ID, "AccountId"),
    ):
        resource = resource.replace(token, f"<AWS::{name}>")
    return resource
