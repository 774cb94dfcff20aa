"""Checks of certificates and roots of the user's: where they come from, and whether a proxy can reach that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.container import MATERIAL_DIR, WORKLOAD_API_DIR
from meshcert.mesh.checks.names import check_accepted_names
from meshcert.proxy import TlsMode
from meshcert.tls_sources import CertificateFile, SdsSecret, is_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import (
        ClientTls,
        DeclaredCertificate,
        DeclaredListenerTls,
        GatewayListener,
        NodeListener,
        Trust,
        VirtualGateway,
        VirtualNode,
    )
    from meshcert.mesh.services import DeclaredService
    from meshcert.tls_sources import TlsCertificate, TlsTrust

OUR_NAMES = ("identity/", "trust/", "certificate_file/", "trust_file/")
"""Beginnings of the SDS names that meshcert gives; Envoy counts by name."""


def check_sources(mesh: Mesh, findings: Findings) -> None:
    """Report sources of which there is none or more than one, and those that a service's Envoy cannot reach."""
    for place, source in _sources(mesh):
        _check_one(place, source, findings)
    for place, tls in tls_of_proxies(mesh):
        if tls.validation and (names := tls.validation.subject_alternative_names):
            match = f"{place}.validation.subject_alternative_names.match"
            check_accepted_names(mesh, match, names.match, findings)
        for where, accepted in tls.validation.placed_names(f"{place}.validation") if tls.validation else ():
            if "*" in str(accepted) and tls.validation and _is_of_yours(tls.validation.trust):
                findings.add(
                    where,
                    f"{accepted} is no whole name, and names are compared as a whole",
                    "List each name; a wildcard in a certificate proves each of them",
                )
    used = _used(mesh)
    for name, service in mesh.services.items():
        _check_volumes(name, service, findings)
        keys: dict[str, str] = {}
        runs = (f"virtual_gateways.{service.virtual_gateway}", f"virtual_nodes.{service.virtual_node}")
        for place, given in (each for proxy in runs for each in used.get(proxy, ())):
            _check_reachable(name, service, place, given, findings)
            if isinstance(given, CertificateFile) and keys.setdefault(*given) != given.private_key:
                findings.add(
                    f"{place}.private_key",
                    f"{given.certificate_chain} has the key {keys[given.certificate_chain]} already",
                    "Name one key for one certificate",
                )


def _is_of_yours(trust: Trust) -> bool:
    """Whether neither this mesh nor a foreign trust domain says which names there are."""
    return not trust.hierarchy and not trust.trust_domains


def _sources(mesh: Mesh) -> Iterator[tuple[str, DeclaredCertificate | Trust]]:
    return (each for place, tls in tls_of_proxies(mesh) for each in _sources_of(place, tls))


def _sources_of(place: str, tls: DeclaredListenerTls | ClientTls) -> Iterator[tuple[str, DeclaredCertificate | Trust]]:
    if tls.certificate:
        yield f"{place}.certificate", tls.certificate
    if tls.validation:
        yield f"{place}.validation.trust", tls.validation.trust


def tls_of_proxies(mesh: Mesh) -> Iterator[tuple[str, DeclaredListenerTls | ClientTls]]:
    """Everything that the file says of TLS, with its place."""
    return (each for place, proxy in mesh.callers for each in _tls_of(place, proxy))


def _tls_of(place: str, proxy: VirtualGateway | VirtualNode) -> Iterator[tuple[str, DeclaredListenerTls | ClientTls]]:
    listeners: tuple[GatewayListener | NodeListener, ...] = proxy.listeners
    for index, listener in enumerate(listeners):
        if listener.tls:
            yield f"{place}.listeners[{index}].tls", listener.tls
    if tls := proxy.backend_defaults.client_policy.tls:
        yield f"{place}.backend_defaults.client_policy.tls", tls
    for index, backend in enumerate(proxy.backends):
        if backend.client_policy and backend.client_policy.tls:
            yield f"{place}.backends[{index}].client_policy.tls", backend.client_policy.tls


def _check_one(place: str, source: DeclaredCertificate | Trust, findings: Findings) -> None:
    kinds = [kind for kind in type(source).model_fields if getattr(source, kind)]
    # The one pair that goes together: each speaks for a trust domain of its own.
    if len(kinds) != 1 and kinds != ["hierarchy", "trust_domains"]:
        ways = [f"{place}.{kind}" for kind in type(source).model_fields]
        first, *_ = type(source).model_fields
        findings.add(
            place,
            f"it names {' and '.join(kinds) or f'none of {first}, file and sds'}",
            f"Name exactly one, for example {first}: ...",
            given=ways,
        )
    if source.sds and source.sds.secret_name.startswith(OUR_NAMES):
        findings.add(
            f"{place}.sds.secret_name",
            f"names that begin with {source.sds.secret_name.partition('/')[0]}/ are meshcert's own",
            "Give the secret another name at your SDS server",
        )


def _used(mesh: Mesh) -> dict[str, list[tuple[str, TlsCertificate | TlsTrust]]]:
    """What each proxy uses of the user's, with its place. A listener that speaks plain text is a fault of its own."""
    return {
        owner: [
            (f"{place}.{'file' if source.file else 'sds'}", source.source)
            for at, tls in _tls_of(owner, proxy)
            if getattr(tls, "mode", None) is not TlsMode.DISABLED
            for place, source in _sources_of(at, tls)
            if source.file or source.sds
        ]
        for owner, proxy in mesh.callers
    }


def _check_reachable(
    name: str, service: DeclaredService, place: str, source: TlsCertificate | TlsTrust, findings: Findings
) -> None:
    proxy, at = service.proxy, f"services.{name}.proxy"
    if service.attached:
        findings.add(
            place,
            f"service {name} is attached, and its sidecar has no volume of yours, nor the socket of an SDS server",
            "Name an identity or a hierarchy of this file instead; or have meshcert run the service",
            given=(f"services.{name}.attached",),
        )
        return
    if isinstance(source, SdsSecret):
        if not proxy.sds_socket_path:
            findings.add(
                place,
                f"service {name} has no SDS server of yours to ask",
                f"Write {at}: {{sds_socket_path: ..., volumes: [...], agent: {{image: ...}}}}",
                given=(f"{at}.sds_socket_path",),
            )
        return
    for key, path in source._asdict().items() if not isinstance(source, str) else ():
        if not is_path(path):
            findings.add(f"{place}.{key}", f"{path} leads through ..", "Write the path without ..")
        elif not _is_on_volume(path, service):
            findings.add(
                f"{place}.{key}",
                f"no volume of service {name} holds {path}",
                f"Write {at}.volumes: [{{container_path: {path.rpartition('/')[0] or '/keys'}, efs: ...}}]",
                given=(f"{at}.volumes",),
            )


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _is_on_volume(path: str, service: DeclaredService) -> bool:
    return any(path.startswith(f"{volume.container_path.rstrip('/')}/") for volume in service.proxy.volumes)


def _check_volumes(name: str, service: DeclaredService, findings: Findings) -> None:
    proxy, place = service.proxy, f"services.{name}.proxy"
    taken = [MATERIAL_DIR, *([WORKLOAD_API_DIR] if service.workload_api else [])]
    for index, volume in enumerate(proxy.volumes):
        path = volume.container_path.rstrip("/")
        where = f"{place}.volumes[{index}].container_path"
        other = next((each for each in taken if _overlap(each, path)), "")
        if other:
            findings.add(where, f"it is, lies in, or covers {other}, which is mounted too", "Choose another path")
        elif not is_path(volume.container_path):
            findings.add(where, f"{path} leads through ..", "Write the path without ..")
        taken.append(path)
        if volume.efs and volume.efs.access_point_id and volume.efs.root_directory != "/":
            findings.add(
                f"{place}.volumes[{index}].efs.root_directory",
                "an access point says which folder is seen",
                "Remove root_directory, or access_point_id",
            )
        if not volume.efs and proxy.agent is None:
            findings.add(
                f"{place}.volumes[{index}]",
                "it is empty, and nobody fills it",
                f"Name a file system, efs: {{file_system_id: ...}}, or {place}.agent: {{image: ...}}",
                given=(f"{place}.agent",),
            )
    if proxy.sds_socket_path and not _is_on_volume(proxy.sds_socket_path, service):
        findings.add(
            f"{place}.sds_socket_path",
            "no volume of the service holds it",
            f"Write {place}.volumes: [{{container_path: {proxy.sds_socket_path.rpartition('/')[0] or '/run/agent'}}}]",
            given=(f"{place}.volumes",),
        )
    if proxy.agent and all(volume.efs for volume in proxy.volumes):
        findings.add(
            f"{place}.agent",
            "it has no volume to write to",
            f"Write {place}.volumes: [{{container_path: /run/agent}}]",
            given=(f"{place}.volumes",),
        )
