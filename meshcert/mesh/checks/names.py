"""Checks of names: those of the file's parts, and those in certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.spiffe_id import SCHEME, SpiffeId
from meshcert.identity import IssuerName
from meshcert.issuing.issuance_terms import MOST_DNS_NAMES
from meshcert.mesh.issuance import MOST_NAMES
from meshcert.mesh.mesh import LONGEST_MESH_NAME, LONGEST_NAME
from meshcert.mesh.naming import (
    LONGEST_COMMON_NAME,
    dns_name_problem,
    name_problem,
    spiffe_id_prefix_problem,
    spiffe_id_problem,
    trust_domain_problem,
)
from meshcert.mesh.stacks.shards import shards_of
from meshcert.san import Dns, SpiffeIdPrefix, proves_any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.issuance import DeclaredIdentity
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.part import SanMatch
    from meshcert.san import AcceptedName, San

RESERVED = ("audit", "deploy", "dispatch", "execution", "export", "operator", "renewal", "verify")
"""Roles and log groups of meshcert itself: those of a service are called like the service."""

BALANCER = "-balancer"
"""What follows a gateway's name in that of its load balancer."""
LONGEST_NAMES = 3_500
"""Bytes of an identity's names in the SSM parameter from which acm-pca issues. A standard one has 4,096 (AWS Systems
Manager, "Parameter tiers"); the CA's ARN takes some 120 of them, the other fields some 300, the rest is kept for new
fields."""
_QUOTES = 4
"""Bytes around each of them in JSON."""

_SECTIONS = ("hierarchies", "identities", "virtual_gateways", "virtual_nodes", "services", "shards")


_OF_AWS = ("amazonaws.com", "amazonaws.com.cn", "api.aws")
"""What the names of AWS's endpoints end in."""


def check_names(mesh: Mesh, findings: Findings) -> None:
    """Report faults in the names of the mesh and its parts: form, length, reserved words."""
    if fault := name_problem(mesh.name, LONGEST_MESH_NAME):
        findings.add("mesh.name", *fault)
    # A namespace of one label is valid: with the service's name in front, there are two labels.
    if fault := dns_name_problem(f"service.{mesh.namespace}"):
        findings.add("mesh.namespace", *fault)
    _check_namespaces(mesh, findings)
    for section in _SECTIONS:
        for name in getattr(mesh, section):
            if fault := name_problem(name, LONGEST_NAME):
                findings.add(f"{section}.{name}", *fault)
    for name in mesh.services:
        if name in RESERVED:
            findings.add(
                f"services.{name}",
                f"{name!r} is the name of one of meshcert's own roles or log groups",
                f"Choose another name than {', '.join(RESERVED)}",
            )
        gateway = name.removesuffix(BALANCER)
        balanced = mesh.services.get(gateway) if gateway != name and not mesh.services[name].attached else None
        is_made = balanced and balanced.load_balancer and not balanced.load_balancer.target_groups
        # Each has a security group, of the same logical id; of services in shards, those stand elsewhere.
        if is_made and not shards_of(mesh.shards, name) and not shards_of(mesh.shards, gateway):
            findings.add(
                f"services.{name}",
                f"{name!r} is the name of the load balancer of {gateway} in their stack",
                "Choose another name",
                given=(f"services.{gateway}.load_balancer",),
            )


def _check_namespaces(mesh: Mesh, findings: Findings) -> None:
    cells = [(f"cells.{name}.namespace", cell.namespace) for name, cell in mesh.cells.items() if cell.namespace]
    for place, name in [("mesh.namespace", mesh.namespace), *cells]:
        if any(each == name or each.endswith(f".{name}") for each in _OF_AWS):
            findings.add(
                place,
                f"names that end in {name} would resolve in the mesh's own zone, those of AWS's APIs among them",
                "Choose a namespace of your own, for example shop.internal",
            )


def check_dns_names(mesh: Mesh, findings: Findings) -> None:
    """Report faults in the identities' DNS names: form, number, and names that belong to two identities."""
    owners: dict[San, str] = {}
    for identity, declared in mesh.identities.items():
        place = f"identities.{identity}.dns_names"
        _check_number(identity, declared, mesh.namespace, findings)
        for index, name in enumerate(declared.dns_names):
            _check_dns_name(mesh, identity, index, findings)
            owner = owners.setdefault(name, identity)
            if name in declared.dns_names[:index]:
                findings.add(f"{place}[{index}]", f"{name} is written twice", "Remove one of them")
            elif owner != identity:
                _add_owned(f"{place}[{index}]", name, f"identities.{owner}.dns_names", owner, findings)
        if any(dns_name_problem(str(name)) for name in declared.dns_names):
            # Nothing is recommended that is a fault itself.
            findings.doubt(place)


def check_spiffe_ids(mesh: Mesh, findings: Findings) -> None:
    """Report faults in the mesh's trust domain and its identities' SPIFFE IDs: form, foreign ones, double ones."""
    domain = mesh.about.trust_domain
    if domain and (fault := trust_domain_problem(domain, mesh.name)):
        findings.add("mesh.trust_domain", *fault)
        findings.doubt("mesh.trust_domain")
    owners: dict[San, str] = {}
    for identity, declared in mesh.identities.items():
        # ACM issues none at all, which is a fault of its own.
        if declared.spiffe_id is None or declared.issuer is IssuerName.ACM:
            continue
        place, written = f"identities.{identity}.spiffe_id", str(declared.spiffe_id)
        issuer = f"identities.{identity}.issuer"
        if fault := spiffe_id_problem(written, domain or f"{mesh.name}.example", identity):
            findings.add(place, *fault, given=(issuer,))
            findings.doubt(place)
            continue
        found = SpiffeId.of_workload(written)
        if not domain:
            findings.add(
                "mesh.trust_domain",
                f"it is missing, and identity {identity} has a SPIFFE ID",
                f"Write trust_domain: {found.trust_domain}",
                given=(place, issuer),
            )
            findings.doubt("mesh.trust_domain")
        elif found.trust_domain != domain:
            findings.add(
                place,
                f"it is in trust domain {found.trust_domain}, and this mesh's is {domain}: its CAs speak for no other",
                f"Write {SCHEME}://{domain}{found.path}",
                given=("mesh.trust_domain", issuer),
            )
        owner = owners.setdefault(declared.spiffe_id, identity)
        if owner != identity:
            _add_owned(place, declared.spiffe_id, f"identities.{owner}.spiffe_id", owner, findings)


def check_service_discovery(mesh: Mesh, findings: Findings) -> None:
    """Report names of virtual nodes' hosts that are no DNS names."""
    for name, node in mesh.virtual_nodes.items():
        if node.service_discovery and (fault := dns_name_problem(node.service_discovery.dns.hostname, mesh.namespace)):
            findings.add(f"virtual_nodes.{name}.service_discovery.dns", *fault)


def check_accepted_names(mesh: Mesh, place: str, match: SanMatch, findings: Findings) -> None:
    """Report a match that accepts nobody, and prefixes under which no SPIFFE ID can stand."""
    if not match.exact and not match.prefix:
        findings.add(
            place,
            "it names nobody",
            "Add exact: [...], with whole DNS names or SPIFFE IDs, or prefix: [...], with beginnings of SPIFFE IDs",
            given=(f"{place}.exact", f"{place}.prefix"),
        )
    for index, text in enumerate(match.prefix):
        if fault := spiffe_id_prefix_problem(text, mesh.about.trust_domain):
            findings.add(f"{place}.prefix[{index}]", *fault)
            findings.doubt(f"{place}.prefix[{index}]")


def check_names_exist(
    mesh: Mesh, placed: Iterable[tuple[str, AcceptedName]], trust: str, hierarchy: str, findings: Findings
) -> None:
    """
    Report accepted names that no identity has.

    Such a name is a typing error, or admits anyone who gets it signed one day.

    Args:
        placed: The names, each with its place.
        trust: Place of the hierarchy's name.
        hierarchy: Who is trusted with them.
    """
    signed = mesh.accepted_names(hierarchy)
    said = " or ".join(mesh.trusted(hierarchy))
    for where, name in placed:
        if isinstance(name, SpiffeIdPrefix):
            if not proves_any(signed, (name,)):
                findings.add(
                    where,
                    f"no identity of hierarchy {said} has a SPIFFE ID under {name.prefix}",
                    "Use a prefix of an identity's spiffe_id that this hierarchy signs, or trust its hierarchy",
                    given=_given_of_names(mesh, trust, hierarchy),
                )
        elif name not in signed:
            findings.add(
                where,
                f"no identity of hierarchy {said} has the name {name}",
                findings.remedy(
                    str(name),
                    [str(each) for each in signed],
                    "Use a name of an identity that this hierarchy signs, or trust its hierarchy",
                ),
                given=_given_of_names(mesh, trust, hierarchy),
            )
        elif isinstance(name, Dns) and (fault := dns_name_problem(str(name), mesh.namespace)):
            findings.add(where, *fault)


def is_of_mesh(mesh: Mesh, name: AcceptedName) -> bool:
    """Whether a name is in this mesh's trust domain; for where foreign ones are trusted, and SPIFFE IDs alone are."""
    own = SpiffeIdPrefix(f"{SCHEME}://{mesh.about.trust_domain}")
    return name == own or str(name).startswith(f"{own.prefix}/")


def _given_of_names(mesh: Mesh, trust: str, hierarchy: str) -> list[str]:
    return [trust, f"hierarchies.{hierarchy}.also_trust", "identities", *names_of_identities(mesh.identities)]


def names_of_identities(identities: Iterable[str]) -> list[str]:
    """The places on which an identity's names, and who signs them, depend."""
    return [f"identities.{name}.{key}" for name in identities for key in ("dns_names", "spiffe_id", "hierarchy")]


def _check_most(place: str, names: Sequence[San], most: int, why: str, findings: Findings) -> None:
    """Report more DNS names than an issuer takes; ``why`` says so."""
    if len(names) > most:
        findings.add(
            f"{place}.dns_names",
            f"there are {len(names)} names, and {why}",
            f"Keep at most {most}, or make another identity of the rest",
            given=[f"{place}.issuer"],
        )


def _check_number(identity: str, declared: DeclaredIdentity, namespace: str, findings: Findings) -> None:
    """Report more names than the issuer takes, or none."""
    place, names, given = f"identities.{identity}", declared.dns_names, [f"identities.{identity}.issuer"]
    if declared.issuer is IssuerName.ACM:
        if not names:
            is_written = "dns_names" in declared.model_fields_set
            findings.add(
                f"{place}.dns_names",
                "the list is empty, and ACM issues for DNS names" if is_written else "it is missing",
                f"{'Give at least one' if is_written else 'Add dns_names'}, for example [{identity}.{namespace}]",
                given=given,
            )
            findings.doubt(f"{place}.dns_names")
        _check_most(place, names, MOST_NAMES, f"ACM takes {MOST_NAMES} in a certificate", findings)
        return
    if not declared.names:
        findings.add(
            place,
            "it has no name that a certificate could prove",
            "Add dns_names, a spiffe_id, or both",
            given=(*given, f"{place}.dns_names", f"{place}.spiffe_id"),
        )
        findings.doubt(f"{place}.dns_names")
    _check_most(place, names, MOST_DNS_NAMES, f"{MOST_DNS_NAMES} fit in a request to AWS Private CA", findings)
    length = sum(len(str(name).encode()) + _QUOTES for name in declared.names)
    if len(names) <= MOST_DNS_NAMES and length > LONGEST_NAMES:
        findings.add(
            place,
            f"its names take {length:,} bytes, and {LONGEST_NAMES:,} is the most: an SSM parameter of 4,096 bytes says "
            "what may be issued for it",
            "Use shorter names, or make another identity of some",
            given=(*given, f"{place}.dns_names", f"{place}.spiffe_id"),
        )


def _add_owned(place: str, name: San, other: str, owner: str, findings: Findings) -> None:
    findings.add(
        place,
        f"{name} belongs to identity {owner} already",
        "A name proves one workload: remove it here or there",
        given=(other,),
    )


def _check_dns_name(mesh: Mesh, identity: str, index: int, findings: Findings) -> None:
    declared = mesh.identities[identity]
    place, name = f"identities.{identity}.dns_names[{index}]", str(declared.dns_names[index])
    given, is_acm = (f"identities.{identity}.issuer",), declared.issuer is IssuerName.ACM
    if not is_acm and "://" in name:
        findings.add(place, f"{name!r:.300} is a URI, and no DNS name", f"Write spiffe_id: {name:.300}", given=given)
    elif fault := dns_name_problem(name, mesh.namespace, "ACM" if is_acm else "meshcert"):
        findings.add(place, *fault)
    elif is_acm and index == 0 and len(name) > LONGEST_COMMON_NAME:
        findings.add(
            place,
            f"the first name is the certificate's common name too, and {len(name)} characters are too many for it",
            f"Put a name of at most {LONGEST_COMMON_NAME} characters first",
            given=given,
        )
