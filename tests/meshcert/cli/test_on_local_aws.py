"""The command line against a local AWS: its own adapters, the environment's credentials, and IAM that means it."""

from __future__ import annotations

import datetime as dt
import json
import os
import ssl
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from meshcert import naming
from meshcert.aws.acm import Acm
from meshcert.aws.audit_log import AuditLog
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.identities import Identities
from meshcert.cli.__main__ import main
from meshcert.cli.rights import RIGHTS, RIGHTS_OF_CLIENTS
from meshcert.clock import SystemClock
from meshcert.identity import Identity, ServiceUse
from meshcert.lifecycle.audit import AuditEntry
from meshcert.material.document import PLACEHOLDER
from meshcert.proxy import RotationMode
from meshcert.publishing.export import Sources, export_identity
from meshcert.san import Dns
from tests.local.aws.bundles import new_function
from tests.local.aws.hierarchies import permit_acm, root
from tests.local.aws.roles import new_role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.running_aws import LocalAws

MESH = "color"
NAME = "colorteller.mtls.svc.cluster.local"
_VERIFY = """
def handler(event, context):
    return {"subject": "CN=x", "version_id": "v" * 64, "serial_number": "0a", "not_after": "2027", "faults": []}
"""
_AWS_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs commands as somebody, with nothing but the environment."""

    def __init__(self, aws: LocalAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._aws, self._environment, self._capsys = aws, monkeypatch, capsys
        for name in _AWS_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}.items():
            monkeypatch.setenv(name, value)
        self.set(AWS_ENDPOINT_URL=aws.endpoint, AWS_REGION=aws.region, AWS_EC2_METADATA_DISABLED="true")
        self.set(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")

    def set(self, **variables: str) -> None:
        """Change the environment."""
        for name, value in variables.items():
            self._environment.setenv(name, value)

    def act_as(self, name: str, *actions: str, on: str = "*") -> None:
        """Be somebody who may do these and nothing else."""
        statement = {"Effect": "Allow", "Action": list(actions) or ["sts:GetCallerIdentity"], "Resource": on}
        role = new_role(self._aws, name, [statement])
        session = self._aws.client("sts").assume_role(RoleArn=role, RoleSessionName="alice")["Credentials"]
        self.set(
            AWS_ACCESS_KEY_ID=session["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=session["SecretAccessKey"],
            AWS_SESSION_TOKEN=session["SessionToken"],
        )

    def run(self, *arguments: str) -> Ended:
        """Run ``meshcert --mesh color …``."""
        code = main(["--mesh", MESH, *arguments])
        printed = self._capsys.readouterr()
        return Ended(code, printed.out, printed.err)


@pytest.fixture
def terminal(aws: LocalAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    """A terminal of the administrator's; faults end with the test."""
    yield Terminal(aws, monkeypatch, capsys)
    aws.control("PUT", "/_local/faults", [])


@pytest.fixture(scope="module")
def identity(aws: LocalAws) -> Identity:
    """A mesh made by hand: tables, one identity that is published, a queue, an audit line, a verify function."""
    _new_table(aws, naming.lifecycle_table(MESH), "name")
    _new_table(aws, naming.acknowledgements_table(MESH), "service", "task")
    declared = Identities(_new_table(aws, naming.identities_table(MESH), "name"), MESH)
    pca, acm = aws.client("acm-pca"), aws.client("acm")
    authority = root(pca)
    permit_acm(pca, authority)
    requested = acm.request_certificate(
        DomainName=NAME,
        CertificateAuthorityArn=authority,
        KeyAlgorithm="EC_prime256v1",
        Tags=[{"Key": naming.IDENTITY_TAG, "Value": "colorteller"}],
    )
    secret = aws.client("secretsmanager").create_secret(
        Name=naming.identity_secret(MESH, "colorteller"), SecretString=PLACEHOLDER
    )
    aws.client("ecs").create_cluster(clusterName=naming.cluster(MESH))
    identity = Identity(
        name="colorteller",
        certificate_arn=requested["CertificateArn"],
        secret_id=secret["ARN"],
        root_certificate_authority_arn=authority,
        names=(Dns(NAME),),
        certificate_authority_arns=(authority,),
    )
    vault = SecretsManager(aws.client("secretsmanager"))
    export_identity(identity, Sources(Acm(acm), PrivateCa(pca), vault, SystemClock()))
    declared.remember(identity)
    version = next(version for version, labels in vault.labels(secret["ARN"]).items() if "AWSCURRENT" in labels)
    vault.move_label(secret["ARN"], "LASTGOOD", to=version, away_from=None)
    aws.client("sqs").create_queue(QueueName=naming.queue(MESH, "orders"))
    group = naming.log_group(MESH, naming.AUDIT)
    aws.client("logs").create_log_group(logGroupName=group)
    entry = AuditEntry(dt.datetime.now(dt.UTC), "colorteller", "prove", "every task serves it", "tick", after=version)
    AuditLog(aws.client("logs"), group, "stream").record(entry)
    rights = [{"Effect": "Allow", "Action": ["logs:PutLogEvents"], "Resource": "*"}]
    new_function(aws, naming.function(MESH, "verify"), _VERIFY, rights)
    return identity


def _new_table(aws: LocalAws, name: str, *keys: str) -> Any:
    environment = aws.environment()
    dynamodb = boto3.resource(
        "dynamodb",
        endpoint_url=aws.endpoint,
        region_name=aws.region,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    return dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
    )


@pytest.mark.usefixtures("identity")
class TestMesh:
    """Every command, on a mesh with one identity that nobody uses."""

    @pytest.mark.parametrize("command", ["status", "plan"])
    def test_what_is_published_is_seen_as_settled(self, terminal: Terminal, identity: Identity, command: str) -> None:
        """The same facts as ACM's."""
        seen = terminal.run(command)
        document = json.loads(terminal.run(command, "--json").out)

        (told,) = document["identities"]
        assert (seen.code, seen.err) == (0, "")
        assert "1 identity, 1 settled" in seen.out
        assert (told["identity"], told["settled"], told["findings"]) == ("colorteller", True, [])
        assert told["declared"]["certificate_arn"] == identity.certificate_arn
        assert told["issued"]["version"] == told["published"]["version"] == told["published"]["last_good"]
        assert 0 <= told["issued"]["lifetime_gone"] < 0.01
        assert command == "plan" or "served       by no task of the mesh" in seen.out

    def test_what_the_last_looks_have_found_takes_the_right_to_scan_tables_alone(self, terminal: Terminal) -> None:
        """Nobody has looked at it yet, which is said."""
        terminal.act_as("may-scan", "dynamodb:Scan")

        seen = terminal.run("status", "--recorded")

        assert (seen.code, seen.err) == (3, "")
        assert "wait: no look has told of it yet: the next sweep does, within 75 minutes" in seen.out

    def test_a_service_that_ecs_does_not_know_needs_a_person(
        self, aws: LocalAws, terminal: Terminal, identity: Identity
    ) -> None:
        """It is declared, and that is all."""
        rows = aws.client("dynamodb")
        use = ServiceUse("gateway", RotationMode.RELOAD, 60.0)
        row = {"name": {"S": use.name}, "rotation": {"S": "reload"}, "poll_interval_s": {"N": "60"}}
        question = {
            "TableName": naming.identities_table(MESH),
            "Key": {"name": {"S": identity.name}},
            "UpdateExpression": "SET services = :services",
        }
        rows.update_item(**question, ExpressionAttributeValues={":services": {"L": [{"M": row}]}})
        try:
            seen = terminal.run("status")
        finally:
            rows.update_item(**question, ExpressionAttributeValues={":services": {"L": []}})

        assert seen.code == 4
        assert "gateway (reload)  does not exist" in seen.out
        assert "Deploy the services stack" in seen.out

    def test_an_order_lies_in_the_queue_for_the_renewal_function(self, aws: LocalAws, terminal: Terminal) -> None:
        """As it takes orders up."""
        sqs = aws.client("sqs")
        url = sqs.get_queue_url(QueueName=naming.queue(MESH, "orders"))["QueueUrl"]
        sqs.purge_queue(QueueUrl=url)

        ended = terminal.run("renew", "colorteller", "--reason", "drill")

        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2)["Messages"]
        assert json.loads(message["Body"]) == {"order": "renew", "identity": "colorteller", "reason": "drill"}
        assert ended.code == 0
        assert "ordered: renew colorteller. First: wait 15 minutes: ordered: drill, but the last" in ended.out

    def test_what_was_done_is_read_back(self, terminal: Terminal) -> None:
        """From CloudWatch Logs."""
        ended = terminal.run("history", "colorteller", "--since", "1h")

        assert ended.code == 0
        assert "every task serves it; by tick" in ended.out

    def test_the_verify_function_is_asked(self, terminal: Terminal) -> None:
        """Its answer is told."""
        ended = terminal.run("verify", "colorteller")

        assert (ended.code, ended.out) == (0, "good  version vvvvvvvv, serial 0a, until 2027\n")

    @pytest.mark.parametrize(
        ("command", "code"), [("plan", 0), ("status", 0), ("renew", 0), ("rollback", 4), ("history", 0), ("verify", 0)]
    )
    def test_the_rights_that_help_names_are_enough(self, terminal: Terminal, command: str, code: int) -> None:
        """IAM refuses everything else; a roll back has nothing to go back to, which is seen by looking."""
        terminal.act_as(f"may-{command}", *RIGHTS[command])

        ended = terminal.run(command, "colorteller") if command != "plan" else terminal.run(command)

        assert ended.code == code, ended.err
        assert "denie" not in ended.out + ended.err

    @pytest.mark.parametrize("command", ["plan", "status", "renew", "history", "verify"])
    def test_without_rights_it_is_one_line(self, terminal: Terminal, command: str) -> None:
        """With AWS's sentence and the role that has them."""
        terminal.act_as(f"may-not-{command}")

        ended = terminal.run(command, "colorteller")

        assert (ended.code, ended.out) == (77, "")
        assert ended.err.startswith("meshcert: AWS denies it: ")
        assert "OperatorRole" in ended.err
        assert ended.err.count("\n") == 1

    def test_one_right_that_is_missing_hides_nothing_else(self, terminal: Terminal) -> None:
        """Labels are shown, ACM's part is not; the exit code tells scripts."""
        terminal.act_as("may-not-describe", *(set(RIGHTS["status"]) - {"acm:DescribeCertificate"}))

        ended = terminal.run("status")

        assert ended.code == 77
        assert "acm:DescribeCertificate" in ended.out
        assert "proven good" in ended.out

    def test_a_client_fetches_its_key_with_its_own_two_rights_and_no_other(
        self, terminal: Terminal, identity: Identity, tmp_path: Path
    ) -> None:
        """What every operator's command may do does not reach it."""
        fetch = ("credentials", "colorteller", "--folder", str(tmp_path), "--clear-key")
        terminal.act_as("operator", *{action for actions in RIGHTS.values() for action in actions})
        denied = terminal.run(*fetch)
        terminal.act_as("client", *RIGHTS_OF_CLIENTS["credentials"], on=identity.secret_id)
        fetched = terminal.run(*fetch)

        assert (denied.code, "GetSecretValue" in denied.err) == (77, True)
        assert fetched.code == 0, fetched.err
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(tmp_path / "current/certificate_chain.pem", tmp_path / "current/private_key.pem")

    def test_throttling_of_the_table_is_one_line(self, aws: LocalAws, terminal: Terminal) -> None:
        """After the tries that boto3 makes."""
        aws.control("PUT", "/_local/faults", [{"kind": "throttle", "service": "dynamodb", "action": "Scan"}])

        ended = terminal.run("status")

        assert (ended.code, ended.out) == (69, "")
        assert ended.err.startswith("meshcert: AWS throttles dynamodb:Scan")

    def test_another_mesh_is_not_deployed(self, terminal: Terminal) -> None:
        """A slip in --mesh, or the wrong region."""
        terminal.set(AWS_REGION="eu-central-1")

        ended = terminal.run("status")

        assert (ended.code, ended.out) == (64, "")
        assert "the mesh color in eu-central-1 does not exist" in ended.err

    def test_an_endpoint_that_nobody_listens_at_is_told(self, terminal: Terminal) -> None:
        """The local AWS is not up, or the network is not."""
        terminal.set(AWS_ENDPOINT_URL="http://127.0.0.1:9")

        ended = terminal.run("status")

        assert ended.code == 69
        assert "AWS_REGION and AWS_ENDPOINT_URL" in ended.err

    def test_a_program_of_its_own_prints_one_document(self, aws: LocalAws) -> None:
        """As a script runs it: exit code, standard output, nothing beside."""
        environment = {**os.environ, **aws.environment(), "MESHCERT_MESH": MESH, "COLUMNS": "40"}

        ended = subprocess.run(
            [sys.executable, "-m", "meshcert.cli", "status", "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

        assert (ended.returncode, ended.stderr) == (0, "")
        assert json.loads(ended.stdout)["identities"][0]["settled"] is True
