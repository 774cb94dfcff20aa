"""Checks of allow rules: each is about requests that can come, and names callers that the listener lets in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.checks.names import check_accepted_names, check_names_exist, is_of_mesh
from meshcert.mesh.checks.routing.matches import check_names_of_grpc, check_path
from meshcert.mesh.routing.ports import NodeProtocol
from meshcert.proxy import TlsMode
from meshcert.routes import HAS_PARAMETERS, deciding_rule
from meshcert.san import proves_any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.calls import Call
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import NodeListener
    from meshcert.mesh.routing.allow_rules import AllowMatch, DeclaredAllowRule
    from meshcert.routes import AllowRule

GRPC_HEALTH_CHECK = "/grpc.health.v1.Health/Check"
"""The path of the call by which callers check a ``grpc`` listener (gRPC Health Checking Protocol)."""
_OF_HTTP = ("prefix", "path")
_OF_GRPC = ("service_name", "method_name")


class _Ruled(NamedTuple):
    """
    A virtual node's listener with allow rules.

    Args:
        node: Name of the virtual node.
        place: Place of the listener.
    """

    node: str
    place: str
    listener: NodeListener

    @property
    def rules(self) -> tuple[AllowRule, ...]:
        return tuple(declared.rule for declared in self.listener.allow)

    @property
    def places(self) -> list[str]:
        """The places of its rules, for what depends on all of them."""
        return [f"{self.place}.allow", *(f"{self.place}.allow[{index}]" for index in range(len(self.listener.allow)))]


def check_allow_rules(mesh: Mesh, findings: Findings) -> None:
    """Report rules where no caller is known for certain, and rules that no request, or no caller, can meet."""
    for ruled in _ruled(mesh):
        if not _is_judged(ruled, findings):
            continue
        for index, rule in enumerate(ruled.listener.allow):
            where = f"{ruled.place}.allow[{index}]"
            _check_match(where, ruled, rule.match, findings)
            _check_callers(mesh, where, ruled, rule, findings)
        _check_each_once(ruled, findings)
        _check_asking(mesh, ruled, findings)


def _ruled(mesh: Mesh) -> Iterator[_Ruled]:
    for name, node in mesh.virtual_nodes.items():
        for index, listener in enumerate(node.listeners):
            if listener.allow:
                yield _Ruled(name, f"virtual_nodes.{name}.listeners[{index}]", listener)


def _is_judged(ruled: _Ruled, findings: Findings) -> bool:
    """Whether the listener can judge requests by their callers; reported if it cannot."""
    listener, place = ruled.listener, ruled.place
    problem, remedy = "", f"Write {place}.tls: {{mode: STRICT, certificate: ..., validation: ...}}, or remove allow"
    if listener.port_mapping.protocol is NodeProtocol.TCP:
        problem = "the listener speaks tcp, which has no requests and no paths: the whole connection is allowed or not"
        remedy = f"List the callers in {place}.tls.validation.subject_alternative_names, and remove allow"
    elif listener.tls is None or listener.tls.mode is TlsMode.DISABLED:
        problem = "callers are known by their certificates, and the listener speaks plain text"
    elif listener.tls.mode is TlsMode.PERMISSIVE:
        problem = "callers are known by their certificates, and a PERMISSIVE listener takes plain text of anybody"
        remedy = "Write mode: STRICT once every caller comes over TLS, and then the rules"
    elif listener.tls.validation is None:
        problem = "callers are known by their certificates, and without a validation the listener asks for none"
        remedy = f"Write {place}.tls.validation: {{trust: {{hierarchy: ...}}}}, or remove allow"
    if problem:
        given = ("port_mapping.protocol", "tls", "tls.mode", "tls.validation")
        findings.add(f"{place}.allow", problem, remedy, given=[f"{place}.{each}" for each in given])
    return not problem


def _check_match(where: str, ruled: _Ruled, match: AllowMatch, findings: Findings) -> None:
    place, protocol = f"{where}.match", ruled.listener.port_mapping.protocol
    is_grpc = protocol is NodeProtocol.GRPC
    for key in _OF_HTTP if is_grpc else _OF_GRPC:
        if getattr(match, key):
            findings.add(
                f"{place}.{key}",
                f"the listener speaks {protocol.value}",
                "Write service_name and method_name" if is_grpc else "Write prefix, or path: {exact: ...}",
                given=(f"{ruled.place}.port_mapping.protocol",),
            )
            findings.doubt(place)
            return
    if is_grpc:
        check_names_of_grpc(place, match.service_name, match.method_name, findings)
        return
    if bool(match.prefix) == bool(match.path):
        findings.add(
            place,
            f"it has {'both' if match.prefix else 'neither'} of prefix and path",
            "Keep one of them" if match.prefix else "Write prefix: /, or path: {exact: ...}",
            given=[f"{place}.{key}" for key in _OF_HTTP],
        )
        findings.doubt(place)
    for key, text in (("prefix", match.prefix), ("path.exact", match.path.exact if match.path else "")):
        if re.fullmatch(HAS_PARAMETERS, text):
            findings.add(
                f"{place}.{key}",
                "where there are allow rules, a path with a semicolon is refused, since some applications leave out "
                "what follows it",
                "Write the path without it",
            )
        elif text:
            check_path(f"{place}.{key}", text, findings)


def _check_callers(mesh: Mesh, where: str, ruled: _Ruled, rule: DeclaredAllowRule, findings: Findings) -> None:
    """Report callers that are nobody's names, or that the handshake refuses before any rule is asked."""
    if "callers" in rule.model_fields_set:
        check_accepted_names(mesh, f"{where}.callers", rule.callers, findings)
    validation = ruled.listener.tls.validation if ruled.listener.tls else None
    if validation is None or validation.trust.hierarchy not in mesh.hierarchies:
        return
    trust = f"{ruled.place}.tls.validation.trust.hierarchy"
    is_federated = bool(validation.trust.trust_domains)
    placed = [
        (f"{where}.callers.{place}", name)
        for place, name in rule.callers.placed()
        if is_of_mesh(mesh, name) or not is_federated
    ]
    check_names_exist(mesh, placed, trust, validation.trust.hierarchy, findings)
    names = f"{ruled.place}.tls.validation.subject_alternative_names"
    trusted = mesh.trusted(validation.trust.hierarchy)
    for place, name in placed if validation.names else ():
        holders = [
            identity.names
            for identity in mesh.identities.values()
            if identity.hierarchy in trusted and proves_any(identity.names, (name,))
        ]
        if holders and not any(proves_any(held, validation.names) for held in holders):
            findings.add(
                place,
                f"the listener's own names refuse {name} before any rule is asked",
                f"Add it to {names}.match, or remove it here",
                given=(trust, names, f"{names}.match.exact", f"{names}.match.prefix", "identities"),
            )


def _check_each_once(ruled: _Ruled, findings: Findings) -> None:
    """Report rules about the same path, in whatever case."""
    seen: dict[tuple[bool, str], str] = {}
    for index, rule in enumerate(ruled.rules):
        key = (bool(rule.path), rule.text.lower())
        if key in seen:
            doubted = "" if seen[key] == rule.text else ", and many applications take both paths for one"
            findings.add(
                f"{ruled.place}.allow[{index}].match",
                f"another rule is about {seen[key]}{doubted}",
                "Make one rule of both, with the callers of both",
                given=(f"{ruled.place}.allow",),
            )
        seen.setdefault(key, rule.text)


def _check_asking(mesh: Mesh, ruled: _Ruled, findings: Findings) -> None:
    """Report declared callers that no rule admits, and health checks that no rule lets them make."""
    refused: dict[str, Call] = {}
    check = ruled.listener.health_check
    asked = ""
    if check and check.protocol is ruled.listener.port_mapping.protocol:
        asked = GRPC_HEALTH_CHECK if check.protocol is NodeProtocol.GRPC else check.path.partition("?")[0] or "/"
    for call in mesh.calls():
        tls = mesh.tls_of(call) if call.node == ruled.node else None
        presented = tls.certificate.identity if tls and tls.certificate else ""
        if presented not in mesh.identities:
            continue
        names = mesh.identities[presented].names
        if not any(rule.admits(names) for rule in ruled.rules):
            findings.add(
                f"{call.policy_place}.certificate.identity",
                f"{ruled.node} lets {presented} ask for nothing: no rule of {ruled.place}.allow names it, so every "
                "call is refused",
                f"Add one of {', '.join(map(str, names))} to the callers of a rule, for what it asks for",
                given=(*ruled.places, f"identities.{presented}.dns_names", f"identities.{presented}.spiffe_id"),
            )
        elif asked and not ((rule := deciding_rule(ruled.rules, asked)) and rule.admits(names)):
            refused.setdefault(presented, call)
    if refused:
        findings.add(
            f"{ruled.place}.health_check",
            f"each caller asks each task for {asked}, and the rules do not let {' and '.join(refused)} ask for it: "
            "they would take every task for ill",
            f"Add {{match: {_match_of(asked, ruled)}}} to {ruled.place}.allow, without callers: everybody may ask then",
            given=(*ruled.places, f"{ruled.place}.health_check.path"),
        )


def _match_of(path: str, ruled: _Ruled) -> str:
    if ruled.listener.port_mapping.protocol is NodeProtocol.GRPC:
        service, _, method = path.removeprefix("/").partition("/")
        return f"{{service_name: {service}, method_name: {method}}}"
    return f"{{path: {{exact: {path}}}}}"
