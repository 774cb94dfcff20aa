"""What the demo proves, and what must hold while it runs."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from evidence.fixtures.audit import actions
from evidence.fixtures.canary import search_files, search_processes, search_texts, secrets_of
from local.aws.fargate.network.addresses import TASKS
from local.cdk import ROOT
from meshcert import naming
from meshcert.cli.exit_codes import UNSETTLED
from meshcert.contract.staging_labels import LAST_GOOD, QUARANTINED
from meshcert.material.document import read_material

if TYPE_CHECKING:
    from tests.e2e.conftest import PlayedDemo

IDENTITIES = ("colorgateway", "colorteller")
LOGGERS = ("export", "deploy", "renewal", "dispatch", naming.AUDIT)


@pytest.mark.timeout(600)
def test_the_readmes_demo_command_proves_what_it_says(demo: PlayedDemo) -> None:
    """``make demo``: every claim is seen, in the figures and in its table."""
    assert demo.result.proven
    assert all(seen for seen, _ in demo.result.claims.values())
    assert not any("NO" in line.split() for line in demo.printed)
    assert demo.result.seconds.total >= demo.result.seconds.deploy > 0


def test_what_it_prints_works_in_another_terminal_and_stays_true(demo: PlayedDemo) -> None:
    """Both versions of the AWS CLI find the region, meshcert finds the mesh, and no line has a task's address."""
    kept = demo.printed[demo.printed.index("It keeps running. In another terminal, in this folder:") :]
    (settings,) = (line for line in kept if line.startswith("  export "))
    (status,) = (line for line in kept if line.endswith("status"))
    asked = subprocess.run(
        ["bash", "-c", f"{settings}\n{status}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"AWS_REGION={demo.aws.region} AWS_DEFAULT_REGION={demo.aws.region}" in settings
    assert asked.returncode in {0, UNSETTLED}, asked.stderr
    assert all(identity in asked.stdout for identity in IDENTITIES)
    network = ".".join(demo.aws.config.host.split(".")[:2])
    found = [int(third) for third in re.findall(rf"{re.escape(network)}\.(\d+)\.", "\n".join(kept))]
    assert found
    assert not set(found) & set(TASKS)


def test_one_way_tls_shows_a_client_without_a_certificate(demo: PlayedDemo) -> None:
    """Before mutual TLS, every handshake the teller counts is one without a client certificate."""
    assert demo.result.one_way.handshake >= 1
    assert demo.result.one_way.no_certificate == demo.result.one_way.handshake


def test_mutual_tls_shows_the_gateways_certificate(demo: PlayedDemo) -> None:
    """With mutual TLS, the teller counts a handshake and none without a certificate; the answer is the teller's."""
    assert demo.result.answer == "yellow"
    assert demo.result.mutual.handshake >= 1
    assert demo.result.mutual.no_certificate == 0


def test_a_client_without_a_certificate_is_refused_by_name_of_the_fault(demo: PlayedDemo) -> None:
    """No HTTP answer, and the access log names the missing certificate."""
    assert demo.result.refused.status is None
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in demo.result.refused.reason


def test_a_renewal_reaches_both_envoys_without_a_failed_request(demo: PlayedDemo) -> None:
    """A new serial is served after ACM's renewal; at least 500 requests meanwhile, none failed."""
    renewal = demo.result.renewal

    assert renewal.new_serial != renewal.old_serial
    assert renewal.requests >= 500
    assert renewal.failed == 0


def test_the_teller_takes_a_renewal_over_by_a_deployment(demo: PlayedDemo) -> None:
    """Another task serves it; both identities settled on it, and it is the version to go back to; nothing failed."""
    assert demo.result.renewal.new_task
    assert demo.result.renewal.proven
    for identity in IDENTITIES:
        assert demo.mesh.version_labelled(identity, LAST_GOOD) == demo.mesh.current_version(identity)
        assert demo.mesh.version_labelled(identity, QUARANTINED) == ""


def test_the_audit_log_tells_each_renewal_once(demo: PlayedDemo) -> None:
    """Of each identity: one export, of the teller one deployment, and the proof of each version; all of it done."""
    renewed = {identity: demo.audit(identity)[-3:] for identity in IDENTITIES}

    assert actions(renewed["colorgateway"]) == ["prove", "export", "prove"]
    assert actions(renewed["colorteller"]) == ["export", "redeploy", "prove"]
    assert {line["outcome"] for lines in renewed.values() for line in lines} == {"done"}
    assert renewed["colorteller"][0]["by"].startswith("event ")


def test_both_envoys_serve_the_renewed_certificate_and_not_the_one_before(demo: PlayedDemo) -> None:
    """Each Envoy's /certs shows the serial number that ACM holds now, another than that of the version before."""
    for identity in IDENTITIES:
        secret = naming.identity_secret("color", identity)
        value = demo.mesh.client("secretsmanager").get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")
        before = read_material(value["SecretString"], secret).certificate
        old = format(x509.load_pem_x509_certificate(before.encode()).serial_number, "x")

        assert demo.mesh.serial(identity) != old
        assert demo.mesh.served_by_all(identity) == {demo.mesh.serial(identity)}


def test_no_key_or_passphrase_is_anywhere_but_in_memory(demo: PlayedDemo) -> None:
    """Environment and arguments of every process, all logs and all files outside a tmpfs: none holds a secret."""
    wanted = secrets_of(demo.mesh, *IDENTITIES)
    home = Path.home()
    folders = [ROOT, Path(tempfile.gettempdir()), home / ".cdk", home / ".cache", home / ".npm", home / ".aws"]

    in_processes, processes = search_processes(wanted)
    in_files, files = search_files(wanted, folders, since=demo.began)
    logs = _logs(demo)
    in_logs, lines = search_texts(wanted, [*logs, ("make demo", "\n".join(demo.printed))])

    assert in_processes + in_files + in_logs == []
    assert processes > 10
    assert files > 100
    assert lines > 10
    groups = {naming.tasks_log_group("color"), *(naming.log_group("color", owner) for owner in LOGGERS)}
    assert groups <= {group for group, _ in logs}


def test_the_canary_search_finds_a_planted_secret(demo: PlayedDemo, tmp_path: Path) -> None:
    """Planted in a file, an environment and a log line, the same secrets are found: the search can fail."""
    wanted = secrets_of(demo.mesh, *IDENTITIES)
    key = next(canary for canary in wanted if canary.name.endswith("opened key"))
    planted = tmp_path / "leak"
    planted.write_bytes(b"x" * 100_000 + key.needle)
    # Text forms only: an environment variable cannot hold a number's raw bytes.
    with subprocess.Popen(["sleep", "30"], env={"LEAK": key.needle.decode()}) as process:
        try:
            in_processes, _ = search_processes(wanted)
        finally:
            process.kill()

    in_files, _ = search_files(wanted, [tmp_path])
    in_logs, _ = search_texts(wanted, [("a log", f"oops {key.needle.decode()}")])

    assert any(leak.place.endswith(f"{process.pid}/environ") for leak in in_processes)
    assert [leak.canary for leak in in_files] == [key.name]
    assert [leak.canary for leak in in_logs] == [key.name]


def _logs(demo: PlayedDemo) -> list[tuple[str, str]]:
    logs = demo.mesh.client("logs")
    lines = []
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
            lines += [(name, event["message"]) for event in page["events"]]
    return lines
