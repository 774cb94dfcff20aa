"""What an identity's certificates are: one that CloudFormation requests of ACM, or terms for AWS Private CA."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aws_cdk import Aws, CfnResource, CfnTag, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm

from meshcert import naming
from meshcert.contract import issuances
from meshcert.identity import IssuerName
from meshcert.issuing.issuance_terms import IssuanceTerms
from stacks.constructs.rights import VIA_SECRETS_MANAGER

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from constructs import Construct

    from meshcert.mesh import Mesh
    from meshcert.mesh.issuance import DeclaredIdentity
    from stacks.constructs.certificates.hierarchy import SigningAuthorities
    from stacks.constructs.rights import MeshRights


class CertificateOrigin(NamedTuple):
    """
    Where an identity's certificates come from.

    Args:
        resource: What CloudFormation makes for them.
        properties: What the identity's custom resource says of them.
    """

    resource: CfnResource
    properties: dict[str, str]


def certificate_origin(scope: Construct, *, name: str, mesh: Mesh, hierarchy: SigningAuthorities) -> CertificateOrigin:
    """
    Make the source of an identity's certificates.

    Args:
        scope: The identity's construct.
        name: The identity's name in the mesh file.
        hierarchy: The CAs of its hierarchy.
    """
    declared = mesh.identities[name]
    if declared.issuer is IssuerName.ACM:
        return _requested_of_acm(scope, name, declared, hierarchy)
    return _declared_for_private_ca(scope, name, mesh, hierarchy)


def _requested_of_acm(
    scope: Construct, name: str, declared: DeclaredIdentity, hierarchy: SigningAuthorities
) -> CertificateOrigin:
    certificate = acm.CfnCertificate(
        scope,
        "Certificate",
        # Without a CA, ACM would silently try to issue a public certificate.
        certificate_authority_arn=hierarchy.issuing_arn,
        domain_name=str(declared.dns_names[0]),
        subject_alternative_names=[str(name) for name in declared.dns_names[1:]] or None,
        key_algorithm=declared.key_algorithm,
        tags=[CfnTag(key=naming.IDENTITY_TAG, value=name)],
    )
    return CertificateOrigin(certificate, {"CertificateArn": certificate.ref})


def _declared_for_private_ca(
    scope: Construct, name: str, mesh: Mesh, hierarchy: SigningAuthorities
) -> CertificateOrigin:
    """
    Terms in a parameter that no role of the mesh may write: the export function has nothing issued but these.

    The custom resource repeats them, so that a change of them sends an update.
    """
    declared = mesh.identities[name]
    terms = IssuanceTerms(
        authority_arn=hierarchy.issuing_arn,
        signing_algorithm=mesh.hierarchies[declared.hierarchy].signing_algorithm,
        template_arn=naming.leaf_template(Aws.PARTITION),
        key_algorithm=declared.key_algorithm,
        names=declared.names,
        life=declared.life,
    )
    text = Stack.of(scope).to_json_string(terms.document())
    parameter = ssm.CfnParameter(
        scope,
        "Terms",
        type="String",
        name=naming.issuance_parameter(mesh.name, name),
        description=f"meshcert {mesh.name}: what may be issued for {name}; a deploy writes it, nobody else",
        value=text,
    )
    return CertificateOrigin(parameter, {"Issuer": declared.issuer.value, "Terms": text})


def issuing_rights(rights: MeshRights, key: kms.IKey) -> list[iam.PolicyStatement]:
    """
    What it takes to have certificates issued for keys of the export function's own, and to pay for each once.

    Args:
        rights: Makes statements about the mesh.
        key: Encrypts the stored requests.
    """
    keys = iam.PolicyStatement(
        sid="EncryptRequests",
        actions=["kms:Encrypt", "kms:Decrypt"],
        resources=[key.key_arn],
        conditions={"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": list(issuances.CONTEXT)}},
    )
    keys.add_condition("Null", {"kms:EncryptionContextKeys": "false"})
    return [
        *rights.issuing("IssueCertificates"),
        *rights.authorities("ReadIssued", "acm-pca:GetCertificate"),
        rights.issuance_parameters("ReadTerms", "ssm:GetParameter"),
        rights.table(
            "KeepRequests",
            naming.issuances_table(rights.mesh),
            "dynamodb:Query",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
        ),
        keys,
    ]


def through_secrets_manager(sid: str, key: kms.IKey, *actions: str) -> iam.PolicyStatement:
    """A statement on the key of secrets, for what Secrets Manager does on a role's behalf."""
    return iam.PolicyStatement(
        sid=sid,
        actions=list(actions),
        resources=[key.key_arn],
        conditions={"StringEquals": VIA_SECRETS_MANAGER},
    )
