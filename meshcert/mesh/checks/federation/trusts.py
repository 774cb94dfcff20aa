"""Checks of where foreign trust domains are trusted: which they are, and which SPIFFE IDs are let in there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.spiffe_id import SpiffeId, SpiffeIdInvalid
from meshcert.mesh.checks.sources import tls_of_proxies
from meshcert.mesh.naming import spiffe_id_problem
from meshcert.mesh.proxies import ClientTls
from meshcert.mesh.routing.ports import NodeProtocol
from meshcert.san import Dns, SpiffeIdPrefix

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import NodeListener, Validation
    from meshcert.san import AcceptedName


def check_federated_trusts(mesh: Mesh, findings: Findings) -> None:
    """Report trusted trust domains that the file does not declare, and names that nobody there could prove."""
    for place, tls in tls_of_proxies(mesh):
        if tls.validation and tls.validation.trust.trust_domains:
            _check_domains(mesh, f"{place}.validation.trust", tls.validation, findings)
            _check_accepted(mesh, f"{place}.validation", tls.validation, findings)
            if isinstance(tls, ClientTls):
                _check_server(f"{place}.validation.trust", tls.validation, findings)
    for name, node in mesh.virtual_nodes.items():
        for index, listener in enumerate(node.listeners):
            _check_protocol(f"virtual_nodes.{name}.listeners[{index}]", listener, findings)


def _check_server(place: str, validation: Validation, findings: Findings) -> None:
    """Report a server for which several domains are trusted: each could sign another's ID beside one of its own."""
    if validation.trust.hierarchy or len(validation.trust.trust_domains) > 1:
        findings.add(
            f"{place}.trust_domains",
            "a server is of one trust domain, and where several are trusted a CA of one can pass for all "
            "(docs/proxy.md)",
            "Trust the backend's own trust domain alone; give each backend a client_policy of its own",
            given=(f"{place}.hierarchy",),
        )


def _check_protocol(place: str, listener: NodeListener, findings: Findings) -> None:
    """Report a listener whose application may speak before Envoy has judged a foreign client's IDs."""
    validation = listener.tls.validation if listener.tls else None
    if listener.port_mapping.protocol == NodeProtocol.TCP and validation and validation.trust.trust_domains:
        findings.add(
            f"{place}.tls.validation.trust.trust_domains",
            "with protocol tcp, a client of a foreign trust domain hears what the application says first, before its "
            "IDs are judged (docs/proxy.md)",
            "Remove it, or let partners come to a listener of http, http2 or grpc",
            given=(f"{place}.port_mapping.protocol", f"{place}.tls.validation.trust"),
        )


def _check_domains(mesh: Mesh, place: str, validation: Validation, findings: Findings) -> None:
    listed = validation.trust.trust_domains
    for index, name in enumerate(listed):
        at = f"{place}.trust_domains[{index}]"
        if name == mesh.about.trust_domain:
            findings.add(
                at,
                f"{name} is this mesh's own trust domain, and its hierarchies speak for it",
                "Remove it, and name the hierarchy beside: hierarchy: ...",
                given=("mesh.trust_domain",),
            )
        elif findings.require_known(mesh, at, "trust_domains", name) and name in listed[:index]:
            findings.add(at, f"{name} is written twice", "Remove one of them")
    if validation.trust.hierarchy and not mesh.about.trust_domain:
        findings.add(
            "mesh.trust_domain",
            "it is missing, and a hierarchy is trusted beside foreign trust domains: it speaks for no SPIFFE ID",
            f"Write trust_domain: {mesh.name}.example",
            given=(f"{place}.trust_domains", f"{place}.hierarchy"),
        )


def _check_accepted(mesh: Mesh, place: str, validation: Validation, findings: Findings) -> None:
    given = (f"{place}.trust.trust_domains", f"{place}.trust.hierarchy", "mesh.trust_domain", "trust_domains")
    first = next(iter(validation.trust.trust_domains))
    if not validation.names:
        findings.add(
            f"{place}.subject_alternative_names",
            "foreign trust domains are trusted, and without names whatever they sign would be let in",
            f'Write subject_alternative_names: {{match: {{exact: ["spiffe://{first}/..."]}}}}',
            given=given,
        )
    problems = {
        where: problem
        for where, name in validation.placed_names(place)
        if (problem := _name_problem(mesh, name, validation, first))
    }
    for where, problem in problems.items():
        findings.add(where, *problem, given=given)
    if validation.names and not problems:
        _check_named(f"{place}.trust.trust_domains", validation, findings, given)


def _check_named(place: str, validation: Validation, findings: Findings, given: tuple[str, ...]) -> None:
    """Report a foreign domain of which nobody is let in: its CA could put another domain's ID beside its own."""
    named = {SpiffeId.parse(str(name)).trust_domain for name in validation.names}
    for index, name in enumerate(validation.trust.trust_domains):
        if name not in named:
            findings.add(
                f"{place}[{index}]",
                f"no SPIFFE ID of {name} is let in here, so its CAs are trusted for nothing",
                f"Remove it, or let one in: spiffe://{name}/...",
                given=given,
            )


def _name_problem(mesh: Mesh, name: AcceptedName, validation: Validation, example: str) -> tuple[str, str] | None:
    if isinstance(name, Dns):
        return (
            f"{name} is a DNS name, and Envoy's SPIFFE validator does not look at these: everybody would be let in",
            f"Write a SPIFFE ID, for example spiffe://{example}/...",
        )
    if isinstance(name, SpiffeIdPrefix):
        return (
            f"{name.prefix} is a prefix, and where foreign trust domains are trusted, IDs are compared as a whole",
            "List each SPIFFE ID under exact",
        )
    try:
        found = SpiffeId.of_workload(str(name))
    except SpiffeIdInvalid:
        return spiffe_id_problem(str(name), example, "web")
    own = mesh.about.trust_domain
    believed = [*([own] if validation.trust.hierarchy and own else []), *validation.trust.trust_domains]
    if found.trust_domain in believed:
        return None
    if found.trust_domain == own:
        return (
            f"{name} is of this mesh, and no hierarchy is trusted here that could prove it",
            "Add hierarchy: ... beside trust_domains, or remove the name",
        )
    return (
        f"{name} is of trust domain {found.trust_domain}, and {' and '.join(believed)} alone are trusted here",
        f"Add {found.trust_domain} to trust_domains, or remove the name",
    )
