"""Envoy's configuration where foreign trust domains are trusted."""

from __future__ import annotations

from typing import Any

import pytest

from evidence.fixtures.proxies import GATEWAY_TRUST, PORT, gateway, teller
from meshcert.envoy import Addresses, bootstrap, federated_bundles, federated_resource, roots_name, secrets_used
from meshcert.envoy.secrets import file_name
from meshcert.proxy import BackendTls, Listener, ListenerTls, ProxySettings, SecretReference, TlsMode
from meshcert.san import Uri
from meshcert.tls_sources import FederatedTrust

TRUST = FederatedTrust("colorgateway", "color.example", ("partner.example",))
IDS = ("spiffe://color.example/web", "spiffe://partner.example/web")
NAME = "federation/colorgateway+partner.example"


def _listening(mode: TlsMode = TlsMode.STRICT) -> ProxySettings:
    tls = ListenerTls(mode, "colorteller", TRUST, tuple(map(Uri, IDS)))
    return teller(listeners=(Listener(PORT, "http", tls),))


def _validation(socket: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = socket["typed_config"]["common_tls_context"]["combined_validation_context"]
    return found


def test_exact_ids_stand_in_the_default_context_and_the_bundles_come_as_one_secret() -> None:
    """For a listener and for a backend."""
    (behind,) = gateway().backends
    caller = gateway(backends=(behind._replace(tls=BackendTls(TRUST, "colorgateway", tuple(map(Uri, IDS)))),))
    (listener,) = bootstrap(_listening(), Addresses("/secrets"))["static_resources"]["listeners"]
    (cluster,) = (
        each
        for each in bootstrap(caller, Addresses("/secrets"))["static_resources"]["clusters"]
        if each["name"] == "colorteller"
    )

    for socket in (listener["filter_chains"][0]["transport_socket"], cluster["transport_socket"]):
        validation = _validation(socket)
        assert validation["default_validation_context"] == {
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": each}} for each in IDS]
        }
        assert validation["validation_context_sds_secret_config"]["name"] == NAME
    assert secrets_used(_listening()) == (NAME, "identity/colorteller")


@pytest.mark.parametrize(("trust", "tells"), [(TRUST, False), ("colorgateway", True)])
def test_no_dns_name_that_a_foreign_ca_has_signed_is_told_to_the_application(
    trust: FederatedTrust | str, *, tells: bool
) -> None:
    """Envoy quotes none, so ``x,URI=spiffe://color.example/web`` in one would be another caller's element."""
    tls = ListenerTls(TlsMode.STRICT, "colorteller", trust, tuple(map(Uri, IDS)))
    settings = teller(listeners=(Listener(PORT, "http", tls),))
    (listener,) = bootstrap(settings, Addresses("/secrets"))["static_resources"]["listeners"]

    manager = listener["filter_chains"][0]["filters"][-1]["typed_config"]

    assert manager["set_current_client_cert_details"].get("dns", False) is tells


@pytest.mark.parametrize("mode", [TlsMode.STRICT, TlsMode.PERMISSIVE])
def test_a_client_over_tls_has_exactly_one_of_the_ids(mode: TlsMode) -> None:
    """Its filter comes before everything else, and never in the chain for plain text."""
    (listener,) = bootstrap(_listening(mode), Addresses("/secrets"))["static_resources"]["listeners"]
    encrypted, *plain = listener["filter_chains"]

    config = encrypted["filters"][0]["typed_config"]["matcher"]
    assert set(config["matcher_tree"]["exact_match_map"]["map"]) == set(IDS)
    assert [each["name"] for chain in plain for each in chain["filters"]] == [
        "envoy.filters.network.http_connection_manager"
    ] * len(plain)


def test_a_listener_without_foreign_domains_has_no_such_filter() -> None:
    """Its configuration is that of before."""
    (listener,) = bootstrap(teller(), Addresses("/secrets"))["static_resources"]["listeners"]

    assert len(listener["filter_chains"][0]["filters"]) == 1
    assert len(listener["access_log"]) == 1


def test_each_source_has_a_name_of_its_own_that_can_be_a_files() -> None:
    """However many domains there are."""
    many = tuple(f"{number:04}.example" for number in range(200))
    trusts = [
        TRUST,
        FederatedTrust("", "", TRUST.foreign),
        FederatedTrust("colorgateway", "color.example", ("partner.example", "supplier.example")),
        FederatedTrust("colorgateway", "color.example", many),
        FederatedTrust("colorgateway", "color.example", many[:-1]),
    ]
    names = {roots_name(trust) for trust in trusts}

    assert len(names) == len(trusts)
    assert max(len(file_name(name)) for name in names) <= 255


def test_a_domain_without_certificates_has_no_entry() -> None:
    """Envoy takes no empty bundle; what stands there can be read back."""
    resource = federated_resource(NAME, {"color.example": "PEM", "partner.example": ""})

    assert federated_bundles(resource) == {"color.example": "PEM"}
    assert federated_bundles(federated_resource(NAME, {})) == {}


def test_settings_keep_a_federated_trust_on_their_way_to_the_container() -> None:
    """With the secrets of its domains."""
    foreign = {"partner.example": SecretReference("meshcert/color/federation/partner.example")}
    settings = _listening()._replace(
        foreign_bundles=foreign, trust_bundles={"colorgateway": SecretReference(GATEWAY_TRUST)}
    )

    assert ProxySettings.from_json(settings.to_json()) == settings
