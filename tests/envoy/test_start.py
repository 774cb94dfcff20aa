"""From nothing to Envoy with its secrets, or to an exit code that says why not."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.container import Container, assert_ends_with, eventually, serial_number
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.contract import exit_codes
from meshcert.material.document import PLACEHOLDER, write_material
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.pki import Hierarchy
    from evidence.fixtures.secrets_api import Fault, SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Start

HEALTH_CHECK_LOADS = {f"entrypoint.{name}" for name in ("container", "container.paths", "envoy", "envoy.plain_http")}
"""Its own modules, all of them; each one more is paid for every few seconds."""


@both_deliveries
def test_envoy_serves_what_was_published(start: Start, published: SecretsApi, material: Material) -> None:
    """Both secrets are accepted, the leaf is the published one, and the health check turns green only then."""
    container = start(teller())
    container.wait_until_healthy()

    assert container.served_serial_numbers() == {serial_number(material)}
    versions = container.stats(".version_text")
    assert versions["sds.identity/colorteller.version_text"] == material.version_id
    assert published.calls.count(("GetSecretValue", TELLER_SECRET)) == 1


@both_deliveries
def test_nothing_secret_is_in_arguments_environment_or_the_admin_interface(
    start: Start, published: SecretsApi, material: Material
) -> None:
    """Key and passphrase live in memory and, unless they go over the socket, in one private file on the tmpfs."""
    del published
    container = start(teller())
    container.wait_until_healthy()

    passphrase = material.passphrase.reveal()
    key = material.private_key.reveal().splitlines()[3]
    places = {"log": container.log, "config_dump": container.admin("/config_dump")[1]}
    for name, pid in {"supervisor": container.process.pid, **container.children()}.items():
        with suppress(PermissionError):  # the watcher's is closed to its own user
            places[f"{name} environ"] = Path(f"/proc/{pid}/environ").read_bytes().decode()
        places[f"{name} cmdline"] = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    for place, text in places.items():
        assert passphrase not in text, place
        assert key not in text, place
    assert "[redacted]" in places["config_dump"]
    assert {oct(file.stat().st_mode & 0o777) for file in container.material_dir.rglob("*.*")} == {"0o600"}


@both_deliveries
def test_the_watcher_leaves_no_core_file(start: Start, published: SecretsApi) -> None:
    """Neither by a limit nor, for the one that holds keys in Python, at all."""
    del published
    container = start(teller())
    container.wait_until_healthy()

    for pid in (container.process.pid, *container.children().values()):
        limits = Path(f"/proc/{pid}/limits").read_text()
        (core,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["1", "1"]
    watcher = Path(f"/proc/{container.children()['watcher']}")
    assert (watcher / "environ").stat().st_uid == 0  # what PR_SET_DUMPABLE does; others own their own


def test_only_named_paths_of_the_admin_interface_answer(start: Start, published: SecretsApi) -> None:
    """Counters yes, stopping Envoy no."""
    del published
    container = start(teller())
    container.wait_until_healthy()

    allowed = {"/ready": "GET", "/stats?filter=sds": "GET", "/certs": "GET", "/clusters": "GET", "/listeners": "GET"}
    assert {path: container.admin(path, method)[0] for path, method in allowed.items()} == dict.fromkeys(allowed, 200)
    for path in ("/quitquitquit", "/logging?level=trace", "/runtime_modify?a=b", "/", "/help"):
        assert container.admin(path, "POST")[0] == 403, path


@both_deliveries
def test_a_missing_secret_is_refused_at_once(start: Start, published: SecretsApi) -> None:
    """Exit code 77: waiting would not make it appear."""
    del published
    settings = teller(identities={"colorteller": teller().identities["colorteller"]._replace(secret="nowhere")})

    assert_ends_with(start(settings), exit_codes.AWS_REFUSED, "nowhere does not exist", "identities stack")


@both_deliveries
def test_a_placeholder_is_waited_for_until_the_deadline(start: Start, published: SecretsApi) -> None:
    """Exit code 66 if the export function never ran."""
    published.put(TELLER_SECRET, "v1", PLACEHOLDER)

    container = start(teller(), MESHCERT_START_DEADLINE_S="1")

    assert_ends_with(container, exit_codes.NOT_PUBLISHED, "placeholder")


@both_deliveries
def test_a_container_that_is_early_starts_when_the_export_function_has_run(
    start: Start, published: SecretsApi, material: Material
) -> None:
    """The placeholder is replaced while it waits."""
    published.put(TELLER_SECRET, "v1", PLACEHOLDER)
    container = start(teller())
    eventually(lambda: published.calls.count(("GetSecretValue", TELLER_SECRET)) > 1, "asked again")

    published.publish(TELLER_SECRET, material)

    container.wait_until_healthy()


@pytest.mark.parametrize("fault", ["throttled", "broken", "cut", "garbage", "empty"])
def test_a_failing_secrets_manager_is_asked_again(start: Start, published: SecretsApi, fault: Fault) -> None:
    """Two failures in a row, whatever they look like on the wire."""
    published.fail_next(fault, fault)

    start(teller()).wait_until_healthy()


@pytest.mark.parametrize("fault", ["throttled", "broken", "hanging", "garbage"])
def test_a_secrets_manager_that_goes_on_failing_ends_the_start(
    start: Start, published: SecretsApi, fault: Fault
) -> None:
    """Exit code 69 near the deadline, never a hang."""
    published.fail_always(fault)

    container = start(teller(), MESHCERT_START_DEADLINE_S="1")

    assert_ends_with(container, exit_codes.AWS_UNAVAILABLE, "secretsmanager:GetSecretValue", GATEWAY_TRUST)


def test_an_unreachable_secrets_manager_ends_the_start(start: Start) -> None:
    """Exit code 69: nobody listens there."""
    container = start(teller(), MESHCERT_START_DEADLINE_S="1", AWS_ENDPOINT_URL="http://127.0.0.1:9")

    assert_ends_with(container, exit_codes.AWS_UNAVAILABLE, "no connection")


def test_beside_a_job_a_failed_start_ends_when_it_is_told_to(start: Start) -> None:
    """ECS heeds the startTimeout of a container that runs; its exit code still says why."""
    variables = {"MESHCERT_START_DEADLINE_S": "1", "MESHCERT_AWAITS_STOP": "true"}
    container = start(teller(), AWS_ENDPOINT_URL="http://127.0.0.1:9", **variables)
    (told,) = container.told("stopped")

    assert told["exit_code"] == exit_codes.AWS_UNAVAILABLE
    assert not container.healthy()
    with pytest.raises(subprocess.TimeoutExpired):
        container.exit_code(within_s=0.5)
    container.terminate()

    assert container.exit_code() == exit_codes.AWS_UNAVAILABLE


def test_missing_credentials_end_the_start(start: Start, published: SecretsApi) -> None:
    """Exit code 69: the task has no role, or its endpoint is out."""
    container = start(
        teller(), MESHCERT_START_DEADLINE_S="1", AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{published.url}/unknown"
    )

    assert_ends_with(container, exit_codes.AWS_UNAVAILABLE, "no credentials")


def test_a_denied_role_is_refused_when_the_grace_for_fresh_roles_is_over(start: Start, published: SecretsApi) -> None:
    """Exit code 77; the deadline is shorter than the grace here."""
    published.fail_always("denied")

    container = start(teller(), MESHCERT_START_DEADLINE_S="1")

    assert_ends_with(container, exit_codes.AWS_REFUSED, "AccessDeniedException", "not authorized")


def test_wrong_settings_are_all_told_at_once(start: Start) -> None:
    """Exit code 64."""
    container = start(None, MESHCERT_LOG_LEVEL="chatty", MESHCERT_MATERIAL_DIR="/nowhere")

    assert_ends_with(
        container, exit_codes.SETTINGS, "MESHCERT_PROXY: it is not set", "MESHCERT_LOG_LEVEL", "MESHCERT_MATERIAL_DIR"
    )


def test_a_material_folder_that_cannot_take_the_secrets_is_a_fault_of_the_settings(
    start: Start, published: SecretsApi, tmp_path: Path
) -> None:
    """Exit code 64 with the folder and the system's reason, as for a tmpfs that is too small."""
    del published
    folder = tmp_path / "blocked"
    (folder / "secrets/.identity-colorteller.json.new").mkdir(parents=True)

    container = start(teller(), MESHCERT_MATERIAL_DIR=str(folder))

    assert_ends_with(container, exit_codes.SETTINGS, "MESHCERT_MATERIAL_DIR", f"{folder} cannot be written: Is a dir")


def test_a_closed_standard_output_does_not_keep_the_secrets_from_envoy(
    image: Path, published: SecretsApi, new_address: Callable[[], str], tmp_path: Path
) -> None:
    """Nobody reading the log is no reason for the watcher to end."""
    container = Container(image, tmp_path / "closed", new_address(), teller(), published.environment)
    reader, writer = os.pipe()
    os.close(reader)
    container.process = subprocess.Popen(
        [sys.executable, "-m", "entrypoint"], env=container.environment, stdout=writer, stderr=writer, cwd="/"
    )
    os.close(writer)
    try:
        container.wait_until_healthy()
        calls = published.calls.count(("DescribeSecret", TELLER_SECRET))
        eventually(lambda: published.calls.count(("DescribeSecret", TELLER_SECRET)) > calls, "still watching")
        container.terminate()
        assert container.exit_code() == exit_codes.STOPPED
    finally:
        container.process.kill()
        container.process.wait()


@both_deliveries
def test_an_image_without_envoy_says_so(start: Start, published: SecretsApi) -> None:
    """Exit code 71."""
    del published
    container = start(teller(), PATH="/usr/bin:/bin")

    assert_ends_with(container, exit_codes.ENVOY, "envoy: No such file or directory")


def test_a_first_secret_that_envoy_rejects_ends_the_container(
    start: Start, published: SecretsApi, hierarchy: Hierarchy, image: Path, tmp_path: Path
) -> None:
    """File SDS makes Envoy LIVE all the same, resetting every connection: its counters are what counts."""
    del published
    other = hierarchy.issue([TELLER_NAME])
    swapped = tmp_path / "swapped.json"
    swapped.write_text(_rejected_by_envoy(other, hierarchy.issue([TELLER_NAME])))
    folder = tmp_path / "bin"
    folder.mkdir()
    # In Envoy's place: waits for the secrets, spoils one as only Envoy will notice, then becomes Envoy.
    wrapper = folder / "envoy"
    wrapper.write_text(
        "#!/bin/sh\n"
        'while [ ! -e "$MESHCERT_MATERIAL_DIR/bootstrap.json" ]; do sleep 0.01; done\n'
        f'cp {shlex.quote(str(swapped))} "$MESHCERT_MATERIAL_DIR/secrets/identity-colorteller.json"\n'
        f'exec {shlex.quote(str(image / "bin/envoy"))} "$@"\n'
    )
    wrapper.chmod(0o755)

    container = start(teller(), PATH=f"{folder}:{image}/bin:/usr/bin:/bin")

    assert_ends_with(container, exit_codes.BAD_MATERIAL, "Envoy rejected it", "Envoy's own line in this log")
    assert "KEY_VALUES_MISMATCH" in container.log


@both_deliveries
def test_the_health_check_is_red_until_the_secrets_are_there(
    start: Start, published: SecretsApi, material: Material, tmp_path: Path
) -> None:
    """Also where an earlier container of the same task was green: its remains are cleared away first."""
    published.put(TELLER_SECRET, "v1", PLACEHOLDER)
    remains = tmp_path / "remains"
    remains.mkdir(0o700)
    (remains / "delivered").touch()
    os.mkfifo(remains / "envoy.json")
    container = start(teller(), MESHCERT_MATERIAL_DIR=str(remains))
    eventually(lambda: published.calls, "asked")

    assert not container.healthy()
    published.publish(TELLER_SECRET, material)

    eventually(container.healthy, "healthy")


def test_the_health_check_loads_little_more_than_python_itself_does(start: Start, published: SecretsApi) -> None:
    """ECS runs it every few seconds for years, and most of its time goes into loading; ``make bench`` measures that."""
    del published
    container = start(teller())
    container.wait_until_healthy()

    loaded = _modules_loaded(container, "-m", "entrypoint.healthcheck") - _modules_loaded(container, "-c", "pass")

    assert {name for name in loaded if name.startswith("entrypoint.")} <= HEALTH_CHECK_LOADS
    assert not loaded & {"asyncio", "http.client", "json", "ssl", "subprocess", "urllib.parse"}


def _modules_loaded(container: Container, *arguments: str) -> set[str]:
    """The modules that a Python with the container's environment loads; it must end with 0."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, env=container.environment, cwd="/", stderr=subprocess.PIPE, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def _rejected_by_envoy(certificate: Material, key: Material) -> str:
    """An SDS file with a certificate and the key of another one."""
    import json  # noqa: PLC0415 -- of this helper only

    from meshcert.envoy import discovery_response, identity_resource  # noqa: PLC0415 -- the same

    torn = certificate._replace(private_key=key.private_key, passphrase=key.passphrase)
    assert write_material(torn, {})
    return json.dumps(discovery_response(identity_resource("identity/colorteller", torn), "v2"))
