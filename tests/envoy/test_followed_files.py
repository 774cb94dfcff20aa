"""The files that Envoy follows, each of which takes an instance of inotify: the whole container, the real Envoy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evidence.fixtures.proxies import gateway, teller
from evidence.fixtures.registrations import NAMESPACE
from meshcert.mesh.checks.delivery import followed_files
from tests.envoy.conftest import both_deliveries
from tests.envoy.two_ends import publish_both

if TYPE_CHECKING:
    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.proxy import DeliveryMode, ProxySettings
    from tests.envoy.conftest import Start

BACKENDS = 5


def calls_many(settings: ProxySettings) -> ProxySettings:
    """A gateway to as many backends whose tasks Cloud Map names."""
    (backend,) = settings.backends
    names = [f"teller-{number}" for number in range(BACKENDS)]
    return settings._replace(
        backends=tuple(backend._replace(name=name, cloud_map_service=name) for name in names),
        routes=tuple(settings.routes[0]._replace(prefix=f"/{name}", backend=name) for name in names),
        cloud_map_namespace=NAMESPACE,
    )


def instances(container: Container) -> int:
    """Those of inotify that Envoy has."""
    opened = Path(f"/proc/{container.children()['envoy']}/fd").iterdir()
    return sum("inotify" in str(each.readlink()) for each in opened if each.is_symlink())


@both_deliveries
def test_envoy_takes_an_instance_of_inotify_for_each_file_that_is_counted(
    start: Start, api: SecretsApi, delivery: DeliveryMode
) -> None:
    """So ``meshcert check`` knows when it would get none; the listeners that wait are a file in any case."""
    publish_both(api)
    for settings in (calls_many(gateway(delivery=delivery)), teller(awaits_application=True, delivery=delivery)):
        container = start(settings)
        container.told("secrets-accepted")

        assert instances(container) == followed_files(settings)
