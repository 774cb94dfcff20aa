"""Which of an Envoy's secrets come from files."""

from __future__ import annotations

import pytest

from evidence.fixtures.proxies import gateway, teller
from local.demo.sds import secrets_from_files
from meshcert.envoy import bootstrap
from meshcert.envoy.addresses import Addresses
from meshcert.envoy.ways_in import ways_in
from meshcert.proxy import DeliveryMode, ProxySettings

PLACES = Addresses("/run/secrets", sds_socket="/run/sds", ways_in="/run/ways-in.json", endpoints_directory="/run/eds")


@pytest.mark.parametrize(("settings", "secrets"), [(gateway(), 2), (teller(awaits_application=True), 2)])
def test_the_secrets_of_files_are_counted_and_other_files_are_not(settings: ProxySettings, secrets: int) -> None:
    """A node's listeners come from a file in both deliveries: they hold no key."""
    socket = settings._replace(delivery=DeliveryMode.SDS)

    assert secrets_from_files(_whole(settings)) == secrets
    assert secrets_from_files(_whole(socket)) == 0


def _whole(settings: ProxySettings) -> list[object]:
    """Everything that Envoy is told about these settings."""
    return [bootstrap(settings, PLACES), ways_in(settings, PLACES, opened=True) if settings.awaits_application else {}]
