"""
A private CA hierarchy: root CA, its own certificate, and an issuing CA under it if there are two tiers.

``usage`` is fixed at a CA's creation (UsageMode), as key and subject are: CloudFormation makes another CA of a change,
whose ARN the stacks above cannot take over, and fails. A new usage is a new hierarchy (``docs/trust.md``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aws_cdk import Aws, CfnOutput, CfnResource, RemovalPolicy, Stack, Tags
from aws_cdk import aws_acmpca as acmpca
from constructs import Construct

from meshcert import naming
from meshcert.issuing.existing_authority import ACM_ACTIONS
from meshcert.mesh.existing import USAGE_MODES
from meshcert.mesh.issuance import Usage
from meshcert.mesh.stacks.logical_ids import certificate_output

if TYPE_CHECKING:
    from meshcert.mesh import Hierarchy
    from stacks.constructs.certificates.revocation_bucket import RevocationBucket

LIST_DAYS = 7
"""Days that a revocation list is valid; Private CA makes the next one after half of them, or at a revocation."""


class SigningAuthorities(Protocol):
    """
    The CAs that sign for a hierarchy, whoever made them.

    Args:
        root_arn: ARN of the CA at the end of whose chain the trust anchor is: the root CA, or the user's.
        issuing_arn: ARN of the CA that signs leaves.
        arns: ARNs of all CAs that are known of it, the one that signs leaves first.
    """

    root_arn: str
    issuing_arn: str
    arns: tuple[str, ...]


class HierarchyAuthorities(Construct):
    """
    The CAs of one hierarchy, active, with permission for ACM to renew what the issuing one has signed.

    Every CA is kept when it leaves the template and when the stack is deleted, because a lost CA cannot be made again.
    It is not kept when its creation fails, because a forgotten one costs up to $400 a month.

    The one that signs leaves has the hierarchy's usage. A root above it is for general purpose: a short-lived CA signs
    no other CA ("Short-lived certificates" in the AWS Private CA user guide). Nor does it sign for ACM.

    Args:
        construct_id: Name of the hierarchy.
        hierarchy: Its declaration in the mesh file. A higher ``reissue`` makes new CA certificates on the same keys:
            the CAs, their ARNs and what they have issued stay.
        lists: The bucket its CAs write revocation lists to; None if they write none.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, hierarchy: Hierarchy, lists: RevocationBucket | None
    ) -> None:
        super().__init__(scope, construct_id)
        self._hierarchy = hierarchy
        self._lists = lists
        root = self._authority("Root", "ROOT")
        root_certificate = self._certificate("Root", root, root, years=hierarchy.root_validity_years)
        activation = self._activation("Root", root, root_certificate)
        issuing = root
        if hierarchy.tiers == 2:  # noqa: PLR2004 -- the mesh file's own word for "with an issuing CA"
            issuing = self._authority("Issuing", "SUBORDINATE")
            certificate = self._certificate("Issuing", issuing, root, years=hierarchy.issuing_validity_years)
            certificate.add_resource_dependency(activation)
            activation = self._activation(
                "Issuing", issuing, certificate, chain=activation.attr_complete_certificate_chain
            )
        if hierarchy.usage is Usage.GENERAL_PURPOSE:
            self._permission(issuing)
        Tags.of(issuing).add(naming.SIGNS_TAG, naming.SIGNS_CERTIFICATES)
        self.root_arn = root.attr_arn
        """ARN of the root CA: its certificate is the trust anchor."""
        self.issuing_arn = issuing.attr_arn
        """ARN of the CA that signs leaves: the issuing CA, or the root CA of a single-tier hierarchy."""
        self.arns = tuple(dict.fromkeys((issuing.attr_arn, root.attr_arn)))
        """ARNs of all CAs of the hierarchy: the one that signs leaves first, the root last."""

    def _permission(self, issuing: acmpca.CfnCertificateAuthority) -> None:
        """Let ACM renew: a request works without this permission; the renewal eleven months later does not."""
        permission = acmpca.CfnPermission(
            self,
            # Named after its CA: a change of tiers makes another one, instead of a second one that AWS refuses.
            f"AcmMayRenew{issuing.node.id}",
            actions=list(ACM_ACTIONS),
            certificate_authority_arn=issuing.attr_arn,
            principal="acm.amazonaws.com",
        )
        _keep(permission)

    def _authority(self, role: str, kind: str) -> acmpca.CfnCertificateAuthority:
        hierarchy = self._hierarchy
        signs_leaves = kind == "SUBORDINATE" or hierarchy.tiers == 1
        authority = acmpca.CfnCertificateAuthority(
            self,
            role,
            type=kind,
            key_algorithm=hierarchy.key_algorithm,
            signing_algorithm=hierarchy.signing_algorithm,
            usage_mode=USAGE_MODES[hierarchy.usage if signs_leaves else Usage.GENERAL_PURPOSE],
            revocation_configuration=self._revocation(),
            subject=acmpca.CfnCertificateAuthority.SubjectProperty(
                common_name=f"{self.node.id} {role.lower()} CA",
                **hierarchy.subject.model_dump(exclude_none=True),
            ),
        )
        if self._lists and self._lists.policy:
            # Private CA writes a test object when revocation lists are switched on.
            authority.node.add_dependency(self._lists.policy)
        _keep(authority)
        return authority

    def _revocation(self) -> acmpca.CfnCertificateAuthority.RevocationConfigurationProperty:
        """The revocation configuration. No lists is written out too, so that an update can switch them off."""
        kind = acmpca.CfnCertificateAuthority
        lists = kind.CrlConfigurationProperty(enabled=False)
        if self._lists:
            lists = kind.CrlConfigurationProperty(
                enabled=True,
                # The whole list in one object: the parts of a partitioned one are marked critical, which Envoy refuses.
                crl_type="COMPLETE",
                s3_bucket_name=self._lists.bucket_name,
                s3_object_acl="BUCKET_OWNER_FULL_CONTROL",
                expiration_in_days=LIST_DAYS,
                # The bucket is private: its URL in a certificate would be an address that nobody can read from.
                crl_distribution_point_extension_configuration=kind.CrlDistributionPointExtensionConfigurationProperty(
                    omit_extension=True
                ),
            )
        return kind.RevocationConfigurationProperty(crl_configuration=lists)

    def _certificate(
        self,
        role: str,
        subject: acmpca.CfnCertificateAuthority,
        issuer: acmpca.CfnCertificateAuthority,
        *,
        years: int,
    ) -> acmpca.CfnCertificate:
        template = "RootCACertificate" if subject is issuer else "SubordinateCACertificate_PathLen0"
        certificate = acmpca.CfnCertificate(
            self,
            f"{role}Certificate{self._hierarchy.reissue}",
            certificate_authority_arn=issuer.attr_arn,
            certificate_signing_request=subject.attr_certificate_signing_request,
            signing_algorithm=self._hierarchy.signing_algorithm,
            template_arn=f"arn:{Aws.PARTITION}:acm-pca:::template/{template}/V1",
            validity=acmpca.CfnCertificate.ValidityProperty(type="YEARS", value=years),
        )
        _keep(certificate)
        # Nobody lists a CA's certificates: whoever adopts a kept one by "cdk import" needs its ARN from here.
        CfnOutput(
            Stack.of(self),
            certificate_output(self.node.id, role),
            value=certificate.attr_arn,
            description=f"For adopting the {role.lower()} CA certificate of {self.node.id}",
        )
        return certificate

    def _activation(
        self,
        role: str,
        authority: acmpca.CfnCertificateAuthority,
        certificate: acmpca.CfnCertificate,
        *,
        chain: str | None = None,
    ) -> acmpca.CfnCertificateAuthorityActivation:
        activation = acmpca.CfnCertificateAuthorityActivation(
            self,
            f"{role}Activation",
            certificate_authority_arn=authority.attr_arn,
            certificate=certificate.attr_certificate,
            certificate_chain=chain,
            status="ACTIVE",
        )
        _keep(activation)
        return activation


def _keep(resource: CfnResource) -> None:
    resource.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
