"""What Envoy is told, by table. That Envoy accepts it is tested with the real Envoy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.proxies import GATEWAY_NAME, TELLER_NAME, gateway, teller
from meshcert.envoy import (
    Addresses,
    bootstrap,
    discovery_response,
    identity_name,
    identity_resource,
    listener_name,
    secrets_used,
    trust_name,
    trust_resource,
)
from meshcert.envoy.api import duration
from meshcert.proxy import Backend, BackendTls, DeliveryMode, Listener, ListenerTls, ProxySettings, Route, TlsMode
from meshcert.san import Dns, Uri

if TYPE_CHECKING:
    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material

ADDRESSES = Addresses("/run/meshcert/secrets")


def _listener(settings: ProxySettings, addresses: Addresses = ADDRESSES) -> dict[str, Any]:
    listener: dict[str, Any] = bootstrap(settings, addresses)["static_resources"]["listeners"][0]
    return listener


def _clusters(settings: ProxySettings, addresses: Addresses = ADDRESSES) -> dict[str, Any]:
    return {item["name"]: item for item in bootstrap(settings, addresses)["static_resources"]["clusters"]}


def _with_tls(**changes: Any) -> ProxySettings:
    listener = teller().listeners[0]
    return teller(listeners=(listener._replace(tls=listener.tls._replace(**changes)),))


def _downstream(settings: ProxySettings, chain: int = 0) -> dict[str, Any]:
    context: dict[str, Any] = _listener(settings)["filter_chains"][chain]["transport_socket"]["typed_config"]
    return context


def _filter(settings: ProxySettings, chain: int = 0) -> dict[str, Any]:
    config: dict[str, Any] = _listener(settings)["filter_chains"][chain]["filters"][0]["typed_config"]
    return config


@pytest.mark.parametrize(
    ("tls", "required"),
    [({}, True), ({"trust": "", "subject_alternative_names": ()}, False)],
    ids=["mutual TLS", "one-way TLS"],
)
def test_client_certificates_are_always_explicitly_required_or_not(tls: dict[str, Any], required: bool) -> None:  # noqa: FBT001 -- a column of the table
    """Envoy's default for the field is about to flip, so it is never left out."""
    assert _downstream(_with_tls(**tls))["require_client_certificate"] is required


def test_a_strict_listener_has_no_plain_text_chain() -> None:
    """STRICT means that every filter chain has a TLS socket."""
    assert all("transport_socket" in chain for chain in _listener(teller())["filter_chains"])


def test_a_permissive_listener_tells_tls_from_plain_text_by_the_first_bytes() -> None:
    """PERMISSIVE inspects, and has one chain for either."""
    listener = _listener(_with_tls(mode=TlsMode.PERMISSIVE))

    assert [item["name"] for item in listener["listener_filters"]] == ["envoy.filters.listener.tls_inspector"]
    assert {chain["filter_chain_match"]["transport_protocol"]: "transport_socket" in chain
            for chain in listener["filter_chains"]} == {"tls": True, "raw_buffer": False}  # fmt: skip


def test_a_disabled_listener_never_speaks_tls() -> None:
    """DISABLED has one chain, without a TLS socket, and needs no secret."""
    settings = teller(listeners=(Listener(9080, "http", ListenerTls(TlsMode.DISABLED)),), trust_bundles={})

    assert ["transport_socket" in chain for chain in _listener(settings)["filter_chains"]] == [False]
    assert secrets_used(settings) == ()


def test_peers_are_matched_by_exact_dns_names_in_both_directions() -> None:
    """A listener checks its clients' names, a cluster its backend's."""
    upstream = _clusters(gateway())["colorteller"]["transport_socket"]["typed_config"]["common_tls_context"]
    downstream = _downstream(teller())["common_tls_context"]

    for context, name in ((downstream, GATEWAY_NAME), (upstream, TELLER_NAME)):
        default = context["combined_validation_context"]["default_validation_context"]
        assert default["match_typed_subject_alt_names"] == [{"san_type": "DNS", "matcher": {"exact": name}}]


def test_uris_are_matched_as_uris() -> None:
    """Beside DNS names: one matcher that says yes is enough."""
    names = (Uri("spiffe://color.example/Gateway"), Dns(GATEWAY_NAME))
    context = _downstream(_with_tls(subject_alternative_names=names))["common_tls_context"]

    default = context["combined_validation_context"]["default_validation_context"]
    assert default["match_typed_subject_alt_names"] == [
        {"san_type": "URI", "matcher": {"exact": "spiffe://color.example/Gateway"}},
        {"san_type": "DNS", "matcher": {"exact": GATEWAY_NAME}},
    ]


def test_without_names_a_listener_accepts_whatever_its_trust_bundle_signed() -> None:
    """No SAN rule, no matcher; the roots still decide."""
    context = _downstream(_with_tls(subject_alternative_names=()))["common_tls_context"]

    assert context["validation_context_sds_secret_config"]["name"] == trust_name("colorgateway")
    assert "combined_validation_context" not in context


def test_without_names_a_backend_must_still_prove_its_own_host_name() -> None:
    """Any certificate of the same CA would do otherwise."""
    backend = gateway().backends[0]
    nameless = gateway(backends=(backend._replace(tls=BackendTls("colorteller", "colorgateway")),))
    context = _clusters(nameless)["colorteller"]["transport_socket"]["typed_config"]["common_tls_context"]

    matchers = context["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"]
    assert [matcher["matcher"]["exact"] for matcher in matchers] == [TELLER_NAME]


def test_both_ends_speak_tls_1_2_to_1_3() -> None:
    """As a client Envoy would stop at 1.2 if not told."""
    upstream = _clusters(gateway())["colorteller"]["transport_socket"]["typed_config"]
    for context in (_downstream(teller()), upstream):
        assert context["common_tls_context"]["tls_params"] == {
            "tls_minimum_protocol_version": "TLSv1_2",
            "tls_maximum_protocol_version": "TLSv1_3",
        }


def test_the_backend_is_asked_for_by_its_host_name() -> None:
    """SNI is the name Cloud Map answers to."""
    assert _clusters(gateway())["colorteller"]["transport_socket"]["typed_config"]["sni"] == TELLER_NAME


def test_every_http_connection_ends_in_time_on_both_sides() -> None:
    """Only new connections see a new certificate. A proxy leaves by itself before it would be asked to."""
    settings = gateway(max_connection_duration_s=90.0)
    options = _clusters(settings)["colorteller"]["typed_extension_protocol_options"]
    (upstream,) = options.values()

    assert upstream["common_http_protocol_options"]["max_connection_duration"] == "80s"
    assert _filter(settings)["common_http_protocol_options"]["max_connection_duration"] == "85s"
    assert _filter(settings)["drain_timeout"] == "5s"


def test_the_longest_prefix_wins_whatever_the_order_in_the_mesh_file() -> None:
    """Envoy takes the first route that matches."""
    routes = (Route("/", "colorteller"), Route("/colors/blue", "colorteller"), Route("/colors", "colorteller"))

    prefixes = [
        route["match"]["prefix"]
        for route in _filter(gateway(routes=routes))["route_config"]["virtual_hosts"][0]["routes"]
    ]
    assert prefixes == ["/colors/blue", "/colors", "/"]


def test_requests_are_repeated_only_when_they_surely_were_not_processed() -> None:
    """No retry on anything a backend may have acted on."""
    (route,) = _filter(gateway())["route_config"]["virtual_hosts"][0]["routes"]

    assert set(route["route"]["retry_policy"]["retry_on"].split(",")) == {
        "connect-failure",
        "refused-stream",
        "reset-before-request",
    }


@pytest.mark.parametrize(
    ("protocol", "codec", "upstream"),
    [("http", "AUTO", "http_protocol_options"), ("http2", "HTTP2", "http2_protocol_options"),
     ("grpc", "HTTP2", "http2_protocol_options")],
)  # fmt: skip
def test_the_protocol_decides_the_codec_of_both_sides(protocol: str, codec: str, upstream: str) -> None:
    """HTTP/2 is explicit, never negotiated by luck."""
    listener = teller().listeners[0]._replace(protocol=protocol)
    settings = teller(listeners=(listener,))
    (options,) = _clusters(settings)["application"]["typed_extension_protocol_options"].values()

    assert _filter(settings)["codec_type"] == codec
    assert list(options["explicit_http_config"]) == [upstream]


def test_a_tcp_listener_is_proxied_after_the_handshake_and_without_a_limit_on_its_sessions() -> None:
    """Cutting them has to be asked for. In plain text there is no handshake to wait for."""
    tls = teller().listeners[0].tls._replace(mode=TlsMode.PERMISSIVE)
    settings = teller(listeners=(Listener(9080, "tcp", tls),))
    proxied = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "cluster": "application",
        "idle_timeout": "3600s",
    }

    assert _filter(settings, 0) == {
        **proxied,
        "stat_prefix": "ingress_9080_tls",
        "upstream_connect_mode": "ON_DOWNSTREAM_TLS_HANDSHAKE",
        "max_early_data_bytes": 16384,
    }
    assert _filter(settings, 1) == {**proxied, "stat_prefix": "ingress_9080_plain"}


def test_tcp_sessions_are_cut_at_the_cap_where_that_is_asked_for() -> None:
    """Behind TLS; in plain text there is no certificate that could be an old one."""
    tls = teller().listeners[0].tls._replace(mode=TlsMode.PERMISSIVE)
    settings = teller(listeners=(Listener(9080, "tcp", tls),), cut_tcp_sessions=True)

    assert _filter(settings, 0)["max_downstream_connection_duration"] == "600s"
    assert "max_downstream_connection_duration" not in _filter(settings, 1)


def test_a_gateways_tcp_sessions_are_cut_where_they_go_on_over_tls() -> None:
    """Its client shows no certificate, but it shows one itself; a backend in plain text ends no session."""
    tls = gateway().backends[0].tls
    listener = Listener(5432, "tcp", ListenerTls(TlsMode.DISABLED))
    encrypted, plain = (Backend("ledger", "ledger.local", 5432, "tcp", used) for used in (tls, None))

    for backend, limit in ((encrypted, "600s"), (plain, None)):
        routes = (Route("/", "ledger"),)
        settings = gateway(listeners=(listener,), backends=(backend,), routes=routes, cut_tcp_sessions=True)
        assert _filter(settings).get("max_downstream_connection_duration") == limit


@pytest.mark.parametrize("protocol", ["http", "http2", "grpc", "tcp"])
def test_a_handshake_that_never_ends_is_cut(protocol: str) -> None:
    """Every TLS chain has the limit; a plain one has no handshake."""
    tls = teller().listeners[0].tls._replace(mode=TlsMode.PERMISSIVE)
    encrypted, plain = _listener(teller(listeners=(Listener(9080, protocol, tls),)))["filter_chains"]

    assert encrypted["transport_socket_connect_timeout"] == "10s"
    assert "transport_socket_connect_timeout" not in plain


@pytest.mark.parametrize(("protocol", "idle"), [("http", "300s"), ("http2", "300s"), ("grpc", "0s")])
def test_no_request_has_a_total_limit_by_default_and_only_grpc_streams_may_be_quiet_for_ever(
    protocol: str, idle: str
) -> None:
    """Both are always written: Envoy's own 15 seconds would cut downloads."""
    settings = teller(listeners=(teller().listeners[0]._replace(protocol=protocol),))
    (route,) = _filter(settings)["route_config"]["virtual_hosts"][0]["routes"]

    assert (route["route"]["timeout"], route["route"]["idle_timeout"]) == ("0s", idle)
    assert "max_stream_duration" not in route["route"]


def test_no_cluster_limits_its_service() -> None:
    """Neither connections nor requests, and above all not the three retries at once that Envoy allows by default."""
    settings = teller(backends=(Backend("ledger", "ledger.local", 5432, "tcp"), gateway().backends[0]))

    for cluster in _clusters(settings).values():
        (thresholds,) = cluster["circuit_breakers"]["thresholds"]
        assert thresholds.pop("retry_budget") == {"budget_percent": {"value": 100}, "min_retry_concurrency": 1000}
        assert thresholds == dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 100_000)


def test_the_application_learns_who_called_and_nobody_can_pretend() -> None:
    """x-forwarded-client-cert is set from the verified certificate, and what a client wrote into it is dropped."""
    assert _filter(teller())["forward_client_cert_details"] == "SANITIZE_SET"
    assert "forward_client_cert_details" not in _filter(gateway())  # Envoy's default is SANITIZE


def test_the_admin_interface_is_on_loopback_and_offers_only_named_paths() -> None:
    """No way to stop Envoy or to change its runtime through it."""
    admin = bootstrap(teller(), Addresses("/s", loopback="127.9.9.9"))["admin"]
    allowed = [path for matcher in admin["allow_paths"] for path in matcher.values()]

    assert admin["address"]["socket_address"] == {"address": "127.9.9.9", "port_value": 9901}
    assert "access_log" not in admin
    for forbidden in ("/quitquitquit", "/logging", "/runtime_modify", "/heapprofiler", "/cpuprofiler", "/memory"):
        assert not any(forbidden.startswith(path) for path in allowed)


def test_addresses_are_the_only_thing_that_differs_between_two_places() -> None:
    """The local runner overrides addresses and the resolver; the rest of the configuration is the same text."""
    here = Addresses("/other", listen="127.7.0.1", loopback="127.7.0.2", dns_resolver="127.7.0.3:53")
    text = json.dumps(bootstrap(gateway(), here))
    resolver = ', "typed_dns_resolver_config": ' + json.dumps(bootstrap(gateway(), here)["typed_dns_resolver_config"])
    for mine, default in (("/other", "/run/meshcert/secrets"), ("127.7.0.1", "0.0.0.0"), ("127.7.0.2", "127.0.0.1")):  # noqa: S104 -- the default is what is looked for
        text = text.replace(mine, default)

    assert text.replace(resolver, "") == json.dumps(bootstrap(gateway(), ADDRESSES))


def test_a_virtual_node_may_call_backends_and_its_application() -> None:
    """One cluster each, the application under its reserved name."""
    settings = teller(backends=(Backend("ledger", "ledger.local", 5432, "tcp"),))

    assert set(_clusters(settings)) == {"ledger", "application"}
    assert "transport_socket" not in _clusters(settings)["ledger"]


def test_refused_connections_are_logged_by_every_listener() -> None:
    """The transport failure reason is what tells five faults of a peer apart."""
    log = _listener(teller())["access_log"][0]["typed_config"]["log_format"]["json_format"]

    assert log["reason"] == "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%"
    assert log["listener"] == listener_name(9080)


def test_secret_names_never_collide() -> None:
    """An identity and a hierarchy of one name are two secrets, with counters of their own."""
    listener = teller().listeners[0]
    settings = teller(listeners=(listener._replace(tls=ListenerTls(TlsMode.STRICT, "same", "same")),))

    assert secrets_used(settings) == ("identity/same", "trust/same")


def test_material_is_one_resource_with_an_encrypted_key(material: Material) -> None:
    """Leaf and issuers without the root, the key as it was, the passphrase beside it, the version on top."""
    resource = identity_resource(identity_name("colorteller"), material)

    assert resource["name"] == "identity/colorteller"
    assert resource["tls_certificate"] == {
        "certificate_chain": {"inline_string": material.presented_chain},
        "private_key": {"inline_string": material.private_key.reveal()},
        "password": {"inline_string": material.passphrase.reveal()},
    }
    assert discovery_response(resource, "v7") == {"version_info": "v7", "resources": [resource]}


def test_a_trust_bundle_holds_certificates_only(hierarchy: Hierarchy) -> None:
    """Every root of the bundle goes to Envoy, inline."""
    resource = trust_resource(trust_name("colorteller"), hierarchy.trust_bundle)

    assert resource["validation_context"] == {"trusted_ca": {"inline_string": hierarchy.trust_bundle.certificates}}


def test_the_configuration_holds_no_key_but_names_where_envoy_reads_it() -> None:
    """Static certificates would never reload: every certificate and every root comes by SDS, none is in the text."""
    text = json.dumps(bootstrap(teller(), ADDRESSES))

    assert "tls_certificate_sds_secret_configs" in text
    assert "validation_context_sds_secret_config" in text
    for static in ('"tls_certificates"', '"private_key"', '"password"', '"trusted_ca"', "PRIVATE KEY"):
        assert static not in text, static


def test_over_the_socket_every_secret_is_asked_for_and_none_is_a_file() -> None:
    """By the one cluster that is no backend; Envoy waits for it, and comes back to it quickly."""
    for settings in (teller(delivery=DeliveryMode.SDS), gateway(delivery=DeliveryMode.SDS)):
        text = json.dumps(bootstrap(settings, ADDRESSES))
        assert "path_config_source" not in text
        assert text.count('"initial_fetch_timeout": "0s"') == len(secrets_used(settings))
        assert text.count('"cluster_name": "meshcert/sds"') == len(secrets_used(settings)) + 1
        assert '"retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"}' in text
    cluster = _clusters(teller(delivery=DeliveryMode.SDS), ADDRESSES._replace(sds_socket="/run/meshcert/sds.sock"))
    (endpoint,) = cluster["meshcert/sds"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint == {"endpoint": {"address": {"pipe": {"path": "/run/meshcert/sds.sock"}}}}
    (options,) = cluster["meshcert/sds"]["typed_extension_protocol_options"].values()
    assert options["explicit_http_config"] == {"http2_protocol_options": {}}


def test_files_need_no_cluster() -> None:
    """The default delivery."""
    assert "meshcert/sds" not in json.dumps(bootstrap(teller(), ADDRESSES))


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0s"), (0.2, "0.2s"), (15.0, "15s"), (604_799.5, "604799.5s"), (1e6, "1000000s"), (1e-5, "0.00001s")],
)
def test_a_duration_is_decimal(seconds: float, written: str) -> None:
    """Protobuf's JSON form of a Duration has no exponent, and Envoy refuses one."""
    assert duration(seconds) == written
