"""
Findings: what a mesh file says to no effect, or to an effect that nobody can have meant.

A deploy works all the same, so these are no faults; ``meshcert check`` tells and counts them.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from meshcert.errors import Fault
from meshcert.mesh.cells.checks import empty_cells
from meshcert.mesh.checks.applications.attached import attached_elsewhere, registered_by_id, unnamed_architectures
from meshcert.mesh.checks.applications.variables import commands_of_one_word
from meshcert.mesh.checks.clients import needs_raised_quota
from meshcert.mesh.checks.delivery import follows_too_much
from meshcert.mesh.checks.network.networks import gateways_without_nat, no_ranges_of_a_vpc
from meshcert.mesh.checks.renewals import cut_at_renewals, replaced_often
from meshcert.mesh.existing import doubtful_roots
from meshcert.mesh.part import EgressFilter
from meshcert.mesh.rendering.routes import ranked_routes
from meshcert.mesh.rendering.settings import proxy_settings
from meshcert.mesh.routing.order import decided_by_rule
from meshcert.mesh.ways_out import needs_egress_listener
from meshcert.proxy import TlsMode
from meshcert.san import Dns, proves_any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.routing.order import RankedRoute

_IMAGE = re.compile(
    r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]+)?)/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z0-9]+(?:[-_.+][A-Za-z0-9]+)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
"""The name of an image, with its tag or digest (Open Container Initiative, distribution specification)."""
_SECRET = re.compile(r"PASSW(OR)?D|PASSPHRASE|SECRET(?!.*(ARN|NAME|ID)$)|(^|_)TOKEN$|API_?KEY$|PRIVATE_?KEY|CREDENTIAL")
"""The name of a variable that holds a secret, rather than says where one is."""
_MOST_PARTS = 2
"""Parts of an image's name on Docker Hub; with more, the first part is a registry's host (docker pull)."""


def findings_of(mesh: Mesh, root: Path) -> tuple[Fault, ...]:
    """
    Everything that a deploy would take, and somebody should look at once more.

    Args:
        mesh: A mesh without faults.
        root: The folder from which applications' folders are named.
    """
    kinds = (
        _unreachable(mesh),
        _permissive(mesh),
        _not_authenticated(mesh),
        _unused(mesh),
        _images(mesh, root),
        doubtful_roots(mesh, root, dt.datetime.now(dt.UTC)),
        cut_at_renewals(mesh),
        replaced_often(mesh),
        _applications(mesh),
        _order(mesh),
        _passed_on(mesh),
        no_ranges_of_a_vpc(mesh),
        gateways_without_nat(mesh),
        attached_elsewhere(mesh),
        unnamed_architectures(mesh),
        commands_of_one_word(mesh),
        empty_cells(mesh),
        registered_by_id(mesh),
        follows_too_much(mesh),
        needs_raised_quota(mesh),
    )
    return tuple(finding.without_keys() for kind in kinds for finding in kind)


def _unreachable(mesh: Mesh) -> Iterator[Fault]:
    called = {call.node for call in mesh.calls()}
    for node, declared in mesh.virtual_nodes.items():
        # A job's has no listener: nobody can call it.
        if declared.listeners and node not in called:
            yield Fault(
                f"virtual_nodes.{node}",
                "nobody calls it" + ("" if mesh.is_outside(node) else ", and its security group admits nobody"),
                "Add it to the backends of a gateway or a node, or remove it and its service",
            )
    for name, gateway in mesh.virtual_gateways.items():
        routed = {route.virtual_node for route in gateway.routes}
        for index, backend in enumerate(gateway.backends):
            if backend.virtual_node and backend.virtual_node not in routed:
                yield Fault(
                    f"virtual_gateways.{name}.backends[{index}]",
                    f"no route leads to {backend.virtual_node}",
                    "Add a route, or remove the backend",
                )
    for name, service in mesh.services.items():
        if service.virtual_gateway and not service.load_balancer:
            yield Fault(
                f"services.{name}.load_balancer",
                "without a load balancer the gateway's security group admits nobody",
                "Write load_balancer: true, or open the security group in a stack of your own",
            )


def _permissive(mesh: Mesh) -> Iterator[Fault]:
    """A node admits its callers, and whom it names besides: if all callers use TLS, nobody comes in plain text."""
    plain = {call.node for call in mesh.calls() if mesh.tls_of(call) is None}
    for name, node in mesh.virtual_nodes.items():
        listener = next(iter(node.listeners), None)
        is_permissive = listener and listener.tls and listener.tls.mode is TlsMode.PERMISSIVE
        if listener and is_permissive and name not in plain and not listener.permissive_from:
            yield Fault(
                f"virtual_nodes.{name}.listeners[0].tls.mode",
                "PERMISSIVE admits plain text, and nobody can come with it: its security group admits callers of this "
                "mesh only, and they use TLS",
                "Write STRICT, or name under permissive_from who may come from outside meanwhile",
            )


def _not_authenticated(mesh: Mesh) -> Iterator[Fault]:
    """Calls over TLS to whoever answers: App Mesh made them so for listeners with certificates from files."""
    for call in mesh.calls():
        tls, place = mesh.tls_of(call), call.place
        if tls is not None and not tls.validation.trust.source:
            listener = mesh.virtual_nodes[call.node].listeners[0].tls
            presents = f" ({listener.certificate.source})" if listener and listener.certificate else ""
            yield Fault(
                place,
                f"calls to {call.node} are encrypted, not authenticated: its certificate is yours{presents}, and no "
                "client policy says who may have signed it",
                "Add client_policy: {tls: {validation: {trust: {file: {certificate_chain: ...}}}}}",
            )


def _unused(mesh: Mesh) -> Iterator[Fault]:
    settings = [proxy_settings(mesh, service) for service in mesh.services]
    presented = {identity for each in settings for identity in each.identities}
    trusted = {name for each in settings for hierarchy in each.trust_bundles for name in mesh.trusted(hierarchy)}
    rules = [listener.tls for each in settings for listener in each.listeners if listener.tls.hierarchy]
    backends = [backend for each in settings for backend in each.backends if mesh.is_outside(backend.name)]
    outside = [(each.host, each.tls) for each in backends if each.tls and each.tls.hierarchy]
    for name, identity in mesh.identities.items():
        is_admitted = any(
            identity.hierarchy in mesh.trusted(rule.hierarchy)
            and (not rule.subject_alternative_names or proves_any(identity.names, rule.subject_alternative_names))
            for rule in rules
        )
        is_a_host_s = any(
            identity.hierarchy in mesh.trusted(tls.hierarchy)
            and proves_any(identity.names, tls.subject_alternative_names or (Dns(host),))
            for host, tls in outside
        )
        if name not in presented and not is_admitted and not is_a_host_s:
            yield Fault(
                f"identities.{name}",
                "no proxy presents it, and no listener would admit it from outside",
                "Remove it, or name it in a certificate: {identity: ...}",
            )
    for name in mesh.hierarchies:
        signs = any(identity.hierarchy == name for identity in mesh.identities.values())
        if not signs and name not in trusted:
            yield Fault(
                f"hierarchies.{name}", "it signs no identity and nobody trusts it", "Remove it: its CAs cost money"
            )
    foreign = {name for each in settings for name in each.foreign_bundles}
    for name in mesh.trust_domains:
        if name not in foreign:
            yield Fault(f"trust_domains.{name}", "nobody trusts it", "Remove it, or list it in a trust: trust_domains")


def _images(mesh: Mesh, root: Path) -> Iterator[Fault]:
    images = [
        (f"services.{name}.{key}.image", part.image)
        for name, service in mesh.services.items()
        for key, part in (("application", service.application), ("proxy.agent", service.proxy.agent))
        if part and part.image
    ]
    for place, image in images:
        if _is_folder(root / image):
            if not (root / image / "Dockerfile").is_file():
                yield Fault(place, f"the folder {image} has no Dockerfile", "Add one, or name the folder that has it")
        elif _looks_like_a_folder(image, root):
            yield Fault(
                place,
                f"there is no folder {image} in {root}, so a registry would be asked for an image of this name",
                "Correct the path, or give the image's whole name with its tag",
            )
        elif not _IMAGE.fullmatch(image):
            yield Fault(
                place,
                f"{image!r} is neither a folder here nor the name of an image, and no task could start",
                "Name a folder with a Dockerfile, or an image as in REGISTRY/name:tag; its name is in lower case",
            )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # Too long to be a path, for example.
        return False


def _applications(mesh: Mesh) -> Iterator[Fault]:
    """What an application that somebody has taken over could do."""
    for name, service in mesh.services.items():
        # What an attached one may do, its own task definition says.
        application, place = None if service.attached else service.application, f"services.{name}.application"
        if application and application.egress is None:
            yield Fault(
                f"{place}.egress",
                "left out, so its tasks may connect to any host that the network leads to",
                "Write egress: [], or name the hosts that the application calls",
            )
        if application and not application.drop_capabilities:
            yield Fault(
                f"{place}.drop_capabilities",
                "the application keeps the Linux capabilities that Fargate gives",
                "Write drop_capabilities: true, unless its image starts as root and steps down",
            )
        for index, policy in enumerate(application.task_policies.managed if application else ()):
            yield Fault(
                f"{place}.task_policies.managed[{index}]",
                f"meshcert does not see what {policy} allows",
                "See that it reaches no secret meshcert/…, no table meshcert-… and no key of theirs",
            )
        for variable in application.environment if application else ():
            if _SECRET.search(variable.upper()):
                yield Fault(
                    f"{place}.environment.{variable}",
                    "by its name it is a secret, and whoever may read task definitions reads it",
                    "Keep it in Secrets Manager, and name its ARN under secrets",
                )


def _order(mesh: Mesh) -> Iterator[Fault]:
    """Pairs of routes that App Mesh, as far as anybody knows, might have asked in another order."""
    for name, router in mesh.virtual_routers.items():
        yield from _unordered(ranked_routes(f"virtual_routers.{name}.routes", router.routes))
    for name, gateway in mesh.virtual_gateways.items():
        yield from _unordered(ranked_routes(f"virtual_gateways.{name}.gateway_routes", gateway.gateway_routes))


def _unordered(routes: Iterable[RankedRoute]) -> Iterator[Fault]:
    for first, second in decided_by_rule(routes):
        yield Fault(
            second.place,
            f"{first.name} is asked before {second.name} by a rule of meshcert's own: App Mesh's order is the "
            "priority, then the longest prefix",
            "Give one of them a priority; the smaller number is asked first",
        )


def _passed_on(mesh: Mesh) -> Iterator[Fault]:
    """What an egress filter lets pass."""
    if mesh.about.egress_filter is not EgressFilter.ALLOW_ALL:
        return
    nodes = [name for name in mesh.virtual_nodes if needs_egress_listener(mesh, name)]
    if nodes:
        yield Fault(
            "mesh.egress_filter",
            f"ALLOW_ALL passes what {', '.join(nodes)} sends to hosts that are no backends on in plain text, and "
            "whoever answers is believed",
            "Write DROP_ALL, and declare what they call: a host outside the mesh is a virtual node with "
            "service_discovery",
        )
    else:
        yield Fault(
            "mesh.egress_filter",
            "ALLOW_ALL is about egress listeners, and no virtual node with backends has one",
            "Remove it: an application without backends calls whom it likes",
        )


def _looks_like_a_folder(image: str, root: Path) -> bool:
    first, *others = image.split("/")
    is_host = "." in first or ":" in first or first == "localhost"
    if first in {"", ".", ".."}:
        return True
    return bool(others) and not is_host and (_is_folder(root / first) or len(others) >= _MOST_PARTS)
