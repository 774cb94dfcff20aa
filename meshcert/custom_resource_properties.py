"""
The properties of our custom resources, as CloudFormation sends them: every scalar a string.

Identity: ``Mesh``, ``Identity``, ``CertificateArn``, ``SecretId``, ``RootCertificateAuthorityArn``, ``Names`` and
``PeerNames``. Each element of ``PeerNames`` is one peer's rule: the list of names of which the certificate must have
one, or a single name.

Trust bundle: ``Mesh``, ``Hierarchy``, ``SecretId`` and ``RootCertificateAuthorityArn`` (one, or a list while one root
replaces another). Others are not read; one that changes when a root is reissued has CloudFormation ask for an update.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.errors import Fault, RequestInvalid
from meshcert.export import TrustBundleOrder
from meshcert.ports import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEDY = "Deploy with the stacks of this version"


def read_identity(properties: Mapping[str, Any], mesh: str, owner: str) -> Identity:
    """
    The identity that a request declares.

    Args:
        properties: ``ResourceProperties``.
        mesh: The mesh the function belongs to.
        owner: The CloudFormation resource that declares it.

    Raises:
        RequestInvalid: With every property that is missing or wrong.
    """
    texts = ("Identity", "CertificateArn", "SecretId", "RootCertificateAuthorityArn")
    faults = [*_text_faults(properties, texts), *_mesh_faults(properties, mesh)]
    names, rules = _names(properties.get("Names")), _rules(properties.get("PeerNames", []))
    if not names:
        faults.append(Fault("Names", "it is not a list of DNS names", _REMEDY))
    if rules is None:
        faults.append(Fault("PeerNames", "it is not a list of DNS names, or of lists of them", _REMEDY))
    if faults:
        raise RequestInvalid(f"identity {properties.get('Identity', '')}", tuple(faults))
    return Identity(
        name=properties["Identity"],
        certificate_arn=properties["CertificateArn"],
        secret_id=properties["SecretId"],
        root_certificate_authority_arn=properties["RootCertificateAuthorityArn"],
        names=names or (),
        peer_rules=rules or (),
        owner=owner,
    )


def read_trust_bundle(properties: Mapping[str, Any], mesh: str) -> TrustBundleOrder:
    """
    The trust bundle that a request declares.

    Args:
        properties: ``ResourceProperties``.
        mesh: The mesh the function belongs to.

    Raises:
        RequestInvalid: With every property that is missing or wrong.
    """
    faults = [*_text_faults(properties, ("Hierarchy", "SecretId")), *_mesh_faults(properties, mesh)]
    roots = properties.get("RootCertificateAuthorityArn")
    arns = _names([roots] if isinstance(roots, str) else roots)
    if not arns:
        faults.append(Fault("RootCertificateAuthorityArn", "it is missing or empty", _REMEDY))
    if faults:
        raise RequestInvalid(f"trust bundle {properties.get('Hierarchy', '')}", tuple(faults))
    return TrustBundleOrder(properties["Hierarchy"], properties["SecretId"], arns or ())


def _text_faults(properties: Mapping[str, Any], names: tuple[str, ...]) -> list[Fault]:
    missing = [name for name in names if not isinstance(properties.get(name), str) or not properties[name]]
    return [Fault(name, "it is missing or empty", _REMEDY) for name in missing]


def _mesh_faults(properties: Mapping[str, Any], mesh: str) -> list[Fault]:
    if properties.get("Mesh") == mesh:
        return []
    problem = f"it is {properties.get('Mesh')}, and this function serves {mesh}"
    return [Fault("Mesh", problem, "Give the resource the ServiceToken of its own mesh's function")]


def _names(value: object) -> tuple[str, ...] | None:
    """A non-empty list of non-empty texts; None for anything else."""
    if isinstance(value, list) and value and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    return None


def _rules(value: object) -> tuple[tuple[str, ...], ...] | None:
    if not isinstance(value, list):
        return None
    rules = [_names([rule] if isinstance(rule, str) else rule) for rule in value]
    return None if None in rules else tuple(rule for rule in rules if rule)
