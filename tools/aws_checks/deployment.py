"""A deployed mesh: where each part that the mesh file names is in the account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import AccessDenied, AwsRefused, IdentityMissing
from meshcert.material import ListSource, TrustBundle, join_certificates, split_certificates
from meshcert.mesh.existing import roots_in_files
from meshcert.mesh.stacks.shards import SHARDED, stacks_of
from meshcert.publishing.publication import version_labelled
from stacks.bundling import ROOT

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from meshcert.mesh import Mesh
    from tools.aws_checks.account import Account


ACM, PRIVATE_CA = "acm", "acm-pca"
"""The issuers, as the mesh file writes them."""


class NotDeployed(Exception):
    """
    The mesh's stacks are not in this account and region.

    Args:
        stack: Name of the missing stack.
    """

    def __init__(self, stack: str, account_id: str, region: str) -> None:
        self.stack = stack
        super().__init__(
            f"There is no stack {stack} in account {account_id}, region {region}. "
            "Run make deploy first, or use the credentials and the region it was run with"
        )


@dataclass(frozen=True)
class Deployment:
    """
    A deployed mesh.

    Args:
        partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.
        account_id: Twelve digits.
        now: The time, UTC.
        is_planned: Whether it is yet to be deployed.
        cell: The cell whose part of a mesh this is; empty for a mesh without cells.
    """

    mesh: Mesh
    account: Account
    partition: str
    region: str
    account_id: str
    now: dt.datetime
    is_planned: bool = False
    cell: str = ""

    @classmethod
    def planned(cls, mesh: Mesh, account: Account, region: str, now: dt.datetime, cell: str = "") -> Deployment:
        """
        The mesh as a deploy would make it in the account that the credentials belong to.

        Args:
            mesh: The whole mesh, or a cell's part of it.
            now: The time, UTC.
            cell: The cell.

        Raises:
            MeshcertError: If the credentials are not accepted.
        """
        caller = account.read("sts:GetCallerIdentity")
        partition = caller["Arn"].split(":")[1]
        return cls(mesh, account, partition, region, caller["Account"], now, is_planned=True, cell=cell)

    @classmethod
    def find(cls, mesh: Mesh, account: Account, region: str, now: dt.datetime, cell: str = "") -> Deployment:
        """
        The mesh as deployed to the account that the credentials belong to.

        Args:
            mesh: The whole mesh, or a cell's part of it.
            now: The time, UTC.
            cell: The cell.

        Raises:
            MeshcertError: If the credentials are not accepted.
            NotDeployed: If its stacks are not there.
        """
        deployment = replace(cls.planned(mesh, account, region, now, cell), is_planned=False)
        stack = deployment.stack("identities")
        try:
            account.read("cloudformation:DescribeStacks", StackName=stack)
        except AccessDenied:
            # The checks that need the stacks will say so; the others work without.
            return deployment
        except AwsRefused as error:
            # CloudFormation has no error code of its own for a stack that does not exist.
            if error.code != "ValidationError":
                raise
            raise NotDeployed(stack, deployment.account_id, region) from error
        return deployment

    @property
    def name(self) -> str:
        """The mesh's name."""
        return self.mesh.name

    def stack(self, part: str) -> str:
        """Name of the stack ``pki``, ``identities``, ``services`` or ``renewal``."""
        return "-".join(filter(None, (self.name, self.cell, part)))

    def arn(self, service: str, resource: str) -> str:
        """An ARN in this account and region."""
        region = "" if service == "iam" else self.region
        return f"arn:{self.partition}:{service}:{region}:{self.account_id}:{resource}"

    def role_arn(self, owner: str) -> str:
        """The ARN of the role of a function, of operators, or of a service's tasks."""
        return self.arn("iam", f"role/{naming.role(self.name, self.region, owner)}")

    def resources(self, part: str, kind: str) -> dict[str, Mapping[str, Any]]:
        """
        The stack's resources of a CloudFormation type: logical id → summary.

        Raises:
            IdentityMissing: If it has none.
        """
        stack = self.stack(part)
        answer = self.account.read("cloudformation:ListStackResources", StackName=stack)
        found = {each["LogicalResourceId"]: each for each in answer["StackResourceSummaries"]}
        found = {logical_id: each for logical_id, each in found.items() if each["ResourceType"] == kind}
        if not found:
            raise IdentityMissing(f"{kind} in stack {stack}", "Deploy it")
        return found

    def declared(self, part: str, kind: str) -> dict[str, Mapping[str, Any]]:
        """
        The resources of a type in the deployed template: logical id → properties, as :meth:`resolved`.

        Those of a part's shards are among them; a logical id says of which service or identity it is.
        """
        parts = stacks_of(part, self.mesh.shards, getattr(self.mesh, part)) if part in SHARDED else [part]
        templates = (
            self.account.read("cloudformation:GetTemplate", StackName=self.stack(each))["TemplateBody"]
            for each in parts
        )
        return {
            logical_id: self.resolved(resource.get("Properties", {}))
            for template in templates
            for logical_id, resource in template["Resources"].items()
            if resource["Type"] == kind
        }

    def resolved(self, value: Any) -> Any:
        """
        A value of a template with its pseudo parameters filled in, and the texts that it joins from them joined.

        Other functions of CloudFormation stay as they are.
        """
        if isinstance(value, list):
            return [self.resolved(each) for each in value]
        if not isinstance(value, dict):
            return value
        value = {key: self.resolved(each) for key, each in value.items()}
        if value.keys() == {"Ref"}:
            pseudo = {"Partition": self.partition, "Region": self.region, "AccountId": self.account_id}
            return pseudo.get(value["Ref"].removeprefix("AWS::"), value)
        if value.keys() == {"Fn::Join"} and all(isinstance(part, str) for part in value["Fn::Join"][1]):
            separator, parts = value["Fn::Join"]
            return separator.join(parts)
        return value

    def identities(self, issuer: str) -> list[str]:
        """The identities whose certificates an issuer gives: :data:`ACM` or :data:`PRIVATE_CA`."""
        return [name for name, identity in self.mesh.identities.items() if identity.issuer == issuer]

    def issued(self, identity: str) -> Mapping[str, Any]:
        """
        An identity's certificate and its chain as its issuer has them: ``Certificate`` and ``CertificateChain``, PEM.

        Raises:
            IdentityMissing: If the export function has not recorded it.
        """
        arn = self.certificate_arn(identity)
        if self.mesh.identities[identity].issuer == ACM:
            return self.account.read("acm:GetCertificate", CertificateArn=arn)
        authority = arn.partition("/certificate/")[0]
        return self.account.read("acm-pca:GetCertificate", CertificateAuthorityArn=authority, CertificateArn=arn)

    def certificate_arn(self, identity: str) -> str:
        """
        The ARN of an identity's certificate, ACM's or Private CA's.

        Raises:
            IdentityMissing: If the export function has not recorded it.
        """
        table = naming.identities_table(self.name)
        answer = self.account.read("dynamodb:GetItem", TableName=table, Key={"name": {"S": identity}})
        if "Item" not in answer:
            raise IdentityMissing(f"The row {identity} of table {table}", "Deploy it")
        return str(answer["Item"]["certificate_arn"]["S"])

    def authority(self, hierarchy: str, role: str) -> Mapping[str, Any]:
        """
        Private CA's description of a CA of this mesh.

        Args:
            role: ``root`` or ``issuing``; with a single tier, both mean the root CA; with one of yours, that one.

        Raises:
            IdentityMissing: If the stack has no such CA.
        """
        if existing := self.mesh.hierarchies[hierarchy].existing:
            answer = self.account.read("acm-pca:DescribeCertificateAuthority", CertificateAuthorityArn=existing.arn)
            theirs: Mapping[str, Any] = answer["CertificateAuthority"]
            return theirs
        role = "root" if self.mesh.hierarchies[hierarchy].tiers == 1 else role
        wanted = f"{hierarchy} {role} CA"
        for resource in self.resources("pki", "AWS::ACMPCA::CertificateAuthority").values():
            arn = resource["PhysicalResourceId"]
            answer = self.account.read("acm-pca:DescribeCertificateAuthority", CertificateAuthorityArn=arn)
            description: Mapping[str, Any] = answer["CertificateAuthority"]
            if description["CertificateAuthorityConfiguration"]["Subject"].get("CommonName") == wanted:
                return description
        raise IdentityMissing(f"{wanted} in stack {self.stack('pki')}", "Deploy it")

    def authorities(self, hierarchy: str) -> list[Mapping[str, Any]]:
        """The CAs of a hierarchy: the root CA, then the issuing CA if there are two tiers."""
        roles = ("root", "issuing")[: self.mesh.hierarchies[hierarchy].made or 1]
        return [self.authority(hierarchy, role) for role in roles]

    def root_certificate(self, hierarchy: str) -> str:
        """The certificate of a hierarchy's root CA, PEM: the end of its chain, or of another region's, the file's."""
        named = self.mesh.hierarchies[hierarchy]
        if named.is_remote and named.existing:
            return roots_in_files(self.mesh.part(hierarchies={hierarchy: named}), ROOT)[named.existing.arn]
        return self._complete_chain(self.authority(hierarchy, "root")["Arn"])[-1]

    def chain(self, authority: str) -> list[str]:
        """The certificates above a CA's own, PEM, the nearest first."""
        return self._complete_chain(authority)[1:]

    def trust_bundle(self, hierarchy: str) -> TrustBundle:
        """A hierarchy's trust bundle as it should be: roots, and where revocation lists are."""
        bucket = naming.revocation_bucket(self.name, self.account_id, self.region)
        own = [name for name in self.mesh.listed(hierarchy) if self.mesh.hierarchies[name].made]
        arns = [str(authority["Arn"]) for name in own for authority in self.authorities(name)]
        lists = [
            ListSource(bucket, naming.revocation_list(arn.rpartition("/")[2]), self._complete_chain(arn)[0])
            for arn in arns
        ]
        for name in self.mesh.listed(hierarchy):
            if existing := self.mesh.hierarchies[name].existing:
                lists += map(ListSource.at, existing.lists, self._complete_chain(existing.arn))
        roots = dict.fromkeys(self.root_certificate(name).strip() for name in self.mesh.trusted(hierarchy))
        return TrustBundle(join_certificates(roots), tuple(lists))

    def _complete_chain(self, arn: str) -> list[str]:
        """A CA's own certificate, and those of its issuers up to the root."""
        answer = self.account.read("acm-pca:GetCertificateAuthorityCertificate", CertificateAuthorityArn=arn)
        return [str(answer["Certificate"]), *split_certificates(str(answer.get("CertificateChain", "")))]

    def labels(self, secret_id: str) -> dict[str, frozenset[str]]:
        """Staging labels of a secret's versions, by version id."""
        answer = self.account.read("secretsmanager:DescribeSecret", SecretId=secret_id)
        return {version: frozenset(labels) for version, labels in answer.get("VersionIdsToStages", {}).items()}

    def current_version(self, secret_id: str) -> str:
        """The version id of a secret's current version; empty if it has none."""
        return version_labelled(self.labels(secret_id), CURRENT) or ""

    def secrets(self) -> dict[str, str]:
        """All secrets of the mesh: purpose → name."""
        identities = {name: naming.identity_secret(self.name, name) for name in self.mesh.identities}
        bundles = {f"trust in {name}": naming.trust_bundle_secret(self.name, name) for name in self.mesh.hierarchies}
        return identities | bundles
