"""How the handlers are wired to AWS: from their environments alone, on first use, and with time-outs that fit."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from lambdas.deploy import handler as deploy
from lambdas.dispatch import handler as dispatch
from lambdas.export import handler as export
from lambdas.federate import handler as federate
from lambdas.publisher import handler as publisher
from lambdas.renewal import handler as renewal
from lambdas.verify import handler as verify
from meshcert.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

HANDLERS = [
    pytest.param(handler, id=handler.SERVICE.removeprefix("meshcert-"))
    for handler in (export, deploy, verify, renewal, dispatch, federate, publisher)
]
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "MESHCERT_MESH": "color",
    "MESHCERT_IDENTITIES_TABLE": "identities",
    "MESHCERT_LIFECYCLE_TABLE": "lifecycle",
    "MESHCERT_TRUST_BUNDLES": "colorgateway=root/",
    "MESHCERT_ACKNOWLEDGEMENTS_TABLE": "acknowledgements",
    "MESHCERT_BUNDLE_FETCHES_TABLE": "bundle-fetches",
    "MESHCERT_BUNDLE_ENDPOINTS": "partner.example=https://partner.example/",
    "MESHCERT_TRUST_DOMAIN": "color.example",
    "MESHCERT_PUBLISHED_HIERARCHIES": "colorgateway",
    "MESHCERT_BUNDLE_BUCKET": "meshcert-color-bundle",
    "MESHCERT_EXPORT_FUNCTION": "export",
    "MESHCERT_CLUSTER": "meshcert-color",
    "MESHCERT_AUDIT_LOG_GROUP": "/meshcert/color/audit",
    "MESHCERT_LOOKS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/meshcert-color-looks",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the stacks set; nothing here speaks to AWS."""
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    yield
    for handler in (export, deploy, verify, renewal, dispatch, federate, publisher):
        handler.metrics.default_dimensions.clear()


@pytest.mark.parametrize("handler", HANDLERS)
def test_importing_a_handler_needs_no_environment(handler: ModuleType) -> None:
    """Ports are made on first use; the core's loggers write as the function's do."""
    assert handler.build.cache_info().currsize == 0
    assert logging.getLogger("meshcert").handlers


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.usefixtures("environment")
def test_a_function_is_wired_by_its_environment(handler: ModuleType) -> None:
    """And its metrics are those of the mesh."""
    assert handler.build.__wrapped__()
    assert handler.metrics.default_dimensions == {"mesh": "color"}
    # None would make POWERTOOLS_SERVICE_NAME, which the stacks set, a second dimension.
    assert handler.metrics.service == ""


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_wrong_environment_is_told_on_first_use(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the names of the variables."""
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)

    with pytest.raises(SettingsInvalid, match="MESHCERT_MESH: it is not set"):
        handler.build.__wrapped__()


@pytest.mark.usefixtures("environment")
def test_an_export_is_waited_for_and_never_repeated() -> None:
    """A repeated invocation would run beside the first; the export function has 60 seconds."""
    exporter: Any = renewal.build.__wrapped__()[1].exporter

    config = exporter._client.meta.config

    assert (config.read_timeout, config.retries["total_max_attempts"]) == (55, 1)


@pytest.mark.usefixtures("environment")
def test_a_call_that_hangs_leaves_time_for_another() -> None:
    """The export function has 60 seconds, and botocore tries three times."""
    stores: Any = export.build.__wrapped__().sources.certificates

    assert stores._acm._client.meta.config.read_timeout * 3 < 60


@pytest.mark.usefixtures("environment")
def test_a_lease_outlasts_the_longest_run() -> None:
    """Lambda ends the renewal function after 120 seconds."""
    assert renewal.build.__wrapped__()[1].lease_s > 120
