"""Secrets that must not be served: each ends the container before Envoy sees it, with words a person can act on."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import assert_ends_with
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.contract import exit_codes
from meshcert.material import Passphrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.pki import Hierarchy
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Start

DAY = dt.timedelta(days=1)


def _expired(hierarchy: Hierarchy) -> Material:
    now = dt.datetime.now(dt.UTC)
    return hierarchy.issue([TELLER_NAME], not_before=now - 9 * DAY, not_after=now - DAY)


def _key_of_another(hierarchy: Hierarchy) -> Material:
    other = hierarchy.issue([TELLER_NAME])
    return hierarchy.issue([TELLER_NAME])._replace(private_key=other.private_key, passphrase=other.passphrase)


BAD_MATERIAL: dict[str, tuple[Callable[[Hierarchy], Material], str]] = {
    "key of another certificate": (_key_of_another, "belongs to another certificate"),
    "clientAuth missing": (
        lambda h: h.issue([TELLER_NAME], extended_key_usages=["serverAuth"]),
        "it is not for clientAuth",
    ),
}
"""Two of those that the pre-flight refuses; all of them are in its own tests."""


@pytest.mark.parametrize("case", BAD_MATERIAL)
def test_bad_material_ends_the_container_before_envoy_sees_it(
    start: Start, published: SecretsApi, hierarchy: Hierarchy, case: str
) -> None:
    """Exit code 65 and a message a person can act on; nothing was installed."""
    make, told = BAD_MATERIAL[case]
    published.publish(TELLER_SECRET, make(hierarchy))

    container = start(teller())

    assert_ends_with(container, exit_codes.BAD_MATERIAL, told, TELLER_SECRET)
    assert not (container.material_dir / "secrets").exists()


def test_a_secret_that_cannot_be_read_ends_the_container(start: Start, published: SecretsApi) -> None:
    """Exit code 65; this is the walkthrough's seed value."""
    seed = '{"Schema":1,"Certificate":"tempcert","CertificateChain":"c","PrivateKey":"k","Passphrase":"p"}'
    published.put(TELLER_SECRET, "v1", seed)

    container = start(teller())

    assert_ends_with(
        container,
        exit_codes.BAD_MATERIAL,
        "Certificate: it is not exactly one PEM block BEGIN CERTIFICATE",
        TELLER_SECRET,
    )


def test_a_value_that_openssl_does_not_take_ends_the_container(
    start: Start, published: SecretsApi, hierarchy: Hierarchy
) -> None:
    """Exit code 65 like every other bad secret, not a fault of the program: its passphrases end at 1,024 bytes."""
    published.publish(TELLER_SECRET, hierarchy.issue([TELLER_NAME])._replace(passphrase=Passphrase("x" * 1500)))

    assert_ends_with(start(teller()), exit_codes.BAD_MATERIAL, "Passphrase is longer than", TELLER_SECRET)


def test_every_bad_secret_is_told_at_once(start: Start, published: SecretsApi, hierarchy: Hierarchy) -> None:
    """Not only the first one."""
    published.publish(TELLER_SECRET, _expired(hierarchy))
    published.put(GATEWAY_TRUST, "v1", "tempcert")

    container = start(teller())

    assert_ends_with(container, exit_codes.BAD_MATERIAL, "it expired on", "it is not JSON")
    assert {event["secret"] for event in container.told("secret-refused", 2)} == {
        "identity/colorteller",
        "trust/colorgateway",
    }
