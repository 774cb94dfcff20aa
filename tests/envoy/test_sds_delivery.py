"""``delivery: sds``: what only holds, or only can go wrong, where secrets go over the socket."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import stat
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography import x509
from envoy.service.discovery.v3 import discovery_pb2
from envoy.service.secret.v3 import sds_pb2_grpc

from evidence.fixtures import pki
from evidence.fixtures.container import Container, assert_ends_with, eventually
from evidence.fixtures.proxies import TELLER_NAME, TELLER_SECRET, teller
from meshcert.contract import exit_codes
from meshcert.material.document import PLACEHOLDER
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from pathlib import Path

    from evidence.fixtures.pki import Hierarchy
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Start

IDENTITY = "identity/colorteller"


@pytest.fixture
def delivery() -> DeliveryMode:
    """Over the socket, all of them."""
    return DeliveryMode.SDS


@pytest.fixture
def node(start: Start, published: SecretsApi) -> Container:
    """A teller that serves its first material."""
    del published
    container = start(teller(), MESHCERT_LOG_LEVEL="debug")
    container.wait_until_healthy()
    return container


def _demanding(hierarchy: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> Material:
    """A certificate that demands a stapled OCSP answer: OpenSSL takes it, Envoy does not."""
    builder = pki._builder
    stapled = x509.TLSFeature([x509.TLSFeatureType.status_request])
    with monkeypatch.context() as patch:
        patch.setattr(pki, "_builder", lambda *parts: builder(*parts).add_extension(stapled, critical=False))
        return hierarchy.issue([TELLER_NAME])


def _kill_watcher(container: Container) -> None:
    """Return when there is a new one."""
    old = container.children()["watcher"]
    os.kill(old, signal.SIGKILL)
    eventually(lambda: container.children().get("watcher") not in {None, old}, "a new watcher")


def _ask(container: Container, *names: str) -> Any:
    """What somebody else of the same user gets from the socket."""
    with grpc.insecure_channel(f"unix:{container.material_dir}/sds.sock") as channel:
        stub = sds_pb2_grpc.SecretDiscoveryServiceStub(channel)
        return stub.FetchSecrets(discovery_pb2.DiscoveryRequest(resource_names=names), timeout=5)


def test_no_key_touches_any_file(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither at the start, nor by a rotation, a version that is taken back, or a new watcher."""
    newer, demanding = hierarchy.issue([TELLER_NAME]), _demanding(hierarchy, monkeypatch)
    api.publish(TELLER_SECRET, newer)
    eventually(lambda: node.serves(newer), "the new serial number")
    api.publish(TELLER_SECRET, demanding)
    eventually(lambda: "Envoy rejected it" in node.log, "the refusal")
    _kill_watcher(node)
    looks = len(api.calls)
    eventually(lambda: len(api.calls) > looks + 4, "it looks")

    files = [path for path in node.material_dir.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"bootstrap.json", "delivered"}
    text = "".join(path.read_text() for path in files) + node.log
    for one in (material, newer, demanding):
        assert one.passphrase.reveal() not in text
        assert not any(line in text for line in one.private_key.reveal().splitlines()[1:-1])


def test_the_socket_is_for_its_user_alone(node: Container) -> None:
    """0600, in a folder of its own; Envoy is told apart from other programs by its parent."""
    status = (node.material_dir / "sds.sock").stat()

    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    _ask(node)
    clients = {line["pid"]: line["envoy"] for line in node.told("sds-client", 2)}
    assert clients == {node.children()["envoy"]: True, os.getpid(): False}


def test_a_rejected_version_is_told_with_envoys_own_reason_and_taken_down(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks from then on is answered with the last good one; the next good version goes through."""
    api.publish(TELLER_SECRET, _demanding(hierarchy, monkeypatch))

    (line,) = eventually(lambda: node.events("rotation-waits"), "the refusal")
    assert "Envoy rejected it: " in line["reason"]
    assert "OCSP" in line["reason"]
    assert _ask(node, IDENTITY).version_info == material.version_id
    assert node.serves(material)

    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)
    eventually(lambda: node.serves(newer), "the good one")
    assert node.stats(f"{IDENTITY}.update_rejected") == {f"sds.{IDENTITY}.update_rejected": "1"}


def test_a_first_secret_that_envoy_rejects_ends_the_container_with_its_reason(
    start: Start, published: SecretsApi, hierarchy: Hierarchy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 65."""
    published.publish(TELLER_SECRET, _demanding(hierarchy, monkeypatch))

    assert_ends_with(start(teller()), exit_codes.BAD_MATERIAL, "Envoy rejected it: ", "OCSP")


def test_a_folder_in_which_no_socket_can_be_made_is_a_fault_of_the_settings(
    start: Start, published: SecretsApi, tmp_path: Path
) -> None:
    """Exit code 64, with the system's reason."""
    del published
    folder = tmp_path / "blocked"
    (folder / "sds.sock").mkdir(parents=True)

    container = start(teller(), MESHCERT_MATERIAL_DIR=str(folder))

    assert_ends_with(container, exit_codes.SETTINGS, "sds-socket-not-bound", "Is a directory", "MESHCERT_MATERIAL_DIR")


def test_a_new_watcher_knows_what_is_served_and_refuses_an_older_version(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material
) -> None:
    """Though the one that handed it over has died, and its memory with it."""
    older = hierarchy.issue([TELLER_NAME], not_before=dt.datetime.now(dt.UTC) - dt.timedelta(days=30))
    api.publish(TELLER_SECRET, older)
    node.told("rotation-waits")
    _kill_watcher(node)

    lines = node.told("rotation-waits", 2)

    assert ["older than the one served" in line["reason"] for line in lines] == [True] * 2
    assert node.serves(material)


def test_a_version_rejected_after_a_new_watcher_leaves_envoy_what_it_has(
    node: Container, api: SecretsApi, hierarchy: Hierarchy, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the new watcher never held the good one: its value is not in AWS any more."""
    demanding = _demanding(hierarchy, monkeypatch)
    api.fail_always("broken")
    _kill_watcher(node)
    api.publish(TELLER_SECRET, demanding)
    eventually(lambda: node.events("secret-not-at-hand"), "the new watcher finds no AWS")
    api.fail_always(None)

    eventually(lambda: "Envoy rejected it" in node.log, "the refusal")

    assert node.serves(material)
    with pytest.raises(grpc.RpcError) as refusal:
        _ask(node, IDENTITY)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)
    eventually(lambda: node.serves(newer), "the good one")


def test_a_watcher_that_dies_before_envoy_has_its_secrets_is_followed_by_another_start(
    start: Start, published: SecretsApi, material: Material
) -> None:
    """What it had put up died with it, so the next one fetches and puts up all of it; until then health is red."""
    published.put(TELLER_SECRET, "v1", PLACEHOLDER)
    container = start(teller())
    envoy = eventually(lambda: container.children().get("envoy"), "Envoy is loading")
    os.kill(envoy, signal.SIGSTOP)
    try:
        published.publish(TELLER_SECRET, material)
        container.told("secret-installed", 2)
        _kill_watcher(container)
        assert not container.healthy()
    finally:
        os.kill(envoy, signal.SIGCONT)

    container.wait_until_healthy()
    assert container.serves(material)
    assert len(container.told("secret-installed", 4)) == 4


def test_a_removed_socket_is_there_again_when_it_is_needed(
    node: Container, api: SecretsApi, hierarchy: Hierarchy
) -> None:
    """A connection that stands needs no path; who has to connect anew finds one."""
    (node.material_dir / "sds.sock").unlink()
    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)
    eventually(lambda: node.serves(newer), "over the connection that stands")

    _kill_watcher(node)

    newest = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newest)
    eventually(lambda: node.serves(newest), "over a new one")


def test_an_envoy_that_does_not_answer_gets_its_verdict_heard_later(
    node: Container, api: SecretsApi, hierarchy: Hierarchy
) -> None:
    """The wait for an ACK is bounded; the rotation of everything else goes on."""
    envoy = node.children()["envoy"]
    os.kill(envoy, signal.SIGSTOP)
    try:
        newer = hierarchy.issue([TELLER_NAME])
        api.publish(TELLER_SECRET, newer)
        eventually(lambda: "has not said" in node.log, "told")
    finally:
        os.kill(envoy, signal.SIGCONT)

    eventually(lambda: node.events("rotation-confirmed"), "the ACK")
    assert node.serves(newer)


def test_somebody_elses_word_changes_nothing(node: Container, api: SecretsApi, hierarchy: Hierarchy) -> None:
    """A person may look with a client of their own; only Envoy says what Envoy takes."""
    with grpc.insecure_channel(f"unix:{node.material_dir}/sds.sock") as channel:
        requests: list[Any] = [discovery_pb2.DiscoveryRequest(resource_names=[IDENTITY])]
        stub = sds_pb2_grpc.SecretDiscoveryServiceStub(channel)
        first = next(stub.StreamSecrets(iter(requests), timeout=5))
        refusal = {"response_nonce": first.nonce, "error_detail": {"message": "no"}}
        requests.append(discovery_pb2.DiscoveryRequest(resource_names=[IDENTITY], **refusal))
        list(stub.StreamSecrets(iter(requests), timeout=5))

    newer = hierarchy.issue([TELLER_NAME])
    api.publish(TELLER_SECRET, newer)

    eventually(lambda: node.serves(newer), "rotated")
    assert node.events("rotation-waits") == []


def test_an_unknown_name_gets_nothing_and_is_told(node: Container) -> None:
    """The plain name is the identity's where no hierarchy has the same."""
    assert [resource.type_url for resource in _ask(node, "colorteller").resources] == [
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    ]
    assert list(_ask(node, "ledger").resources) == []

    (line,) = node.told("sds-unknown-secret")
    assert line["asked"] == "ledger"


def test_rotations_leave_the_watcher_no_larger(node: Container, api: SecretsApi, hierarchy: Hierarchy) -> None:
    """Neither memory nor descriptors grow with their number."""
    sizes = []
    for _ in range(4):
        for _ in range(5):
            newer = hierarchy.issue([TELLER_NAME])
            api.publish(TELLER_SECRET, newer)
            eventually(lambda newer=newer: node.serves(newer), "rotated")  # type: ignore[misc]  # a default mypy cannot infer
        sizes.append(_resident_kib(node.children()["watcher"]))

    assert sizes[-1] <= 45 * 1024
    assert sizes[-1] - sizes[0] < 1024


def _resident_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:  # noqa: PTH123 -- one line of many
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def test_the_configuration_says_nothing_of_files(node: Container) -> None:
    """Every secret comes from the cluster of the socket."""
    text = (node.material_dir / "bootstrap.json").read_text()

    assert "path_config_source" not in text
    assert json.loads(text)["static_resources"]["clusters"][-1]["name"] == "meshcert/sds"
