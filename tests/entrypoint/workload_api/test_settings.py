"""The Workload API's settings in a container's environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.settings import Settings
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_SECRET, teller
from meshcert.errors import SettingsInvalid
from meshcert.proxy import ProxySettings, SecretReference
from meshcert.san import Dns, Uri

if TYPE_CHECKING:
    from pathlib import Path

FRONT, BACK = Uri("spiffe://color.example/front"), Uri("spiffe://color.example/back")
TRUST = {"colorgateway": SecretReference(GATEWAY_TRUST)}


def _proxy(*names: Any, **changes: Any) -> ProxySettings:
    identities = {
        f"identity{number}": SecretReference(TELLER_SECRET, (Dns("a.local"), *([name] if name else [])))
        for number, name in enumerate(names)
    }
    identities["colorteller"] = SecretReference(TELLER_SECRET, (Dns("b.local"),))
    return teller(identities=identities, **{"trust_domain_bundles": ("colorgateway",)} | changes)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Of a container whose application, which runs as two users, may ask."""
    return {
        "MESHCERT_PROXY": _proxy(None, FRONT, BACK).to_json(),
        "AWS_REGION": "eu-west-1",
        "MESHCERT_MATERIAL_DIR": str(tmp_path),
        "MESHCERT_WORKLOAD_API_SOCKET": f"{tmp_path}/workload.sock",
        "MESHCERT_WORKLOAD_API_USERS": "1000, 33",
    }


def _problems(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsInvalid) as refusal:
        Settings.from_environ(environ)
    return str(refusal.value)


def test_identities_with_a_spiffe_id_are_offered_and_no_others(environ: dict[str, str], tmp_path: Path) -> None:
    """In the order of the proxy's settings, with the roots that these name."""
    wanted = Settings.from_environ(environ).workload_api

    assert wanted
    assert wanted.socket_path == f"{tmp_path}/workload.sock"
    assert wanted.users == {1000, 33}
    assert wanted.trust_domain == "color.example"
    assert wanted.spiffe_ids == {"identity1": str(FRONT), "identity2": str(BACK)}
    assert wanted.bundles == ("colorgateway",)


def test_without_a_socket_there_is_none(environ: dict[str, str]) -> None:
    """Whatever else is set."""
    del environ["MESHCERT_WORKLOAD_API_SOCKET"]

    assert Settings.from_environ(environ).workload_api is None


def test_what_is_not_set_is_not_written(environ: dict[str, str]) -> None:
    """A proxy without it keeps the text of before, and with it its task definition."""
    assert "trust_domain" not in teller().to_json()
    assert ProxySettings.from_json(environ["MESHCERT_PROXY"]).trust_domain_bundles == ("colorgateway",)


@pytest.mark.parametrize("users", ["", ",", "root", "1000,", "-1", "1.5", "4294967295", "9" * 5000, "²", "1 2"])
def test_users_are_numbers(environ: dict[str, str], users: str) -> None:
    """And at least one is allowed."""
    assert "MESHCERT_WORKLOAD_API_USERS: it is no list" in _problems(environ | {"MESHCERT_WORKLOAD_API_USERS": users})


def test_the_users_are_not_too_many(environ: dict[str, str]) -> None:
    """Up to thirty-two."""
    many = ",".join(map(str, range(33)))

    assert "1 to 32" in _problems(environ | {"MESHCERT_WORKLOAD_API_USERS": many})
    assert Settings.from_environ(environ | {"MESHCERT_WORKLOAD_API_USERS": many.removesuffix(",32")}).workload_api


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("workload.sock", "no absolute path"),
        ("/run/../workload.sock", "no absolute path"),
        (f"/{'a' * 107}", "too long for a socket"),
        ("/nowhere/workload.sock", "in no folder that can be written"),
    ],
)
def test_a_path_where_no_socket_can_be_is_refused(environ: dict[str, str], path: str, told: str) -> None:
    """With the variable."""
    problems = _problems(environ | {"MESHCERT_WORKLOAD_API_SOCKET": path})

    assert "MESHCERT_WORKLOAD_API_SOCKET" in problems
    assert told in problems


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        (_proxy(None), "no identity of this proxy has a SPIFFE ID"),
        (_proxy(FRONT, Uri("spiffe://other.example/front")), "of 2 trust domains"),
        (_proxy(FRONT, trust_domain_bundles=()), "no trust bundle is named"),
        (_proxy(FRONT, trust_domain_bundles=("other",)), "'other' is not declared in these settings"),
    ],
    ids=["DNS names alone", "two trust domains", "no bundle", "an unknown bundle"],
)
def test_what_cannot_be_offered_is_refused(environ: dict[str, str], proxy: ProxySettings, told: str) -> None:
    """The services stack does not write it, so it says to deploy that again."""
    problems = _problems(environ | {"MESHCERT_PROXY": proxy.to_json()})

    assert told in problems
    assert "deploy that again" in problems
