"""Checks of names: those of the file's parts, and those in certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.issuance import MOST_NAMES
from meshcert.mesh.mesh import LONGEST_MESH_NAME, LONGEST_NAME
from meshcert.mesh.naming import LONGEST_COMMON_NAME, dns_name_problem, name_problem

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.san import San

RESERVED = ("audit", "deploy", "dispatch", "execution", "export", "operator", "renewal", "verify")
"""Roles and log groups of meshcert itself: those of a service are called like the service."""

_SECTIONS = ("hierarchies", "identities", "virtual_gateways", "virtual_nodes", "services")


def check_names(mesh: Mesh, findings: Findings) -> None:
    """Report faults in the names of the mesh and its parts: form, length, reserved words."""
    if fault := name_problem(mesh.name, LONGEST_MESH_NAME):
        findings.add("mesh.name", *fault)
    # A namespace of one label is valid: with the service's name in front, there are two labels.
    if fault := dns_name_problem(f"service.{mesh.namespace}"):
        findings.add("mesh.namespace", *fault)
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


def check_dns_names(mesh: Mesh, findings: Findings) -> None:
    """Report faults in the identities' DNS names: form, number, and names that belong to two identities."""
    owners: dict[San, str] = {}
    for identity, declared in mesh.identities.items():
        place = f"identities.{identity}.dns_names"
        if len(declared.dns_names) > MOST_NAMES:
            findings.add(
                place,
                f"there are {len(declared.dns_names)} names, and ACM takes {MOST_NAMES} in a certificate",
                f"Keep at most {MOST_NAMES}, or make another identity of the rest",
            )
        for index, name in enumerate(declared.dns_names):
            _check_dns_name(mesh, f"{place}[{index}]", str(name), findings, common=index == 0)
            owner = owners.setdefault(name, identity)
            if name in declared.dns_names[:index]:
                findings.add(f"{place}[{index}]", f"{name} is written twice", "Remove one of them")
            elif owner != identity:
                findings.add(
                    f"{place}[{index}]",
                    f"{name} belongs to identity {owner} already",
                    "A name proves one workload: remove it here or there",
                    given=(f"identities.{owner}.dns_names",),
                )
        if any(dns_name_problem(str(name)) for name in declared.dns_names):
            # Nothing is recommended that is a fault itself.
            findings.doubt(place)


def check_service_discovery(mesh: Mesh, findings: Findings) -> None:
    """Report names of virtual nodes' hosts that are no DNS names."""
    for name, node in mesh.virtual_nodes.items():
        if node.service_discovery and (fault := dns_name_problem(node.service_discovery.dns.hostname, mesh.namespace)):
            findings.add(f"virtual_nodes.{name}.service_discovery.dns", *fault)


def _check_dns_name(mesh: Mesh, place: str, name: str, findings: Findings, *, common: bool) -> None:
    if fault := dns_name_problem(name, mesh.namespace):
        findings.add(place, *fault)
    elif common and len(name) > LONGEST_COMMON_NAME:
        findings.add(
            place,
            f"the first name is the certificate's common name too, and {len(name)} characters are too many for it",
            f"Put a name of at most {LONGEST_COMMON_NAME} characters first",
        )
