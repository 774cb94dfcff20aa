"""
The properties of our custom resources, as CloudFormation sends them: every scalar a string.

Identity: ``Mesh``, ``Identity``, ``CertificateArn``, ``SecretId``, ``RootCertificateAuthorityArn``,
``CertificateAuthorityArns``, ``Names``, ``PeerNames``, ``TrustedByPeers`` and ``Services``. In place of
``CertificateArn``, an identity of AWS Private CA has ``Issuer``, ``acm-pca``; what may be issued for it stands in its
parameter of Systems Manager, and ``Terms`` repeats that, so that a change sends an update. A name is a DNS name or a
SPIFFE ID. Each element of ``PeerNames`` is the rule of one peer: a name that the certificate must have, or a list of
names of which it must have one. ``TrustedByPeers`` are the root CAs that every peer trusts; empty if no peer in the
mesh checks the certificate. ``CertificateAuthorityArns`` begins with the CA that signs the certificate and ends with
the root; a hierarchy of one tier has only the root. Each element of ``Services`` has ``Name``, ``Rotation`` (``reload``
or ``redeploy``) and ``PollIntervalS`` (seconds), in the order of a rollout; ``Place`` (``CLUSTER/SERVICE`` of Amazon
ECS) if that is not the mesh's own cluster, or the service has another name there; ``Attached`` (``true``) if its task
definition is the user's. ``Jobs`` are the names of jobs that hold it; left out where there is none.

Trust bundle: ``Mesh``, ``Hierarchy``, ``SecretId`` and ``RootCertificateAuthorityArn`` (one, or a list while one root
replaces another). If its CAs write revocation lists, ``RevocationLists`` has ``Bucket`` and
``CertificateAuthorityArn`` of each; for those of CAs that the mesh does not make, ``NamedLists`` has
``CertificateAuthorityArn`` of the one that signs and ``Locations``, its own list's first and its root's last.
``Identities`` lists the identities whose certificates peers check against the bundle. ``RemoteRoots`` has the
root of each CA that is in another region, PEM, by its ARN (:mod:`meshcert.deploying.stated_roots`).

Secret and bucket must be those that the mesh's and the resource's own names give. The names to issue are in the
certificate that CloudFormation requested; ``Names`` is only compared with it. The CAs of a trust bundle must be those
that the function's environment declares (:mod:`meshcert.publishing.declared_bundles`).

Other properties are not read. ``Schema`` of an identity changes with the schema of rows, and ``Reissue`` of a trust
bundle changes when a root is reissued: the change makes CloudFormation send an update.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshcert.errors import Fault, RequestInvalid
from meshcert.identity import Identity, IssuerName, ServiceUse
from meshcert.material import LIST_LOCATION
from meshcert.proxy import RotationMode
from meshcert.publishing.declared_bundles import listed_elsewhere
from meshcert.publishing.ownership import is_identity_secret, is_revocation_bucket, is_trust_bundle_secret
from meshcert.publishing.trust_bundles import NamedLists, RevocationListRequest, TrustBundleRequest
from meshcert.san import SanInvalid, parse_san, parse_sans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.publishing.declared_bundles import DeclaredBundle
    from meshcert.san import San


_ECS_PLACE = re.compile(r"[A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255}")
"""Names of a cluster and of a service in it (ecs:CreateCluster, ecs:CreateService)."""

REMEDY = "Deploy with the stacks of this version"
"""For a property that no stack of this version writes."""


def read_identity(properties: Mapping[str, Any], mesh: str, owner: str) -> Identity:
    """
    The identity that a request declares.

    Args:
        properties: ``ResourceProperties``.
        mesh: The mesh that the function belongs to.
        owner: The CloudFormation resource that declares it.

    Raises:
        RequestInvalid: With every property that is missing or wrong.
    """
    issuer = properties.get("Issuer", IssuerName.ACM)
    texts: tuple[str, ...] = ("Identity", "SecretId", "RootCertificateAuthorityArn")
    texts += ("CertificateArn",) if issuer == IssuerName.ACM else ()
    faults = [*text_faults(properties, texts), *mesh_faults(properties, mesh)]
    if issuer not in list(IssuerName):
        faults.append(Fault("Issuer", f"it is {issuer}, not one of {', '.join(IssuerName)}", REMEDY))
    names, rules = _names(properties.get("Names"), faults), _rules(properties.get("PeerNames", []), faults)
    authorities = _texts(properties.get("CertificateAuthorityArns")) or ()
    if not authorities or authorities[-1] != properties.get("RootCertificateAuthorityArn"):
        problem = "it is not a list of CAs that ends with RootCertificateAuthorityArn"
        faults.append(Fault("CertificateAuthorityArns", problem, REMEDY))
    if not is_identity_secret(str(properties.get("SecretId")), mesh, str(properties.get("Identity"))):
        faults.append(Fault("SecretId", "it is not the secret of this identity", REMEDY))
    faults += _service_faults(properties.get("Services"))
    jobs = _texts(properties["Jobs"]) if properties.get("Jobs") else ()
    if jobs is None:
        faults.append(Fault("Jobs", "it is no list of names", REMEDY))
    if faults:
        raise RequestInvalid(f"identity {properties.get('Identity', '')}", tuple(faults))
    return Identity(
        name=properties["Identity"],
        certificate_arn=properties["CertificateArn"] if issuer == IssuerName.ACM else "",
        secret_id=properties["SecretId"],
        root_certificate_authority_arn=properties["RootCertificateAuthorityArn"],
        names=names,
        peer_rules=rules,
        owner=owner,
        certificate_authority_arns=authorities,
        services=tuple(
            ServiceUse(
                service["Name"],
                RotationMode(service["Rotation"]),
                float(service["PollIntervalS"]),
                service.get("Place", ""),
                service.get("Attached") == "true",
            )
            for service in properties["Services"]
        ),
        jobs=jobs or (),
        issuer=IssuerName(issuer),
        has_existing_authority=properties.get("ExistingAuthority") == "true",
    )


def trusted_by_peers(properties: Mapping[str, Any]) -> frozenset[str]:
    """
    The root CAs that every peer of an identity trusts.

    Args:
        properties: ``ResourceProperties`` or ``OldResourceProperties`` of an identity. In stacks older than
            ``TrustedByPeers``, peers trust the identity's own root.

    Returns:
        The ARNs; empty if no peer in the mesh checks the identity's certificate.
    """
    own = properties.get("RootCertificateAuthorityArn", "")
    return frozenset(map(str, properties.get("TrustedByPeers", [own])))


def trusted_roots(properties: Mapping[str, Any]) -> frozenset[str]:
    """
    The ARNs of a trust bundle's root CAs.

    Args:
        properties: ``ResourceProperties`` or ``OldResourceProperties`` of a trust bundle; may be empty.
    """
    roots = properties.get("RootCertificateAuthorityArn", [])
    return frozenset(map(str, [roots] if isinstance(roots, str) else roots))


def read_trust_bundle(
    properties: Mapping[str, Any], mesh: str, bundles: Mapping[str, DeclaredBundle]
) -> TrustBundleRequest:
    """
    The trust bundle that a request declares.

    Args:
        properties: ``ResourceProperties``.
        mesh: The mesh that the function belongs to.
        bundles: The bundles that the stacks declare, by hierarchy.

    Raises:
        RequestInvalid: With every property that is missing or wrong.
    """
    faults = [*text_faults(properties, ("Hierarchy", "SecretId")), *mesh_faults(properties, mesh)]
    roots = properties.get("RootCertificateAuthorityArn")
    arns = _texts([roots] if isinstance(roots, str) else roots)
    if not arns:
        faults.append(Fault("RootCertificateAuthorityArn", "it is missing or empty", REMEDY))
    if not is_trust_bundle_secret(str(properties.get("SecretId")), mesh, str(properties.get("Hierarchy"))):
        faults.append(Fault("SecretId", "it is not the secret of this hierarchy's trust bundle", REMEDY))
    lists, named = _lists(properties.get("RevocationLists", [])), read_named_lists(properties.get("NamedLists", []))
    if lists is None:
        faults.append(Fault("RevocationLists", "it is no list of Bucket and CertificateAuthorityArn", REMEDY))
    if named is None:
        faults.append(Fault("NamedLists", "it is no list of CertificateAuthorityArn and Locations", REMEDY))
    for each in lists or ():
        if not is_revocation_bucket(each.bucket, mesh, str(properties.get("SecretId", ""))):
            problem = f"{each.bucket} is not the mesh's own bucket of revocation lists"
            faults.append(Fault("RevocationLists", problem, REMEDY))
    declared = bundles.get(str(properties.get("Hierarchy")))
    listed = [each.certificate_authority_arn for each in lists or ()]
    listed += [listed_elsewhere(each.certificate_authority_arn, each.locations) for each in named or ()]
    if declared is None or not declared.is_as_declared(arns or (), listed):
        problem = "the CAs of roots and revocation lists are not those that the stacks declare for this hierarchy"
        faults.append(Fault("Hierarchy", problem, REMEDY))
    if faults:
        raise RequestInvalid(f"trust bundle {properties.get('Hierarchy', '')}", tuple(faults))
    return TrustBundleRequest(properties["Hierarchy"], properties["SecretId"], arns or (), lists or (), named or ())


def text_faults(properties: Mapping[str, Any], names: tuple[str, ...]) -> list[Fault]:
    """The properties among these that are no text, or an empty one."""
    missing = [name for name in names if not isinstance(properties.get(name), str) or not properties[name]]
    return [Fault(name, "it is missing or empty", REMEDY) for name in missing]


def mesh_faults(properties: Mapping[str, Any], mesh: str) -> list[Fault]:
    """A fault if the resource is another mesh's."""
    if properties.get("Mesh") == mesh:
        return []
    problem = f"it is {properties.get('Mesh')}, and this function serves {mesh}"
    return [Fault("Mesh", problem, "Give the resource the ServiceToken of its own mesh's function")]


def _service_faults(value: object) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield Fault("Services", "it is not a list", REMEDY)
        return
    for number, service in enumerate(value):
        place = f"Services[{number}]"
        if not isinstance(service, dict):
            yield Fault(place, "it has no Name, Rotation and PollIntervalS", REMEDY)
            continue
        name, rotation = service.get("Name"), service.get("Rotation")
        if not isinstance(name, str) or not name:
            yield Fault(f"{place}.Name", "it is missing or empty", REMEDY)
        elif any(isinstance(other, dict) and other.get("Name") == name for other in value[:number]):
            yield Fault(f"{place}.Name", f"{name} is listed twice", REMEDY)
        if rotation not in list(RotationMode):
            yield Fault(f"{place}.Rotation", f"it is {rotation}, not one of {', '.join(RotationMode)}", REMEDY)
        if not _is_positive(service.get("PollIntervalS")):
            yield Fault(f"{place}.PollIntervalS", "it is no number of seconds above 0", REMEDY)
        if not _is_place(service.get("Place", "")):
            yield Fault(f"{place}.Place", "it is not CLUSTER/SERVICE", REMEDY)


def _is_place(value: object) -> bool:
    return value == "" or (isinstance(value, str) and _ECS_PLACE.fullmatch(value) is not None)


def _is_positive(value: object) -> bool:
    try:
        return 0 < float(str(value)) < float("inf")
    except ValueError:
        return False


def _lists(value: object) -> tuple[RevocationListRequest, ...] | None:
    fields = ("Bucket", "CertificateAuthorityArn")
    if isinstance(value, list) and all(
        isinstance(each, dict) and all(isinstance(each.get(field), str) and each[field] for field in fields)
        for each in value
    ):
        return tuple(RevocationListRequest(*(each[field] for field in fields)) for each in value)
    return None


def read_named_lists(value: object) -> tuple[NamedLists, ...] | None:
    """``NamedLists`` of a trust bundle's request; None if it is of another shape."""
    if not isinstance(value, list):
        return None
    found = []
    for each in value:
        locations = _texts(each.get("Locations")) if isinstance(each, dict) else None
        arn = each.get("CertificateAuthorityArn") if isinstance(each, dict) else None
        if not locations or not isinstance(arn, str):
            return None
        if not all(re.fullmatch(LIST_LOCATION, location) for location in locations):
            return None
        found.append(NamedLists(arn, locations))
    return tuple(found)


def _texts(value: object) -> tuple[str, ...] | None:
    """A non-empty list of non-empty texts; None for anything else."""
    if isinstance(value, list) and value and all(isinstance(text, str) and text for text in value):
        return tuple(value)
    return None


def _names(value: object, faults: list[Fault]) -> tuple[San, ...]:
    if _texts(value) is None:
        faults.append(Fault("Names", "it is not a list of names", REMEDY))
        return ()
    try:
        return parse_sans(value, "Names")
    except SanInvalid as error:
        faults.append(Fault(error.place, error.problem, REMEDY))
        return ()


def _rules(value: object, faults: list[Fault]) -> tuple[tuple[San, ...], ...]:
    if not isinstance(value, list) or not all(_texts([rule] if isinstance(rule, str) else rule) for rule in value):
        faults.append(Fault("PeerNames", "it is not a list of names, or of lists of them", REMEDY))
        return ()
    try:
        return tuple(_rule(rule, f"PeerNames[{number}]") for number, rule in enumerate(value))
    except SanInvalid as error:
        faults.append(Fault(error.place, error.problem, REMEDY))
        return ()


def _rule(value: object, place: str) -> tuple[San, ...]:
    return (parse_san(value, place),) if isinstance(value, str) else parse_sans(value, place)
