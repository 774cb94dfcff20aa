"""Identities and trust bundles: each a secret, and the custom resource that has the deploy function fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Aws, CustomResource, Duration, RemovalPolicy, SecretValue, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from meshcert import naming
from meshcert.deploying.existing_authorities import existing_properties
from meshcert.identity import IDENTITY_SCHEMA
from meshcert.material.document import PLACEHOLDER
from meshcert.mesh.existing import wanted_authority
from meshcert.publishing.declared_roots import root_digest
from stacks.constructs.certificates.issuance import certificate_origin
from stacks.constructs.certificates.revocation_bucket import bucket_name
from stacks.findings import accept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_kms as kms

    from meshcert.mesh import Mesh
    from stacks.constructs.certificates.hierarchy import SigningAuthorities
    from stacks.constructs.python_function import PythonFunction

PUBLISHED_WITHIN = Duration.minutes(6)
"""How long CloudFormation waits for the deploy function's answer."""


class PublishedSecret(secretsmanager.Secret):
    """
    A secret that only the roles named here may publish to; a deploy may still write its placeholder.

    Its policy does not limit reading: the roles' own policies do.

    It is kept when it leaves the template: running tasks still read it, and a redeploy adopts it (docs/deploying.md).

    Args:
        name: The secret's name.
        description: What it holds, for people.
        key: Encrypts it.
        movers: Owners of the roles that may move its labels.
        writers: Owners of the roles that may publish versions.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: str,
        name: str,
        description: str,
        key: kms.IKey,
        movers: tuple[str, ...] = (naming.EXPORT_ROLE,),
        writers: tuple[str, ...] = (naming.EXPORT_ROLE,),
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            secret_name=name,
            description=description,
            encryption_key=key,
            # Constant on purpose: if this text changed, CloudFormation would publish it over the material.
            secret_string_value=SecretValue.unsafe_plain_text(PLACEHOLDER),
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        accept(
            self,
            "AwsSolutions-SMG4",
            "meshcert is the rotation: it publishes a version whenever ACM renews; trust bundles hold nothing secret.",
        )
        roles = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role"
        qualifier = self.node.try_get_context("@aws-cdk/core:bootstrapQualifier") or naming.BOOTSTRAP_QUALIFIER
        deploy_role = f"{roles}/{naming.deploy_role(qualifier, Aws.ACCOUNT_ID, Aws.REGION)}"

        def named(*owners: str) -> list[str]:
            return [f"{roles}/{naming.role(mesh, Aws.REGION, owner)}" for owner in owners]

        # Only values and labels are denied: administrators keep the policy, describe and delete actions,
        # so a mistake here cannot lock anyone out.
        for sid, action, allowed in (
            ("OnlyTheExportFunctionWrites", "secretsmanager:PutSecretValue", named(*writers)),
            ("OnlyTheLifecycleMovesLabels", "secretsmanager:UpdateSecretVersionStage", named(*movers)),
            ("OnlyADeployUpdates", "secretsmanager:UpdateSecret", [deploy_role]),
        ):
            self.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=sid,
                    effect=iam.Effect.DENY,
                    principals=[iam.AnyPrincipal()],
                    actions=[action],
                    resources=["*"],
                    conditions={"ArnNotLike": {"aws:PrincipalArn": allowed}},
                )
            )


class TrustBundleResources(Construct):
    """
    The secret with the roots that peers of one hierarchy are checked against.

    Args:
        hierarchy: Name of the hierarchy.
        authorities: The CAs of every hierarchy; the bundle also holds the roots of those it is trusted together with.
        roots_of_yours: The roots of CAs of the user's, PEM, by the CA's ARN.
        key: Encrypts the secret.
        deploy: Publishes into it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: Mesh,
        hierarchy: str,
        authorities: Mapping[str, SigningAuthorities],
        roots_of_yours: Mapping[str, str],
        key: kms.IKey,
        deploy: PythonFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        self.secret = PublishedSecret(
            self,
            "Secret",
            mesh=mesh.name,
            name=naming.trust_bundle_secret(mesh.name, hierarchy),
            description=f"Trust bundle of {hierarchy}: root certificates only, no key",
            key=key,
        )
        trusted = mesh.trusted(hierarchy)
        roots = [authorities[name].root_arn for name in trusted]
        # A new number publishes a root's new certificate.
        reissues = [mesh.hierarchies[name].reissue for name in trusted]
        lists = [
            {"Bucket": bucket_name(mesh.name), "CertificateAuthorityArn": arn}
            for name in mesh.listed(hierarchy)
            if mesh.hierarchies[name].made
            for arn in authorities[name].arns
        ]
        named = [
            {"CertificateAuthorityArn": existing.arn, "Locations": list(existing.lists)}
            for name in mesh.listed(hierarchy)
            if (existing := mesh.hierarchies[name].existing)
        ]
        declared = {arn: root_digest(roots_of_yours[arn]) for arn in roots if arn in roots_of_yours}
        remote = [authorities[name].root_arn for name in trusted if mesh.hierarchies[name].is_remote]
        wanted = wanted_authority(mesh, hierarchy)
        self.published = have_published(
            self,
            "Custom::MeshcertTrustBundle",
            deploy,
            {
                "Mesh": mesh.name,
                "Hierarchy": hierarchy,
                "SecretId": self.secret.secret_arn,
                # One alone stays a string, as it always was: another shape would have every bundle published again.
                "RootCertificateAuthorityArn": roots if len(roots) > 1 else roots[0],
                "Reissue": reissues if len(reissues) > 1 else reissues[0],
                "Identities": list(mesh.checked_against(hierarchy)),
                **({"RevocationLists": lists} if lists else {}),
                **({"NamedLists": named} if named else {}),
                **({"DeclaredRoots": declared} if declared else {}),
                **({"RemoteRoots": {arn: roots_of_yours[arn] for arn in remote}} if remote else {}),
                **({"Existing": existing_properties(wanted)} if wanted else {}),
            },
        )
        """The custom resource that is complete once the bundle is current in its secret."""


class IdentityResources(Construct):
    """
    The secret with an identity's material, and what its certificates are: one of ACM, or terms for Private CA.

    Args:
        name: The identity's name in the mesh file.
        mesh: Declares the identity, and the names its peers will ask for.
        served_by: The services whose proxies hold it, in the order of a rollout.
        authorities: The CAs of every hierarchy, those that issue it among them.
        key: Encrypts the secret.
        deploy: Publishes into it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        mesh: Mesh,
        served_by: Sequence[str],
        authorities: Mapping[str, SigningAuthorities],
        key: kms.IKey,
        deploy: PythonFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        declared = mesh.identities[name]
        hierarchy = authorities[declared.hierarchy]
        source = certificate_origin(self, name=name, mesh=mesh, hierarchy=hierarchy)
        self.secret = PublishedSecret(
            self,
            "Secret",
            mesh=mesh.name,
            name=naming.identity_secret(mesh.name, name),
            description=f"Material of {name}: certificate, chain, encrypted private key and its passphrase",
            key=key,
            # A rollback moves labels, and the renewal function does that.
            movers=(naming.EXPORT_ROLE, naming.RENEWAL_ROLE),
        )
        jobs = [service for service in served_by if mesh.services[service].is_job]
        self._published = have_published(
            self,
            "Custom::MeshcertIdentity",
            deploy,
            {
                "Mesh": mesh.name,
                "Identity": name,
                **source.properties,
                "SecretId": self.secret.secret_arn,
                "RootCertificateAuthorityArn": hierarchy.root_arn,
                "CertificateAuthorityArns": list(hierarchy.arns),
                "Names": [str(name) for name in declared.names],
                "PeerNames": [str(demanded) for demanded in mesh.peer_names(name)],
                "TrustedByPeers": [authorities[trusted].root_arn for trusted in mesh.trusted_by_peers(name)],
                "Services": [_as_served(mesh, service) for service in served_by if service not in jobs],
                **({"Jobs": jobs} if jobs else {}),
                **({"ExistingAuthority": "true"} if mesh.hierarchies[declared.hierarchy].existing else {}),
                # Nobody reads it: a change makes CloudFormation send an update, which writes the row again.
                "Schema": str(IDENTITY_SCHEMA),
            },
        )
        self._published.node.add_dependency(source.resource)
        self._of_yours = source.resource if mesh.hierarchies[declared.hierarchy].existing else None
        self._hierarchy = declared.hierarchy

    def published_after(self, bundles: Mapping[str, TrustBundleResources]) -> None:
        """
        Have this published after the trust bundles: peers must know a root before they meet its certificates.

        Of a CA of the user's nothing is asked before its bundle is there, for then it was looked at.
        """
        if any(Stack.of(bundle) is not Stack.of(self) for bundle in bundles.values()):
            return  # a shard's stack comes after the one with the bundles as it is
        for bundle in bundles.values():
            self._published.node.add_dependency(bundle.published)
        if self._of_yours:
            self._of_yours.node.add_dependency(bundles[self._hierarchy].published)


def _as_served(mesh: Mesh, service: str) -> dict[str, str]:
    """What the lifecycle has to know of a service that serves an identity."""
    declared, place = mesh.services[service], mesh.ecs_place(service)
    return {
        "Name": service,
        "Rotation": declared.rotation.value,
        "PollIntervalS": f"{mesh.poll_interval_s(service):g}",
        # Nothing for what the functions take for granted, so that rows stay as they are.
        **({} if place == f"{naming.cluster(mesh.name)}/{service}" else {"Place": place}),
        **({"Attached": "true"} if declared.attached else {}),
    }


def have_published(scope: Construct, kind: str, deploy: PythonFunction, properties: dict[str, Any]) -> CustomResource:
    """A custom resource that is complete once the deploy function has published; a change runs it again."""
    same_stack = Stack.of(scope) is Stack.of(deploy)
    published = CustomResource(
        scope,
        "Published",
        resource_type=kind,
        service_token=deploy.function.function_arn if same_stack else deploy.arn_by_name,
        service_timeout=PUBLISHED_WITHIN,
        properties=properties,
    )
    if same_stack:
        # On the whole construct, not the function alone: the rights of its role must be there before it runs.
        published.node.add_dependency(deploy, deploy.role)
    return published
