"""The container's environment: all its faults are reported together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session
import pytest

from entrypoint.aws.endpoint import Endpoint, dynamodb_endpoint, parse_endpoint, secrets_manager_endpoint, sts_endpoint
from entrypoint.aws.signed_connection import Session
from entrypoint.settings import Settings
from evidence.fixtures.proxies import gateway, teller
from meshcert import naming
from meshcert.errors import SettingsInvalid
from meshcert.mesh import load_mesh, proxy_settings
from meshcert.proxy import (
    Backend,
    BackendTls,
    DeliveryMode,
    Listener,
    ListenerTls,
    ProxySettings,
    RemoteNamespace,
    Route,
    SecretReference,
    TlsMode,
)
from meshcert.routes import AllowRule, Target
from meshcert.san import Dns, Uri
from meshcert.tls_sources import CertificateFile, FederatedTrust, SdsSecret, TlsCertificate, TrustFile


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A complete environment."""
    return {
        "MESHCERT_PROXY": teller().to_json(),
        "AWS_REGION": "eu-west-1",
        "MESHCERT_MATERIAL_DIR": str(tmp_path),
    }


def _places(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsInvalid) as refusal:
        Settings.from_environ(environ)
    return [fault.place for fault in refusal.value.faults]


def test_what_the_services_stack_writes_is_enough(environ: dict[str, str]) -> None:
    """Everything else has a default, and the defaults are those of AWS."""
    settings = Settings.from_environ(environ)

    assert settings.proxy == teller()
    assert settings.endpoint == ("secretsmanager.eu-west-1.amazonaws.com", 443, True)
    assert settings.start_deadline_s == 60.0
    assert settings.addresses[1:4] == ("0.0.0.0", "127.0.0.1", "")  # noqa: S104 -- a task's interface is its own


def test_a_folder_whose_path_no_socket_can_have_is_a_fault_of_delivery_over_one(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """unix(7) has 107 bytes for it; files may lie where they want."""
    folder = tmp_path / ("x" * (107 - len(f"{tmp_path}//sds.sock")))
    for name, faults in ((folder, []), (folder.with_name(folder.name + "x"), ["MESHCERT_MATERIAL_DIR"])):
        name.mkdir()
        environ["MESHCERT_MATERIAL_DIR"] = str(name)
        environ["MESHCERT_PROXY"] = teller().to_json()
        assert Settings.from_environ(environ)
        environ["MESHCERT_PROXY"] = teller(delivery=DeliveryMode.SDS).to_json()
        if faults:
            assert _places(environ) == faults
        else:
            assert Settings.from_environ(environ).addresses.sds_socket == f"{name}/sds.sock"


def test_an_empty_environment_names_everything_that_is_missing() -> None:
    """One look at the log, not one deployment a variable."""
    assert _places({}) == ["MESHCERT_PROXY", "AWS_REGION", "MESHCERT_MATERIAL_DIR"]


def test_every_fault_is_listed_at_once(environ: dict[str, str]) -> None:
    """The message has a line for each variable, with what to do."""
    environ |= {
        "MESHCERT_START_DEADLINE_S": "soon",
        "MESHCERT_DRAIN_S": "-1",
        "MESHCERT_LOG_LEVEL": "chatty",
        "MESHCERT_DNS_RESOLVER": "10.0.0.2",
        "AWS_ENDPOINT_URL": "localhost:4566",
    }

    assert sorted(_places(environ)) == [
        "AWS_ENDPOINT_URL",
        "MESHCERT_DNS_RESOLVER",
        "MESHCERT_DRAIN_S",
        "MESHCERT_LOG_LEVEL",
        "MESHCERT_START_DEADLINE_S",
    ]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"schema": 2}', '{"schema": 1}', json.dumps({"schema": 1, "listeners": "none"})],
    ids=["not JSON", "no object", "another schema", "nothing in it", "wrong kind"],
)
def test_proxy_settings_that_cannot_be_read_are_a_fault_and_no_traceback(environ: dict[str, str], text: str) -> None:
    """This holds for any text in the variable."""
    assert _places(environ | {"MESHCERT_PROXY": text}) == ["MESHCERT_PROXY"]


def test_names_are_texts_in_the_variable() -> None:
    """A DNS name as ever, a URI beside it; what was written is read."""
    names = (Uri("spiffe://color.example/Teller"), Dns("Teller.local"))
    settings = teller(
        identities={"colorteller": SecretReference("s", names)},
        listeners=(Listener(9080, "http", ListenerTls(TlsMode.STRICT, "colorteller", "colorgateway", names)),),
        backends=(Backend("a", "a.b", 80, "http", BackendTls("colorgateway", "", names[:1])),),
    )

    written = json.loads(settings.to_json())

    texts = ["spiffe://color.example/Teller", "Teller.local"]
    assert written["identities"]["colorteller"]["names"] == texts
    assert written["listeners"][0]["tls"]["subject_alternative_names"] == texts
    assert written["backends"][0]["tls"]["subject_alternative_names"] == texts[:1]
    assert ProxySettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("way", "place"),
    [
        (("identities", "colorgateway", "names"), "identities.colorgateway.names[1]"),
        (("backends", 0, "tls", "subject_alternative_names"), "backends[0].tls.subject_alternative_names[1]"),
    ],
)
def test_a_name_that_is_none_is_refused_with_its_place(
    environ: dict[str, str], way: tuple[Any, ...], place: str
) -> None:
    """Envoy would accept it, and then refuse every peer."""
    written = json.loads(gateway().to_json())
    holder = written
    for step in way[:-1]:
        holder = holder[step]
    holder[way[-1]] = ["a.local", "spiffe://color.example/../w"]

    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environ(environ | {"MESHCERT_PROXY": json.dumps(written)})

    (fault,) = caught.value.faults
    assert fault.place == f"MESHCERT_PROXY.{place}"
    assert "has a path segment '.' or '..'" in fault.problem


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"callers": []}, "listeners[0].allow[0] has to have a path or a prefix"),
        ({"callers": [], "path": "/a", "prefix": "/a"}, "and not both"),
        ({"callers": [], "prefix": 7}, "listeners[0].allow[0]"),
        ({"prefix": "/"}, "callers"),
        ({"callers": [], "prefix": "/", "methods": ["GET"]}, "methods"),
        ([], "wrong kind"),
    ],
)
def test_an_allow_rule_that_is_none_is_refused(environ: dict[str, str], rule: object, problem: str) -> None:
    """A rule that was left out would open a path."""
    written = json.loads(teller().to_json())
    written["listeners"][0]["allow"] = [rule]

    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environ(environ | {"MESHCERT_PROXY": json.dumps(written)})

    assert problem in str(caught.value)


@pytest.mark.parametrize("tls", [ListenerTls(TlsMode.DISABLED), ListenerTls(TlsMode.STRICT, "colorteller")])
def test_allow_rules_need_callers_that_are_known(environ: dict[str, str], tls: ListenerTls) -> None:
    """Without trust, nobody asks a client for its certificate."""
    proxy = teller(listeners=(Listener(80, "http", tls, allow=(AllowRule(prefix="/"),)),))

    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environ(environ | {"MESHCERT_PROXY": proxy.to_json()})

    assert "listeners[0].allow: callers are only known together with trust" in str(caught.value)


def test_allow_rules_need_requests(environ: dict[str, str]) -> None:
    """Over tcp nothing asks them: whoever TLS lets in could say anything."""
    tls = ListenerTls(TlsMode.STRICT, "colorteller", "colorgateway")
    proxy = teller(listeners=(Listener(80, "tcp", tls, allow=(AllowRule(prefix="/"),)),))

    with pytest.raises(SettingsInvalid, match=r"listeners\[0\].allow: tcp has no requests"):
        Settings.from_environ(environ | {"MESHCERT_PROXY": proxy.to_json()})


@pytest.mark.parametrize(
    "callers", [["a.local", "spiffe://color.example/../w"], ["a.local", {"prefix": "color.example"}]]
)
def test_a_caller_that_is_no_name_is_refused_with_its_place(environ: dict[str, str], callers: list[Any]) -> None:
    """As a name at the listener is."""
    written = json.loads(teller().to_json())
    written["listeners"][0]["allow"] = [{"callers": callers, "prefix": "/"}]

    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environ(environ | {"MESHCERT_PROXY": json.dumps(written)})

    (fault,) = caught.value.faults
    assert fault.place.startswith("MESHCERT_PROXY.listeners[0].allow[0].callers[1]")


_PLAIN = ListenerTls(TlsMode.DISABLED)


def _served(certificate: TlsCertificate) -> dict[str, Any]:
    return {"listeners": (Listener(80, "http", ListenerTls(TlsMode.STRICT, certificate)),)}


def test_sources_of_the_users_are_read_as_they_were_written(environ: dict[str, str]) -> None:
    """And a proxy that has none keeps the text of before."""
    tls = ListenerTls(TlsMode.STRICT, CertificateFile("/keys/chain.pem", "/keys/key.pem"), SdsSecret("clients"))
    backend = Backend("a", "a.b", 80, "http", BackendTls(TrustFile("/keys/ca.pem"), SdsSecret("teller")))
    settings = teller(listeners=(Listener(80, "http", tls),), backends=(backend,), sds_socket_path="/run/agent/sds")

    assert Settings.from_environ(environ | {"MESHCERT_PROXY": settings.to_json()}).proxy == settings
    assert "sds_socket_path" not in teller().to_json()
    assert '"certificate":"colorteller"' in teller().to_json()


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"listeners": ()}, "listeners"),
        ({"application_port": 0}, "routes"),
        ({"poll_interval_s": 0}, "poll_interval_s"),
        ({"max_connection_duration_s": -1}, "max_connection_duration_s"),
        ({"acknowledge_every_s": 0}, "acknowledge_every_s"),
        ({"acknowledgements": 7}, "acknowledgements"),
        ({"identities": {}}, "listeners[0].tls.certificate"),
        ({"trust_bundles": {}}, "listeners[0].tls.trust"),
        ({"listeners": (Listener(0, "http", _PLAIN),)}, "listeners[0].port"),
        ({"listeners": (Listener(80, "gopher", _PLAIN),)}, "listeners[0].protocol"),
        (
            {"listeners": (Listener(80, "http", ListenerTls(TlsMode.STRICT, "colorteller", "", (Dns("a.b"),))),)},
            "listeners[0].tls.subject_alternative_names",
        ),
        ({"backends": (Backend("a", "a.b", 80, "http", BackendTls("nobody")),)}, "backends[0].tls.trust"),
        (
            {"backends": (Backend("a", "a.b", 80, "http", BackendTls("colorgateway", "nobody")),)},
            "backends[0].tls.certificate",
        ),
        ({"backends": (Backend("a", "a.b", 80, "http", None, "a"),)}, "backends[0].cloud_map_service"),
        (
            {"backends": (Backend("a", "a.b", 80, "http", None, "a", remote_namespace=RemoteNamespace("b", "c", "")),)},
            "backends[0].remote_namespace",
        ),
        ({"routes": (Route("/", "nobody"),)}, "routes[0].backend"),
        ({"routes": (Route("/", "", targets=(Target("nobody", 1), Target("else", 1))),)}, "routes[0].targets"),
        ({"identities": {"../colorteller": None, **teller().identities}}, "'../colorteller'"),
        (_served(CertificateFile("chain.pem", "/keys/key.pem")), "listeners[0].tls.certificate"),
        (_served(CertificateFile("/keys/chain.pem", "/keys/../key.pem")), "listeners[0].tls.certificate"),
        (_served(CertificateFile("/keys/chain.pem", 7)), "listeners[0].tls.certificate"),  # type: ignore[arg-type]
        (_served(SdsSecret("teller")), "listeners[0].tls.certificate"),
        (_served(SdsSecret("")) | {"sds_socket_path": "/run/a"}, "listeners[0].tls.certificate.secret_name"),
        ({"sds_socket_path": "agent.sock"}, "sds_socket_path"),
        ({"sds_socket_path": f"/{'a' * 107}"}, "sds_socket_path"),
        (
            {"backends": (Backend("a", "a.b", 80, "http", BackendTls("", "", (Dns("a.b"),))),)},
            "backends[0].tls.subject_alternative_names",
        ),
        (
            _served(CertificateFile("/keys/chain.pem", "/keys/key.pem"))
            | {
                "backends": (Backend("a", "a.b", 80, "http", BackendTls("", CertificateFile("/keys/chain.pem", "/b"))),)
            },
            "listeners and backends",
        ),
    ],
)
def test_settings_envoy_would_choke_on_are_refused_with_their_place(
    environ: dict[str, str], changes: dict[str, Any], place: str
) -> None:
    """Envoy's own message for these would name a protobuf field at best."""
    if changes.get("identities", {}).get("../colorteller", "") is None:
        changes["identities"]["../colorteller"] = teller().identities["colorteller"]

    assert f"MESHCERT_PROXY.{place}" in _places(environ | {"MESHCERT_PROXY": teller(**changes).to_json()})


@pytest.mark.parametrize("place", ["poll_interval_s", "max_connection_duration_s", "acknowledge_every_s"])
@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused(environ: dict[str, str], place: str, seconds: float) -> None:
    """Python's own reader takes them."""
    changes: dict[str, Any] = {place: seconds}

    assert _places(environ | {"MESHCERT_PROXY": teller(**changes).to_json()}) == ["MESHCERT_PROXY"]


def test_a_gateway_without_an_application_is_complete(environ: dict[str, str]) -> None:
    """Routes are enough."""
    assert Settings.from_environ(environ | {"MESHCERT_PROXY": gateway().to_json()}).proxy == gateway()


def test_a_disabled_listener_needs_no_certificate(environ: dict[str, str]) -> None:
    """Its TLS fields are not looked at."""
    settings = teller()._replace(listeners=(Listener(80, "http", _PLAIN),), identities={}, trust_bundles={})

    assert Settings.from_environ(environ | {"MESHCERT_PROXY": settings.to_json()}).proxy == settings


@pytest.mark.parametrize(
    ("region", "variables", "authority"),
    [
        ("eu-west-1", {}, "secretsmanager.eu-west-1.amazonaws.com"),
        ("us-gov-west-1", {}, "secretsmanager.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", {}, "secretsmanager.cn-north-1.amazonaws.com.cn"),
        ("us-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "secretsmanager-fips.us-east-1.amazonaws.com"),
        ("eu-west-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "127.0.0.1:4566"),
        ("eu-west-1", {"AWS_ENDPOINT_URL": "https://vpce.example"}, "vpce.example"),
        (
            "eu-west-1",
            {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://mine"},
            "mine",
        ),
    ],
)
def test_secrets_manager_is_found_in_every_partition(region: str, variables: dict[str, str], authority: str) -> None:
    """The environment's URL first, the more specific one before the general one."""
    assert secrets_manager_endpoint(region, variables).authority == authority


@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize(
    "region",
    [
        "eu-west-1",
        "us-gov-west-1",
        "cn-north-1",
        "eusc-de-east-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "us-isof-south-1",
        "eu-isoe-west-1",
    ],
)
def test_endpoints_are_those_of_the_aws_sdk(region: str, *, fips: bool) -> None:
    """botocore, which the image does without, resolves the same hosts."""
    variables = {"AWS_USE_FIPS_ENDPOINT": str(fips).lower()}

    assert secrets_manager_endpoint(region, variables).authority == _sdk_host("secretsmanager", region, fips=fips)
    assert dynamodb_endpoint(region, variables).authority == _sdk_host("dynamodb", region, fips=fips)
    assert sts_endpoint(region, variables).authority == _sdk_host("sts", region, fips=fips)


def test_dynamodb_may_be_elsewhere_than_secrets_manager() -> None:
    """Its own variable first, then the general one; never the other service's."""
    variables = {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_DYNAMODB": "http://rows"}

    assert dynamodb_endpoint("eu-west-1", variables).authority == "rows"
    assert secrets_manager_endpoint("eu-west-1", variables).authority == "all"
    secrets = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://secrets"}
    assert dynamodb_endpoint("eu-west-1", secrets).authority == "dynamodb.eu-west-1.amazonaws.com"


def test_the_services_stack_names_the_table_of_acknowledgements() -> None:
    """The interval stays at its default."""
    mesh = load_mesh(Path(__file__).resolve().parents[2] / "mesh.yaml")

    for service in mesh.services:
        settings = proxy_settings(mesh, service)
        assert settings.acknowledgements == naming.acknowledgements_table(mesh.name)
        assert settings.acknowledge_every_s == 300.0


_READING = {"secretsmanager": "list_secrets", "dynamodb": "list_tables", "sts": "get_caller_identity"}


def _sdk_host(service: str, region: str, *, fips: bool) -> str:
    asked: list[str] = []

    class AskedError(Exception):
        pass

    def note(request: Any, **_: Any) -> None:
        asked.append(request.url)
        raise AskedError

    config = botocore.config.Config(use_fips_endpoint=fips)
    client = botocore.session.Session().create_client(
        service, region_name=region, aws_access_key_id="a", aws_secret_access_key="s", config=config
    )
    client.meta.events.register("before-send", note)
    with pytest.raises(AskedError):
        getattr(client, _READING[service])()
    return asked[0].removeprefix("https://").rstrip("/")


def test_a_bundle_of_authorities_that_cannot_be_read_is_a_fault(environ: dict[str, str], tmp_path: Path) -> None:
    """Found at the start, by its variable's name, and not as a failed handshake."""
    missing = str(tmp_path / "no-such.pem")

    assert _places(environ | {"AWS_CA_BUNDLE": missing}) == ["AWS_CA_BUNDLE"]
    with pytest.raises(ValueError, match="AWS_CA_BUNDLE cannot be read"):
        Session.begin({"AWS_CA_BUNDLE": missing}, lambda: None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://169.254.170.2", (Endpoint("169.254.170.2", 80, tls=False), "/")),
        ("HTTPS://Vpce.Example", (Endpoint("vpce.example", 443, tls=True), "/")),
        ("https://vpce.example:8443/v1/x?a=b", (Endpoint("vpce.example", 8443, tls=True), "/v1/x?a=b")),
        ("http://[fd00:ec2::23]/v1/credentials", (Endpoint("fd00:ec2::23", 80, tls=False), "/v1/credentials")),
        ("http://localhost:4566?a", (Endpoint("localhost", 4566, tls=False), "/?a")),
    ],
)
def test_the_parts_of_a_url(url: str, expected: tuple[Endpoint, str]) -> None:
    """Host and port to connect to, and what is asked for there."""
    assert parse_endpoint(url) == expected


@pytest.mark.parametrize(
    "url",
    ["", "localhost:4566", "ftp://host", "http://", "http://:80", "http://host:0", "http://host:65536", "http://host:x",
     "http://user:password@host", "http://a b", "http://host/ path", "http://[::1", "http://host\n"],
)  # fmt: skip
def test_what_is_no_url_is_refused_and_not_quoted(url: str) -> None:
    """It could hold credentials."""
    with pytest.raises(ValueError, match=r"^it is not an http or https URL$"):
        parse_endpoint(url)


_WEB = (Uri("spiffe://partner.example/web"),)


@pytest.mark.parametrize(
    ("trust", "names", "place"),
    [
        (FederatedTrust("colorgateway", "color.example", ("partner.example",)), _WEB, ""),
        (FederatedTrust("", "", ("partner.example",)), _WEB, ""),
        (FederatedTrust("colorgateway", "color.example", ("partner.example",)), (), "subject_alternative_names"),
        (FederatedTrust("", "", ("partner.example",)), (*_WEB, Dns("web.example")), "subject_alternative_names"),
        (FederatedTrust("", "", ("supplier.example",)), _WEB, "trust.foreign"),
        (FederatedTrust("nobody", "color.example", ("partner.example",)), _WEB, "trust.hierarchy"),
        (FederatedTrust("colorgateway", "", ("partner.example",)), _WEB, "trust"),
        (FederatedTrust("colorgateway", "partner.example", ("partner.example",)), _WEB, "trust"),
        (FederatedTrust("", "", ("partner.example", "partner.example")), _WEB, "trust"),
    ],
)
@pytest.mark.parametrize("role", ["listener", "backend"])
def test_a_federated_trust_that_envoy_would_take_and_that_admits_the_wrong_peers_is_refused(
    environ: dict[str, str], trust: FederatedTrust, names: tuple[Dns | Uri, ...], place: str, role: str
) -> None:
    """Envoy's SPIFFE validator ignores DNS names, and without any other name admits everybody of its domains."""
    foreign = {"partner.example": SecretReference("meshcert/color/federation/partner.example")}
    changes: dict[str, Any] = {"foreign_bundles": foreign}
    if role == "listener":
        tls = ListenerTls(TlsMode.STRICT, "colorteller", trust, names)
        settings = teller(listeners=(Listener(9080, "http", tls),), **changes)
    else:
        (backend,) = gateway().backends
        behind = backend._replace(tls=BackendTls(trust, "colorgateway", names))
        trusts = {"colorgateway": SecretReference("trust")}
        settings = gateway(backends=(behind,), trust_bundles=trusts, **changes)
    environ["MESHCERT_PROXY"] = settings.to_json()

    if place:
        assert _places(environ) == [f"MESHCERT_PROXY.{role}s[0].tls.{place}"]
    else:
        assert Settings.from_environ(environ).proxy == settings
