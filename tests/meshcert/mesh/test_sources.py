"""Certificates and roots of the user's in the mesh file: from files on a volume, or from an SDS server."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.cli.options import ChosenMesh
from meshcert.mesh import Mesh, proxy_settings, read_mesh
from meshcert.mesh.checks.findings import findings_of
from meshcert.mesh.edges.edges import edges_of, refused_of
from meshcert.mesh.edges.permission import callers_of, listeners_of, permission
from meshcert.proxy import BackendTls, ListenerTls, ProxySettings, TlsMode
from meshcert.san import Dns
from meshcert.tls_sources import CertificateFile, SdsSecret, TrustFile
from tests.meshcert.mesh.mesh_slips import (
    BACKEND,
    CLIENT,
    GATEWAY_NAME,
    NODE_TLS,
    REMOVED,
    ROOT,
    changed,
)

if TYPE_CHECKING:
    from pathlib import Path

PAIR = {"certificate_chain": "/keys/chain.pem", "private_key": "/keys/key.pem"}
ROOTS = {"certificate_chain": "/keys/ca.pem"}
EFS: dict[str, Any] = {"container_path": "/keys", "efs": {"file_system_id": "fs-0123456789abcdef0"}}
AGENT: dict[str, Any] = {
    "volumes": [{"container_path": "/run/agent"}],
    "sds_socket_path": "/run/agent/sds.sock",
    "agent": {"image": "acme/agent:1"},
}
EXACT = {"match": {"exact": [GATEWAY_NAME]}}
BY_FILE: list[tuple[str, Any]] = [
    (f"{NODE_TLS}.certificate", {"file": PAIR}),
    (f"{NODE_TLS}.validation", {"trust": {"file": ROOTS}, "subject_alternative_names": EXACT}),
    (CLIENT, {"certificate": {"file": PAIR}, "validation": {"trust": {"file": ROOTS}}}),
    ("services.colorteller.proxy", {"volumes": [EFS]}),
    ("services.colorgateway.proxy", {"volumes": [EFS]}),
    ("identities.colorteller", REMOVED),
    ("hierarchies.colorteller", REMOVED),
]
BY_SDS: list[tuple[str, Any]] = [
    (f"{NODE_TLS}.certificate", {"sds": {"secret_name": "spiffe://mesh/teller"}}),
    (f"{NODE_TLS}.validation", {"trust": {"sds": {"secret_name": "spiffe://mesh"}}}),
    (f"{CLIENT}.certificate", {"sds": {"secret_name": "spiffe://mesh/gateway"}}),
    (f"{CLIENT}.validation", {"trust": {"sds": {"secret_name": "spiffe://mesh"}}}),
    ("services.colorteller.proxy", AGENT),
    ("services.colorgateway.proxy", AGENT),
    ("identities.colorteller", REMOVED),
    ("hierarchies.colorteller", REMOVED),
]


def written(changes: list[tuple[str, Any]]) -> bytes:
    """The Color app's mesh file with these changes, which stay as they are."""
    return changed(*((place, value if value is REMOVED else copy.deepcopy(value)) for place, value in changes))


def mesh_of(*changes: tuple[str, Any]) -> Mesh:
    """The mesh of that file, which has no fault."""
    reading = read_mesh(written([*changes]))
    assert reading.mesh is not None, reading.faults
    return reading.mesh


def test_files_of_both_ends_become_settings() -> None:
    """No secret of this mesh is left in them, and they come back from their JSON."""
    mesh = mesh_of(*BY_FILE)

    teller, gateway = proxy_settings(mesh, "colorteller"), proxy_settings(mesh, "colorgateway")

    pair, roots = CertificateFile(**PAIR), TrustFile(**ROOTS)
    assert teller.listeners[0].tls == ListenerTls(TlsMode.STRICT, pair, roots, (Dns(GATEWAY_NAME),))
    assert gateway.backends[0].tls == BackendTls(roots, pair)
    assert not teller.identities
    assert not teller.trust_bundles
    for settings in (teller, gateway):
        assert ProxySettings.from_json(settings.to_json()) == settings


def test_secrets_of_an_sds_server_become_settings() -> None:
    """With the path of its socket."""
    teller = proxy_settings(mesh_of(*BY_SDS), "colorteller")

    assert teller.listeners[0].tls[1:3] == (SdsSecret("spiffe://mesh/teller"), SdsSecret("spiffe://mesh"))
    assert teller.sds_socket_path == "/run/agent/sds.sock"
    assert ProxySettings.from_json(teller.to_json()) == teller


def test_services_that_present_nothing_of_the_meshs_are_known_by_the_file(tmp_path: Path) -> None:
    """``meshcert status`` asks after their files."""
    (tmp_path / "mesh.yaml").write_bytes(written(BY_FILE))
    unasked: Any = None

    declared = ChosenMesh(unasked, str(tmp_path / "mesh.yaml")).services_of_files()
    assert declared == {"colorteller": "meshcert-color/colorteller"}
    assert ChosenMesh(unasked, str(ROOT / "mesh.yaml")).services_of_files() == {}


def test_app_meshs_spelling_is_taken() -> None:
    """As its own files and API have it."""
    spelled = {"file": {"certificateChain": "/keys/chain.pem", "privateKey": "/keys/key.pem"}}
    mesh = mesh_of(*BY_FILE, (f"{NODE_TLS}.certificate", spelled))

    assert proxy_settings(mesh, "colorteller").listeners[0].tls.certificate == CertificateFile(**PAIR)


@pytest.mark.parametrize("changes", [BY_FILE, BY_SDS], ids=["file", "sds"])
def test_who_may_call_whom_is_told_whatever_the_source(changes: list[tuple[str, Any]]) -> None:
    """Edges, refusals and permissions of every pair, and the one declared call is mutual."""
    mesh = mesh_of(*changes)

    (edge,) = [each for each in edges_of(mesh) if each.caller.name == "colorgateway"]
    assert edge.authenticated
    assert refused_of(mesh) is not None
    answers = [
        permission(mesh, caller, callee)
        for caller in callers_of(mesh)
        for service in mesh.services
        for callee in listeners_of(mesh, service)
        if caller != callee.service
    ]
    assert any(each.allowed for each in answers)


@pytest.mark.parametrize("certificate", [{"file": PAIR}, {"sds": {"secret_name": "teller"}}], ids=["file", "sds"])
def test_without_a_policy_the_call_is_encrypted_and_not_authenticated(certificate: dict[str, Any]) -> None:
    """As App Mesh had it for files; a finding says so, and the edge looks it."""
    proxy = copy.deepcopy(AGENT)
    proxy["volumes"] = [EFS, *AGENT["volumes"]]
    mesh = mesh_of(
        (f"{NODE_TLS}.certificate", certificate),
        (f"{NODE_TLS}.validation", REMOVED),
        (f"{BACKEND}.client_policy", REMOVED),
        ("services.colorteller.proxy", proxy),
    )

    assert proxy_settings(mesh, "colorgateway").backends[0].tls == BackendTls("")
    assert not next(edge for edge in edges_of(mesh) if edge.caller.name == "colorgateway").authenticated
    told = [finding for finding in findings_of(mesh, ROOT) if "not authenticated" in finding.problem]
    assert [finding.place for finding in told] == [BACKEND]
    assert "validation" in told[0].remedy


TELLERS = "services.colorteller.proxy"
SLIPS = [
    ([(TELLERS, REMOVED)], f"{NODE_TLS}.certificate.file.certificate_chain", "no volume of service", "volumes"),
    (
        [(f"{TELLERS}.volumes[0].container_path", "/key")],
        f"{NODE_TLS}.certificate.file.private_key",
        "no volume of service",
        "/keys",
    ),
    (
        [("services.colorgateway.proxy", REMOVED)],
        f"{CLIENT}.validation.trust.file.certificate_chain",
        "no volume of service colorgateway",
        "volumes",
    ),
    (
        [(f"{NODE_TLS}.certificate", {"sds": {"secret_name": "teller"}})],
        f"{NODE_TLS}.certificate.sds",
        "no SDS server",
        "sds_socket_path",
    ),
    (
        [(f"{NODE_TLS}.certificate", {"file": PAIR, "identity": "colorgateway"})],
        f"{NODE_TLS}.certificate",
        "identity and file",
        "exactly one",
    ),
    ([(f"{NODE_TLS}.validation.trust", {})], f"{NODE_TLS}.validation.trust", "none of", "exactly one"),
    (
        [(f"{NODE_TLS}.certificate.file.private_key", "/keys/../key.pem")],
        f"{NODE_TLS}.certificate.file.private_key",
        "through ..",
        "without ..",
    ),
    (
        [(f"{NODE_TLS}.certificate.file.private_key", "key.pem")],
        f"{NODE_TLS}.certificate.file.private_key",
        "key.pem",
        "",
    ),
    (
        [(f"{TELLERS}.volumes", [EFS, {**EFS, "container_path": "/keys/more"}])],
        f"{TELLERS}.volumes[1].container_path",
        "lies in",
        "another path",
    ),
    (
        [(f"{TELLERS}.volumes", [EFS, {"container_path": "/run/meshcert/x"}]), (f"{TELLERS}.agent", {"image": "a"})],
        f"{TELLERS}.volumes[1].container_path",
        "/run/meshcert",
        "another path",
    ),
    (
        [(f"{TELLERS}.volumes", [EFS, {"container_path": "/run/agent"}])],
        f"{TELLERS}.volumes[1]",
        "nobody fills",
        "agent",
    ),
    ([(f"{TELLERS}.agent", {"image": "acme/agent:1"})], f"{TELLERS}.agent", "no volume to write", "/run/agent"),
    ([(f"{TELLERS}.sds_socket_path", "/run/agent/s")], f"{TELLERS}.sds_socket_path", "no volume", "volumes"),
    (
        [
            (
                f"{TELLERS}.volumes[0].efs",
                {**EFS["efs"], "access_point_id": "fsap-0123456789abcdef0", "root_directory": "/a"},
            )
        ],
        f"{TELLERS}.volumes[0].efs.root_directory",
        "access point",
        "Remove",
    ),
    ([(f"{CLIENT}.certificate", REMOVED)], f"{CLIENT}.certificate", "certificate of roots of yours", "file"),
    (
        [(f"{NODE_TLS}.validation.subject_alternative_names.match.exact", ["*.example.com"])],
        f"{NODE_TLS}.validation.subject_alternative_names.match.exact[0]",
        "no whole name",
        "List each",
    ),
    (
        [
            (f"{CLIENT}.certificate.file.private_key", "/keys/other.pem"),
            (
                "virtual_gateways.colorgateway.backend_defaults",
                {"client_policy": {"tls": {"certificate": {"file": PAIR}, "validation": {"trust": {"file": ROOTS}}}}},
            ),
        ],
        f"{CLIENT}.certificate.file.private_key",
        "has the key",
        "one key",
    ),
    (
        [(f"{NODE_TLS}.certificate", {"acm": {"certificate_arn": "arn:x"}})],
        f"{NODE_TLS}.certificate.acm",
        "not supported",
        "identity: NAME",
    ),
    (
        [(f"{CLIENT}.validation.trust", {"acm": {"certificate_authority_arns": ["arn:x"]}})],
        f"{CLIENT}.validation.trust.acm",
        "not supported",
        "trust.file",
    ),
]


@pytest.mark.parametrize(("changes", "place", "problem", "remedy"), SLIPS, ids=[slip[1] + slip[2] for slip in SLIPS])
def test_what_cannot_work_is_a_fault(changes: list[tuple[str, Any]], place: str, problem: str, remedy: str) -> None:
    """With its place and what to do."""
    faults = read_mesh(written([*BY_FILE, *changes])).faults

    assert [
        fault for fault in faults if fault.place == place and problem in fault.problem and remedy in fault.remedy
    ], faults
