"""A container whose settings are an object: the real Envoy runs with 300 backends, which no task definition holds."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from evidence.fixtures.container import assert_ends_with, eventually
from evidence.fixtures.many_backends import gateway_with_backends
from meshcert.contract import exit_codes
from meshcert.contract.container import LOOPBACK
from meshcert.documents.stored_settings import SUFFIX, stored_settings
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.proxy import DeliveryMode
    from tests.envoy.conftest import Start

BACKENDS = 300
WITHIN_S = 60.0
BUCKET = "cdk-hnb659fds-assets-111122223333-eu-west-1"


@both_deliveries
def test_a_gateway_with_300_backends_starts_and_outlives_its_watcher(
    start: Start, api: SecretsApi, delivery: DeliveryMode
) -> None:
    """The object is fetched once: a watcher that is replaced does not need it."""
    # Addresses for names: nobody here would answer 300 questions of Envoy's.
    settings = gateway_with_backends(BACKENDS)
    backends = tuple(backend._replace(host=LOOPBACK) for backend in settings.backends)
    content, digest = stored_settings(settings._replace(delivery=delivery, backends=backends).to_json())
    api.objects[f"{BUCKET}/{digest}{SUFFIX}"] = content
    container = start(None, MESHCERT_PROXY_FROM=f"s3://{BUCKET}/{digest}{SUFFIX}")
    container.told("secrets-accepted")  # it may take longer than another: Envoy makes 300 clusters first
    container.wait_until_healthy()
    assert sum(name.endswith(".membership_total") for name in container.stats("cluster.node-")) == BACKENDS

    api.objects_available = False
    watcher = container.children()["watcher"]
    os.kill(watcher, signal.SIGKILL)

    eventually(lambda: container.children().get("watcher", watcher) != watcher, "another watcher", WITHIN_S)
    assert container.told("watcher-ended")[0]["code"] == -signal.SIGKILL
    container.terminate()
    assert container.exit_code(WITHIN_S) == exit_codes.STOPPED
    assert api.objects_sent == 1


def test_another_content_than_the_task_definition_names_starts_no_envoy(start: Start, api: SecretsApi) -> None:
    """Exit code 64, and the log names the object."""
    content, digest = stored_settings(gateway_with_backends(2).to_json())
    api.objects[f"{BUCKET}/{digest}{SUFFIX}"] = content[:-1]

    container = start(None, MESHCERT_PROXY_FROM=f"s3://{BUCKET}/{digest}{SUFFIX}")

    assert_ends_with(container, exit_codes.SETTINGS, "StoredSettingsUnusable", digest, "SHA-256")
