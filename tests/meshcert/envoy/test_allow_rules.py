"""Allow rules as Envoy gets them. Who gets what by them is asked of the real Envoy, in tests/envoy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evidence.fixtures.proxies import GATEWAY_NAME, teller
from meshcert.envoy import Addresses, bootstrap
from meshcert.proxy import ProxySettings, TlsMode
from meshcert.request_log import RequestLog
from meshcert.routes import AllowRule
from meshcert.san import Dns, SpiffeIdPrefix

ADDRESSES = Addresses("/run/meshcert/secrets")
SHOP = SpiffeIdPrefix("spiffe://color.example/ns/shop")
RULES = (AllowRule(prefix="/"), AllowRule((Dns(GATEWAY_NAME), SHOP), prefix="/admin/"), AllowRule((SHOP,), path="/a"))


def _managers(settings: ProxySettings) -> list[dict[str, Any]]:
    (listener,) = bootstrap(settings, ADDRESSES)["static_resources"]["listeners"]
    return [chain["filters"][0]["typed_config"] for chain in listener["filter_chains"]]


def _with_rules(mode: TlsMode = TlsMode.STRICT, **changes: Any) -> ProxySettings:
    (listener,) = teller().listeners
    tls = listener.tls._replace(mode=mode)
    return teller(listeners=(listener._replace(allow=RULES, tls=tls),), **changes)


def test_a_listener_without_rules_is_what_it_was_before() -> None:
    """No filter, no log, no other treatment of paths: nothing of it is in its configuration."""
    (manager,) = _managers(teller())

    assert [each["name"] for each in manager["http_filters"]] == ["envoy.filters.http.router"]
    assert manager.keys().isdisjoint({"local_reply_config", "access_log", "merge_slashes"})


@pytest.mark.parametrize("mode", [TlsMode.STRICT, TlsMode.PERMISSIVE])
def test_every_request_passes_the_rules_before_the_router(mode: TlsMode) -> None:
    """In plain text too, where they know nobody."""
    managers = _managers(_with_rules(mode))

    assert len(managers) == (1 if mode is TlsMode.STRICT else 2)
    for manager in managers:
        assert [each["name"] for each in manager["http_filters"]] == [
            "envoy.filters.http.rbac",
            "envoy.filters.http.router",
        ]
        assert (manager["normalize_path"], manager["merge_slashes"]) == (True, True)
        assert manager["path_with_escaped_slashes_action"] == "REJECT_REQUEST"


def test_a_rule_is_a_policy_of_paths_and_verified_names() -> None:
    """One that nothing is longer than excludes nothing but path parameters; a shorter one excludes the longer."""
    (manager,) = _managers(_with_rules())
    rules = manager["http_filters"][0]["typed_config"]["rules"]
    policies = rules["policies"]

    assert rules["action"] == "ALLOW"
    assert list(policies) == ["prefix /", "prefix /admin/", "path /a"]
    excluded = {
        name: [
            (kind, text)
            for each in policy["permissions"][0]["and_rules"]["rules"][1]["not_rule"]["or_rules"]["rules"]
            for kind, text in each["url_path"]["path"].items()
            if kind in {"exact", "prefix"}
        ]
        for name, policy in policies.items()
    }
    assert excluded == {
        "prefix /": [("prefix", "/admin/"), ("exact", "/admin"), ("exact", "/a"), ("exact", "/a/")],
        "prefix /admin/": [],
        "path /a": [],
    }
    assert json.dumps(policies["prefix /"]["principals"]).count("any_validated_client_certificate") == 1
    assert GATEWAY_NAME in json.dumps(policies["prefix /admin/"]["principals"])
    assert "authenticated.v3.Config" in json.dumps(policies["path /a"]["principals"])


def test_the_log_of_requests_stands_beside_that_of_refused_ones() -> None:
    """Neither takes the other's place."""
    (manager,) = _managers(_with_rules(request_log=RequestLog()))

    events = [log["typed_config"]["log_format"]["json_format"]["event"] for log in manager["access_log"]]
    assert events == ["request-refused", "request"]
