"""What a container tells the mesh of itself: Envoy's own word, in time, and never at the cost of a rotation."""

from __future__ import annotations

import datetime as dt
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from entrypoint.discovery.connecting import accepting
from evidence.fixtures import pki
from evidence.fixtures.container import Container, assert_ends_with, eventually, request, serial_number
from evidence.fixtures.proxies import GATEWAY_NAME, PORT, TELLER_NAME, TELLER_SECRET, teller
from evidence.fixtures.secrets_api import TASK
from meshcert.contract import exit_codes
from meshcert.material.certificate_facts import certificate_facts
from meshcert.proxy import ProxySettings, RotationMode, TlsMode
from tests.envoy.conftest import both_deliveries
from tests.envoy.mutual_client import is_admitted

if TYPE_CHECKING:
    from evidence.fixtures.pki import Hierarchy
    from evidence.fixtures.secrets_api import Fault, SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Start

TABLE = "meshcert-color-acknowledgements"
LARGEST_WATCHER_KIB = 45 * 1024


def _teller(**changes: Any) -> ProxySettings:
    return teller(acknowledgements=TABLE, acknowledge_every_s=300.0, **changes)


def _facts(material: Material) -> dict[str, Any]:
    """What a row says of an identity that serves this."""
    facts = certificate_facts(material.certificate)
    return {
        "version": material.version_id,
        "serial": facts.serial_number,
        "not_after": int(facts.not_after.timestamp()),
    }


def _last(api: SecretsApi) -> dict[str, Any]:
    """What the last row says of the teller's identity; empty before the first."""
    return dict(api.rows[-1]["secrets"]["colorteller"]) if api.rows else {}


def _says(api: SecretsApi, material: Material) -> bool:
    return _last(api) == {**_facts(material), "refused": "", "error": ""}


@pytest.fixture
def node(start: Start, published: SecretsApi, material: Material) -> Container:
    """A teller that has said what it serves first."""
    container = start(_teller())
    container.wait_until_healthy()
    eventually(lambda: _says(published, material), "the first acknowledgement")
    return container


@both_deliveries
def test_a_task_says_what_envoy_serves_once_it_has_accepted_everything(
    node: Container, api: SecretsApi, material: Material
) -> None:
    """One row: where it is, which version and certificate, until when the row counts."""
    (row,) = api.rows

    assert row == {
        "table": TABLE,
        "service": "colorteller",
        "task": TASK,
        "schema": 1,
        "at": row["at"],
        "expires": row["at"] + 900 + 86400,
        "secrets": {"colorteller": {**_facts(material), "refused": "", "error": ""}},
    }
    assert abs(row["at"] - dt.datetime.now(dt.UTC).timestamp()) < 60
    assert {int(_last(api)["serial"], 16)} == node.served_serial_numbers()


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_a_permissive_task_says_how_it_is_asked(
    start: Start, published: SecretsApi, hierarchy: Hierarchy, protocol: str
) -> None:
    """Three requests in plain text and two over TLS, a connection each; who only connects does not count."""
    (listener,) = teller().listeners
    permissive = listener._replace(protocol=protocol, tls=listener.tls._replace(mode=TlsMode.PERMISSIVE))
    began = int(dt.datetime.now(dt.UTC).timestamp())
    container = start(teller(acknowledgements=TABLE, acknowledge_every_s=0.5, listeners=(permissive,)))
    start.application(container)
    container.wait_until_healthy()

    assert accepting([(container.address, PORT)])
    for _ in range(3):
        assert request(container.address, PORT)[0] == 200
    for _ in range(2):
        assert is_admitted(container.address, PORT, hierarchy.issue([GATEWAY_NAME]))

    def told() -> dict[str, int]:
        """What the last row says of the listener, once it says all."""
        counts = published.rows[-1]["listeners"][str(PORT)] if published.rows else {}
        return counts if (counts.get("tls"), counts.get("plain")) == (2, 3) else {}

    counts = eventually(told, "five requests told")
    assert began <= counts["plain_at"] <= dt.datetime.now(dt.UTC).timestamp()
    rows = len(published.rows)
    eventually(lambda: len(published.rows) > rows + 2, "further rows")
    assert published.rows[-1]["listeners"][str(PORT)] == counts


def test_the_first_request_in_plain_text_is_told_long_before_the_row_is_due(
    start: Start, published: SecretsApi, hierarchy: Hierarchy
) -> None:
    """And the first over TLS: by then nobody waits to know whether STRICT is safe."""
    (listener,) = teller().listeners
    permissive = listener._replace(tls=listener.tls._replace(mode=TlsMode.PERMISSIVE))
    container = start(_teller(listeners=(permissive,)))
    start.application(container)
    container.wait_until_healthy()

    def counted() -> tuple[int, int]:
        """Over TLS and in plain text, as the last row says."""
        told = published.rows[-1]["listeners"][str(PORT)] if published.rows else {"tls": -1, "plain": -1}
        return told["tls"], told["plain"]

    eventually(lambda: counted() == (0, 0), "the first row")
    assert is_admitted(container.address, PORT, hierarchy.issue([GATEWAY_NAME]))
    eventually(lambda: counted() == (1, 0), "the first over TLS")
    assert request(container.address, PORT)[0] == 200
    eventually(lambda: counted() == (1, 1), "the first in plain text")


def test_nothing_is_said_before_envoy_has_accepted_its_secrets(
    start: Start, published: SecretsApi, material: Material
) -> None:
    """DynamoDB is no part of the start: one that hangs does not keep the container from being healthy."""
    published.fail_writes("hanging")

    container = start(_teller())
    container.wait_until_healthy()

    eventually(lambda: published.write_attempts, "an attempt")
    accepted = container.told("secrets-accepted")
    assert len(accepted) == 1
    assert container.told("acknowledgement-waits")[0]["at"] > accepted[0]["at"]
    published.fail_writes(None)
    eventually(lambda: _says(published, material), "said later")
    eventually(lambda: container.events("acknowledgement-recovered"), "the log line")


@both_deliveries
def test_after_a_rotation_the_acknowledged_serial_is_the_served_one(
    node: Container, api: SecretsApi, hierarchy: Hierarchy
) -> None:
    """Three times in a row; each is said, though the interval is far from over."""
    for _ in range(3):
        newer = hierarchy.issue([TELLER_NAME])
        api.publish(TELLER_SECRET, newer)
        eventually(lambda newer=newer: _says(api, newer), "the new version acknowledged")  # type: ignore[misc]  # a default mypy cannot infer

        assert node.served_serial_numbers() == {serial_number(newer)} == {int(_last(api)["serial"], 16)}
    assert len(api.rows) == 4


@both_deliveries
def test_a_refusal_is_said_until_a_good_version_is_served(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material
) -> None:
    """What is served stays what Envoy shows; version and reason of the refused one stand beside it."""
    now = dt.datetime.now(dt.UTC)
    expired = hierarchy.issue([TELLER_NAME], not_before=now - dt.timedelta(days=9), not_after=now - dt.timedelta(1))

    api.publish(TELLER_SECRET, expired)

    eventually(lambda: _last(api)["refused"] == expired.version_id, "the refusal")
    assert "Certificate: it expired on" in _last(api)["error"]
    assert _facts(material).items() <= _last(api).items()
    assert node.served_serial_numbers() == {int(_last(api)["serial"], 16)}
    rows, looks = len(api.rows), len(api.calls)
    eventually(lambda: len(api.calls) > looks + 6, "further looks")
    assert len(api.rows) == rows

    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)
    eventually(lambda: _says(api, newer), "all is well again")


@both_deliveries
def test_a_version_only_envoy_rejects_is_said_to_be_refused(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that demands a stapled OCSP answer: OpenSSL takes it, Envoy does not and serves on what it has."""
    builder = pki._builder
    stapled = x509.TLSFeature([x509.TLSFeatureType.status_request])
    monkeypatch.setattr(pki, "_builder", lambda *parts: builder(*parts).add_extension(stapled, critical=False))
    demanding = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, demanding)

    eventually(lambda: _last(api)["refused"] == demanding.version_id, "the refusal")
    assert "Envoy rejected it" in _last(api)["error"]
    assert _facts(material).items() <= _last(api).items()
    assert node.served_serial_numbers() == {serial_number(material)}


@pytest.mark.parametrize("fault", ["hanging", "throttled", "denied", "cut", "garbage", "empty", "broken"])
def test_a_dead_dynamodb_does_not_keep_a_rotation_from_envoy(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, fault: Fault
) -> None:
    """Three versions are taken over while not one row gets through; then only the last state is said."""
    rows, attempts = len(api.rows), api.write_attempts
    api.fail_writes(fault)
    for _ in range(3):
        newer = hierarchy.issue([TELLER_NAME])
        api.publish(TELLER_SECRET, newer)
        served = {serial_number(newer)}
        eventually(lambda served=served: node.served_serial_numbers() == served, "the new serial number")  # type: ignore[misc]  # the same
    eventually(lambda: api.write_attempts > attempts, "an attempt")
    eventually(lambda: node.events("acknowledgement-waits"), "told")

    assert len(api.rows) == rows
    assert len(node.events("acknowledgement-waits")) <= 2
    assert node.healthy()

    api.fail_writes(None)
    eventually(lambda: _says(api, newer), "the last state")
    assert len(api.rows) == rows + 1


def test_an_unreachable_dynamodb_is_told_once(
    start: Start, published: SecretsApi, hierarchy: Hierarchy, material: Material
) -> None:
    """Nobody listens there; rotations go on."""
    container = start(_teller(), AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:9")
    container.wait_until_healthy()
    (line,) = eventually(lambda: container.events("acknowledgement-waits"), "told")
    assert "dynamodb:PutItem" in line["reason"]
    assert container.served_serial_numbers() == {serial_number(material)}

    newer = hierarchy.issue([TELLER_NAME])
    published.publish(TELLER_SECRET, newer)
    eventually(lambda: container.served_serial_numbers() == {serial_number(newer)}, "rotated")
    looks = len(published.calls)
    eventually(lambda: len(published.calls) > looks + 20, "further looks")

    assert len(container.events("acknowledgement-waits")) == 1


@both_deliveries
def test_a_running_proxy_goes_back_only_from_a_quarantined_version(
    node: Container, api: SecretsApi, hierarchy: Hierarchy
) -> None:
    """A label moved back is refused; once the served version is quarantined, the older one is taken over."""
    older = hierarchy.issue([TELLER_NAME], not_before=dt.datetime.now(dt.UTC) - dt.timedelta(days=30))
    bad = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, bad)
    eventually(lambda: _says(api, bad), "the version that will turn out to be bad")
    api.publish(TELLER_SECRET, older)
    eventually(lambda: _last(api)["refused"] == older.version_id, "the refusal")
    assert "older than the one served" in _last(api)["error"]
    assert node.served_serial_numbers() == {serial_number(bad)}

    api.quarantine(TELLER_SECRET, bad.version_id)

    eventually(lambda: _says(api, older), "rolled back")
    assert node.served_serial_numbers() == {serial_number(older)}


def test_a_task_in_redeploy_mode_goes_on_saying_what_it_serves(
    start: Start, published: SecretsApi, hierarchy: Hierarchy, material: Material
) -> None:
    """A newer version is no error of this task: it will be replaced."""
    container = start(_teller(rotation=RotationMode.REDEPLOY))
    container.wait_until_healthy()
    eventually(lambda: _says(published, material), "the first acknowledgement")

    published.publish(TELLER_SECRET, hierarchy.issue([TELLER_NAME]))

    eventually(lambda: container.events("newer-version"), "seen")
    looks = len(published.calls)
    eventually(lambda: len(published.calls) > looks + 4, "further looks")
    assert _says(published, material)
    assert len(published.rows) == 1


def test_the_row_is_written_again_when_the_interval_is_over(
    start: Start, published: SecretsApi, material: Material
) -> None:
    """Also by a watcher that looks at its secrets less often."""
    container = start(teller(acknowledgements=TABLE, acknowledge_every_s=0.5, poll_interval_s=60.0))
    container.wait_until_healthy()

    eventually(lambda: len(published.rows) >= 4, "three more")

    assert _says(published, material)
    assert published.calls.count(("DescribeSecret", TELLER_SECRET)) == 0


@both_deliveries
def test_a_new_watcher_says_it_again(node: Container, api: SecretsApi, material: Material) -> None:
    """It knows nothing of what the last one said, and asks Envoy."""
    os.kill(node.children()["watcher"], signal.SIGKILL)

    eventually(lambda: len(api.rows) == 2, "the new watcher's")
    assert _says(api, material)


@pytest.mark.parametrize(
    "metadata",
    [b"", b"<html>", b"[]", b'{"TaskARN": 7}', b'{"TaskARN": "arn:aws:iam::1:role/x"}', b" " * 2**21],
    ids=["empty", "HTML", "a list", "a number", "another ARN", "large"],
)
def test_metadata_that_names_no_task_is_told_once_and_asked_again(
    start: Start, published: SecretsApi, material: Material, metadata: bytes
) -> None:
    """Nothing is written under a name that is none; Envoy serves on."""
    good, published.metadata = published.metadata, metadata
    container = start(_teller())
    container.wait_until_healthy()
    (line,) = eventually(lambda: container.events("acknowledgement-waits"), "told")
    assert "no task metadata" in line["reason"]
    looks = len(published.calls)
    eventually(lambda: len(published.calls) > looks + 8, "further looks")
    assert len(container.events("acknowledgement-waits")) == 1
    assert published.write_attempts == 0

    published.metadata = good
    eventually(lambda: _says(published, material), "said")


def test_outside_of_ecs_nothing_is_acknowledged(start: Start, published: SecretsApi, hierarchy: Hierarchy) -> None:
    """One line says so, and rotations go on."""
    container = start(_teller(), ECS_CONTAINER_METADATA_URI_V4="")
    container.wait_until_healthy()
    newer = hierarchy.issue([TELLER_NAME])
    published.publish(TELLER_SECRET, newer)
    eventually(lambda: container.served_serial_numbers() == {serial_number(newer)}, "rotated")

    (line,) = container.told("acknowledgements-off")
    assert "ECS_CONTAINER_METADATA_URI_V4" in line["reason"]
    assert published.write_attempts == 0


@both_deliveries
def test_the_watcher_stays_small(node: Container, api: SecretsApi, hierarchy: Hierarchy) -> None:
    """45 MB resident at most, after rotations and acknowledgements."""
    for _ in range(10):
        newer = hierarchy.issue([TELLER_NAME])
        api.publish(TELLER_SECRET, newer)
        eventually(lambda newer=newer: _says(api, newer), "acknowledged")  # type: ignore[misc]  # the same

    status = Path(f"/proc/{node.children()['watcher']}/status").read_text()
    (resident,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    assert int(resident) <= LARGEST_WATCHER_KIB


@both_deliveries
def test_a_version_that_stays_quarantined_ends_the_start(
    start: Start, published: SecretsApi, hierarchy: Hierarchy
) -> None:
    """Exit code 65 at the deadline, with what to do; Envoy never saw it."""
    bad = hierarchy.issue([TELLER_NAME])
    published.publish(TELLER_SECRET, bad)
    published.quarantine(TELLER_SECRET, bad.version_id)

    container = start(_teller(), MESHCERT_START_DEADLINE_S="1")

    assert_ends_with(container, exit_codes.BAD_MATERIAL, f"version {bad.version_id} is QUARANTINED", TELLER_SECRET)
    assert not (container.material_dir / "secrets").exists()


def test_a_container_that_finds_a_quarantined_version_waits_for_the_label_to_move(
    start: Start, published: SecretsApi, hierarchy: Hierarchy, material: Material
) -> None:
    """A rollback quarantines first and moves the label then."""
    bad = hierarchy.issue([TELLER_NAME])
    published.publish(TELLER_SECRET, bad)
    published.quarantine(TELLER_SECRET, bad.version_id)
    container = start(_teller())
    eventually(lambda: published.calls.count(("GetSecretValue", TELLER_SECRET)) > 2, "asked again")
    assert not container.healthy()

    published.publish(TELLER_SECRET, material)

    container.wait_until_healthy()
    assert container.served_serial_numbers() == {serial_number(material)}
