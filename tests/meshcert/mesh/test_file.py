"""The shipped mesh files, the settings they become, and the JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from meshcert.mesh import Mesh, SecretIds, load_mesh, proxy_settings, read_mesh
from meshcert.mesh.reading.schema import json_schema
from meshcert.proxy import (
    Backend,
    BackendTls,
    ListenerTls,
    ProxySettings,
    RotationMode,
    Route,
    SecretReference,
    TlsMode,
)
from meshcert.san import Dns
from tests.meshcert.mesh.mesh_slips import REMOVED, changed

ROOT = Path(__file__).parents[3]
TELLER_NAME = "colorteller.mtls.svc.cluster.local"
GATEWAY_NAME = "colorgateway.mtls.svc.cluster.local"
DISCOVERY = "virtual_nodes.colorteller.service_discovery"


@pytest.fixture
def mutual() -> Mesh:
    """The mesh in the repository's root."""
    return load_mesh(ROOT / "mesh.yaml")


@pytest.fixture
def demo() -> Mesh:
    """What the demo deploys second."""
    return load_mesh(ROOT / "examples/color/mutual.yaml")


@pytest.fixture
def one_way() -> Mesh:
    """The same without client certificates."""
    return load_mesh(ROOT / "examples/color/one-way.yaml")


def test_the_shipped_mesh_exercises_both_key_families_and_both_depths(mutual: Mesh) -> None:
    """One hierarchy of each kind."""
    shapes = {(hierarchy.tiers, hierarchy.signing_algorithm) for hierarchy in mutual.hierarchies.values()}

    assert shapes == {(1, "SHA256WITHECDSA"), (2, "SHA256WITHRSA")}


def test_one_way_differs_from_mutual_in_client_authentication_only(demo: Mesh, one_way: Mesh) -> None:
    """So that deploying the one over the other replaces no certificate."""
    same = {"virtual_gateways", "virtual_nodes"}

    assert one_way.model_dump(exclude=same) == demo.model_dump(exclude=same)
    assert one_way.virtual_nodes["colorteller"].listeners[0].tls != demo.virtual_nodes["colorteller"].listeners[0].tls


def test_the_demos_mesh_differs_from_the_roots_in_haste_only(mutual: Mesh, demo: Mesh) -> None:
    """What the demo proves, it proves of the file that users deploy."""
    assert demo.model_dump(exclude={"services"}) == mutual.model_dump(exclude={"services"})
    haste = {"poll_interval_s": 1.0, "max_connection_duration_s": 10.0}
    for name, service in mutual.services.items():
        assert demo.services[name].model_dump() == service.model_dump() | haste


def test_a_mesh_cannot_be_changed_after_it_was_checked(mutual: Mesh) -> None:
    """Frozen all the way down to its parts."""
    with pytest.raises(ValidationError):
        mutual.services["colorteller"].poll_interval_s = 0.0  # type: ignore[misc] # the type checker refuses it as well


def test_parts_come_in_the_order_of_the_file(mutual: Mesh) -> None:
    """Templates are stable because the file's order is."""
    written = yaml.safe_load((ROOT / "mesh.yaml").read_text())

    for section in ("hierarchies", "identities", "virtual_gateways", "virtual_nodes", "services"):
        assert list(getattr(mutual, section)) == list(written[section])


def test_left_out_settings_have_the_documented_defaults() -> None:
    """The demo's seconds are the exception; sixty and six hundred are the rule."""
    written = yaml.safe_load((ROOT / "examples/color/mutual.yaml").read_text())
    for service in written["services"].values():
        del service["poll_interval_s"], service["max_connection_duration_s"]

    mesh = read_mesh(yaml.safe_dump(written).encode()).mesh

    assert mesh is not None
    service = mesh.services["colorgateway"]
    assert (service.rotation, service.max_connection_duration_s) == ("reload", 600.0)
    assert mesh.poll_interval_s("colorgateway") == 60.0


def test_peer_names_are_the_names_that_the_peers_rules_ask_for(mutual: Mesh, one_way: Mesh) -> None:
    """The export's pre-flight compares a certificate with them; nobody asks a one-way client for names."""
    assert mutual.peer_names("colorteller") == (Dns(TELLER_NAME),)
    assert mutual.peer_names("colorgateway") == (Dns(GATEWAY_NAME),)
    assert one_way.peer_names("colorteller") == (Dns(TELLER_NAME),)
    assert one_way.peer_names("colorgateway") == ()


def test_the_gateways_settings_say_what_the_file_says(mutual: Mesh) -> None:
    """Rendered for one service, with only the secrets it needs."""
    secrets = SecretIds(
        identities={"colorgateway": "arn:gateway", "colorteller": "arn:teller"},
        trust_bundles={"colorgateway": "arn:trust-gateway", "colorteller": "arn:trust-teller"},
    )

    settings = proxy_settings(mutual, "colorgateway", secrets)

    assert (settings.mesh, settings.name, settings.service) == ("color", "colorgateway", "colorgateway")
    assert settings.identities == {"colorgateway": SecretReference("arn:gateway", (Dns(GATEWAY_NAME),))}
    assert settings.trust_bundles == {"colorteller": SecretReference("arn:trust-teller")}
    assert settings.backends == (
        Backend(
            name="colorteller",
            host=TELLER_NAME,
            port=9443,
            protocol="http",
            tls=BackendTls(
                trust="colorteller", certificate="colorgateway", subject_alternative_names=(Dns(TELLER_NAME),)
            ),
            cloud_map_service="colorteller",
        ),
    )
    assert settings.cloud_map_namespace == "mtls.svc.cluster.local"
    assert settings.routes == (Route("/", "colorteller"),)
    assert settings.application_port == 0
    assert (settings.rotation, settings.poll_interval_s) == (RotationMode.RELOAD, 60.0)


@pytest.mark.parametrize(
    ("changes", "backend", "namespace"),
    [
        ([], (TELLER_NAME, "colorteller"), "mtls.svc.cluster.local"),
        ([("mesh.http_name", "mtls.svc_1a2b")], (TELLER_NAME, "colorteller"), "mtls.svc_1a2b"),
        ([(DISCOVERY, {"dns": "ledger.example.com"})], ("ledger.example.com", ""), ""),
    ],
    ids=["by-default", "another-http-name", "dns"],
)
def test_a_backend_is_found_by_cloud_map_unless_its_node_names_a_host(
    tmp_path: Path, changes: list[tuple[str, object]], backend: tuple[str, str], namespace: str
) -> None:
    """The host is for DNS and the peer's name; the service and the namespace are for Cloud Map's API."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(*changes))

    settings = proxy_settings(load_mesh(file), "colorgateway")

    (found,) = settings.backends
    assert (found.host, found.cloud_map_service) == backend
    assert settings.cloud_map_namespace == namespace


def test_a_node_that_names_a_host_need_not_be_a_service_of_the_mesh(tmp_path: Path) -> None:
    """Its tasks run elsewhere; without a host, nobody would run it."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(changed(("services.colorteller", REMOVED), (DISCOVERY, {"dns": "ledger.example.com"})))

    assert load_mesh(file).host("colorteller") == "ledger.example.com"


def test_the_tellers_settings_demand_the_gateways_certificate(mutual: Mesh) -> None:
    """Secrets have their conventional names unless the caller knows better."""
    settings = proxy_settings(mutual, "colorteller")

    assert [listener.tls for listener in settings.listeners] == [
        ListenerTls(TlsMode.STRICT, "colorteller", "colorgateway", (Dns(GATEWAY_NAME),))
    ]
    assert settings.identities["colorteller"].secret == "meshcert/color/identity/colorteller"
    assert settings.trust_bundles["colorgateway"].secret == "meshcert/color/trust/colorgateway"
    assert (settings.application_port, settings.backends, settings.routes) == (8080, (), ())


def test_one_way_settings_ask_no_client_for_a_certificate(one_way: Mesh) -> None:
    """Neither side of the client's authentication is there."""
    teller, gateway = proxy_settings(one_way, "colorteller"), proxy_settings(one_way, "colorgateway")

    assert (teller.listeners[0].tls.trust, teller.trust_bundles) == ("", {})
    assert gateway.backends[0].tls == BackendTls(trust="colorteller", subject_alternative_names=(Dns(TELLER_NAME),))


def test_a_backend_without_a_policy_of_its_own_is_called_by_the_default(mutual: Mesh) -> None:
    """backend_defaults reach the settings."""
    written = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    gateway = written["virtual_gateways"]["colorgateway"]
    gateway["backend_defaults"] = {"client_policy": gateway["backends"][0].pop("client_policy")}

    mesh = read_mesh(yaml.safe_dump(written, sort_keys=False).encode()).mesh

    assert mesh is not None
    assert proxy_settings(mesh, "colorgateway") == proxy_settings(mutual, "colorgateway")


def test_plain_text_parts_become_plain_text_settings() -> None:
    """No tls in the file: no TLS in the settings, and no secrets."""
    written = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    del written["virtual_gateways"]["colorgateway"]["backends"][0]["client_policy"]
    del written["virtual_gateways"]["colorgateway"]["listeners"][0]["tls"]
    del written["virtual_nodes"]["colorteller"]["listeners"][0]["tls"]

    mesh = read_mesh(yaml.safe_dump(written, sort_keys=False).encode()).mesh

    assert mesh is not None
    settings = proxy_settings(mesh, "colorgateway")
    assert settings.listeners[0].tls == ListenerTls(TlsMode.DISABLED)
    assert settings.backends[0].tls is None
    assert (settings.identities, settings.trust_bundles) == ({}, {})


@pytest.mark.parametrize("file", ["mesh.yaml", "examples/color/one-way.yaml"])
@pytest.mark.parametrize("service", ["colorgateway", "colorteller"])
def test_settings_survive_the_way_through_the_environment(file: str, service: str) -> None:
    """What the stacks write as JSON is what the image reads, and short enough for a variable."""
    settings = proxy_settings(load_mesh(ROOT / file), service)

    text = settings.to_json()

    assert ProxySettings.from_json(text) == settings
    assert len(text) < 16 * 1024


def _keys(value: Any, schema: dict[str, Any], definitions: dict[str, Any], place: str = "") -> list[str]:
    """Places of keys that the schema does not know."""
    for way in schema.get("anyOf", [schema]):
        if "$ref" in way:
            return _keys(value, definitions[way["$ref"].rpartition("/")[2]], definitions, place)
        if isinstance(value, list) and "items" in way:
            return [key for item in value for key in _keys(item, way["items"], definitions, place)]
    if not isinstance(value, dict):
        return []
    unknown: list[str] = []
    for key, inner in value.items():
        below = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
        if below:
            unknown += _keys(inner, below, definitions, f"{place}.{key}")
        else:
            unknown.append(f"{place}.{key}")
    return unknown


@pytest.mark.parametrize("file", ["mesh.yaml", "examples/color/one-way.yaml"])
def test_the_json_schema_knows_every_key_of_the_shipped_files(file: str) -> None:
    """An editor that follows it marks nothing in them."""
    schema = json_schema()

    assert _keys(yaml.safe_load((ROOT / file).read_text()), schema, schema["$defs"]) == []
    assert _keys({"mesh": {"nmae": 1}}, schema, schema["$defs"]) == [".mesh.nmae"]


def test_the_json_schema_explains_every_key() -> None:
    """Editors show the descriptions; unknown keys are marked."""
    schema = json_schema()
    parts = [part for part in [schema, *schema["$defs"].values()] if part["type"] == "object"]

    for part in parts:
        assert part["additionalProperties"] is False
        for key, value in part["properties"].items():
            assert value.get("description") or "$ref" in value, f"{part['title']}.{key}"
