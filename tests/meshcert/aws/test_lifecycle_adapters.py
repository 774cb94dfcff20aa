"""The renewal function's adapters for ACM, Private CA, tables, queues, logs and functions, against the local AWS."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from botocore.config import Config

from local.aws.config import CertificateTimes
from meshcert.aws.acm import Acm
from meshcert.aws.audit_log import AuditLog, history
from meshcert.aws.functions.export import ExportFunction
from meshcert.aws.functions.verify import VerifyFunction
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.queues.looks import LooksQueue
from meshcert.aws.renewals import AcmRenewals
from meshcert.aws.tables.acknowledgements import AcknowledgementRows
from meshcert.errors import AwsRefused, AwsUnavailable, ExportFailed, IdentityMissing
from meshcert.issuing.acm import AcmIssuer
from meshcert.lifecycle.audit import AuditEntry
from meshcert.material import Passphrase
from tests.local.aws.bundles import new_function
from tests.local.aws.hierarchies import eventually, parsed, permit_acm, root
from tests.local.aws.tables import new_acknowledgements_table
from tests.meshcert.publishing.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws

TIMES = CertificateTimes(renewal_takes_s=0.2)
NAME = "colorteller.mtls.svc.cluster.local"
T0 = dt.datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
T0_END = dt.datetime(2026, 11, 22, 12, 1, tzinfo=dt.UTC)


class TestRenewals:
    """A certificate's life as the renewal function sees it."""

    @pytest.fixture
    def authority(self, aws: LocalAws) -> str:
        """A root CA."""
        return root(aws.client("acm-pca"))

    @pytest.fixture
    def certificate(self, aws: LocalAws, authority: str) -> str:
        """A certificate that was never exported."""
        answer = aws.client("acm").request_certificate(
            DomainName=NAME, CertificateAuthorityArn=authority, KeyAlgorithm="EC_prime256v1"
        )
        return str(answer["CertificateArn"])

    @pytest.fixture
    def issuer(self, aws: LocalAws) -> AcmIssuer:
        """ACM as an issuer."""
        return AcmIssuer(AcmRenewals(aws.client("acm")))

    @pytest.fixture
    def export(self, aws: LocalAws) -> Callable[[str], str]:
        """Exports a certificate; gives its version."""
        store = Acm(aws.client("acm"))
        return lambda arn: store.export(arn, Passphrase("correct horse battery")).version_id

    def test_an_issued_certificate_is_described(
        self, aws: LocalAws, issuer: AcmIssuer, certificate: str, export: Callable[[str], str]
    ) -> None:
        """Serial number and validity are the certificate's own; it is renewable once it was exported."""
        leaf = parsed(aws.client("acm").get_certificate(CertificateArn=certificate)["Certificate"])
        before = issuer.observe(certificate, {})

        version = export(certificate)

        after = issuer.observe(certificate, {})
        assert (before.status, before.renewable, before.to_take_out, before.renewing) == ("ISSUED", False, True, False)
        assert (after.status, after.renewable, after.to_take_out, after.version) == ("ISSUED", True, False, version)
        assert int(after.serial_number, 16) == leaf.serial_number
        assert after.validity is not None
        assert (after.validity.not_before, after.validity.not_after) == (
            leaf.not_valid_before_utc,
            leaf.not_valid_after_utc,
        )

    def test_a_renewal_makes_another_certificate(
        self,
        aws: LocalAws,
        issuer: AcmIssuer,
        authority: str,
        certificate: str,
        export: Callable[[str], str],
    ) -> None:
        """Asking twice asks once; the new certificate waits to be exported."""
        permit_acm(aws.client("acm-pca"), authority)
        old_version, before = export(certificate), issuer.observe(certificate, {})

        issuer.renew(NAME, issuer.observe(certificate, {}))
        issuer.renew(NAME, issuer.observe(certificate, {}))
        eventually(lambda: issuer.observe(certificate, {}).serial_number != before.serial_number, "the renewal")

        after = issuer.observe(certificate, {})
        assert (after.renewing, after.trouble, after.renewable, after.to_take_out) == (False, "", False, True)
        assert after.version not in {"", old_version}

    def test_a_renewal_without_an_export_before_is_refused(self, issuer: AcmIssuer, certificate: str) -> None:
        """ACM says so itself."""
        with pytest.raises(AwsRefused, match="ValidationException"):
            issuer.renew(NAME, issuer.observe(certificate, {}))

    def test_a_renewal_that_the_ca_does_not_permit_says_why(
        self, issuer: AcmIssuer, certificate: str, export: Callable[[str], str]
    ) -> None:
        """ACM takes the order, and then it stays pending."""
        export(certificate)

        issuer.renew(NAME, issuer.observe(certificate, {}))
        eventually(lambda: issuer.observe(certificate, {}).trouble, "the reason")

        seen = issuer.observe(certificate, {})
        assert seen.renewing
        assert seen.trouble.startswith("PCA_ACCESS_DENIED (give ACM its permission")

    def test_a_certificate_that_is_not_there_is_named(self, aws: LocalAws, certificate: str) -> None:
        """By every call."""
        missing = f"{certificate[:-36]}{uuid.uuid4()}"
        calls = AcmRenewals(aws.client("acm"))
        for call in (calls.describe, calls.held, calls.renew):
            with pytest.raises(IdentityMissing, match=missing):
                call(missing)

    def test_the_end_of_a_ca_is_its_certificates(self, aws: LocalAws, authority: str) -> None:
        """A CA that is not there is named."""
        pca = aws.client("acm-pca")
        authorities = PrivateCa(pca)

        leaf = parsed(pca.get_certificate_authority_certificate(CertificateAuthorityArn=authority)["Certificate"])

        assert authorities.not_after(authority) == leaf.not_valid_after_utc
        with pytest.raises(IdentityMissing):
            authorities.not_after(f"{authority[:-36]}{uuid.uuid4()}")

    def test_a_certificate_is_revoked_by_the_serial_number_that_was_seen(
        self, aws: LocalAws, authority: str, issuer: AcmIssuer, certificate: str
    ) -> None:
        """For its key is compromised; once more changes nothing, and what the CA has not signed is named."""
        counts = "/_local/acm-pca/issued"
        authorities, serial = PrivateCa(aws.client("acm-pca")), issuer.observe(certificate, {}).serial_number

        for _ in range(2):
            authorities.revoke(authority, serial)

        assert aws.control("GET", counts)[authority]["revoked"] == 1
        with pytest.raises(IdentityMissing, match=authority):
            authorities.revoke(authority, "0b" * 16)
        with pytest.raises(IdentityMissing):
            authorities.revoke(f"{authority[:-36]}{uuid.uuid4()}", serial)
        assert not authorities.has_list(authority)


class TestAcknowledgements:
    """Rows that tasks wrote."""

    def test_the_listed_tasks_of_a_service_are_heard(self, aws: LocalAws) -> None:
        """However many, and nobody else's; a row without sense is left out, a task that said nothing is silent."""
        secret = {"version": "v", "serial": "0a", "not_after": 1795348860, "refused": "", "error": ""}
        row = {"schema": 1, "at": Decimal("1795348800.123"), "expires": 1795435200, "secrets": {"teller": secret}}
        database, table = new_acknowledgements_table(aws)
        for number in range(30):
            table.put_item(Item={"service": "teller", "task": f"arn:task/{number}", **row})
        table.put_item(Item={"service": "teller", "task": "arn:task/odd", "secrets": [1, "x", None, {}]})
        table.put_item(Item={"service": "gateway", "task": "arn:task/other", **row})
        listed = [f"arn:task/{number}" for number in range(29)]

        rows = AcknowledgementRows(database, table.name, FakeClock(T0 + MINUTE))
        said = rows.of("teller", [*listed, "arn:task/odd", "arn:task/other", "arn:task/silent"])

        assert sorted(said) == sorted(listed)
        heard = said["arn:task/3"]["teller"]
        assert (heard.at, heard.version, heard.serial_number, heard.not_after) == (T0, "v", "0a", T0_END)
        assert (heard.refused, heard.error) == ("", "")


class TestLooksQueue:
    """Messages for the renewal function."""

    def test_every_identity_gets_a_message(self, aws: LocalAws) -> None:
        """More than a batch; those that are to wait are not there yet."""
        sqs = aws.client("sqs")
        url = sqs.create_queue(QueueName=f"looks-{uuid.uuid4()}")["QueueUrl"]
        found: list[str] = []

        LooksQueue(sqs, url).send({f"i{number:02}": 0 for number in range(23)} | {"late": 900, "later": 4000}, "sweep")

        def all_here() -> bool:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            found.extend(message["Body"] for message in answer.get("Messages", []))
            return len(found) >= 23

        eventually(all_here, "the messages")
        assert sorted(found) == [json.dumps({"look": f"i{number:02}", "because": "sweep"}) for number in range(23)]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
        assert attributes["Attributes"]["ApproximateNumberOfMessagesDelayed"] == "2"

    def test_a_queue_that_is_not_there_is_named(self, aws: LocalAws) -> None:
        """The message tells how it comes back."""
        sqs = aws.client("sqs")
        url = sqs.create_queue(QueueName="gone")["QueueUrl"]
        sqs.delete_queue(QueueUrl=url)

        with pytest.raises(IdentityMissing, match="Deploy the stacks again"):
            LooksQueue(sqs, url).send({"teller": 0}, "tick")


class TestAuditLog:
    """A line for every action, and the way back to it."""

    @pytest.fixture
    def group(self, aws: LocalAws) -> str:
        """A log group of this test's own."""
        name = f"/meshcert/color/audit-{uuid.uuid4()}"
        aws.client("logs").create_log_group(logGroupName=name)
        return name

    def test_what_was_written_down_is_read_back(self, aws: LocalAws, group: str) -> None:
        """One identity's entries of every writer since then, the oldest first; other lines are left out."""
        logs = aws.client("logs")
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        one, two = AuditLog(logs, group, "2026/11/22/[$LATEST]one"), AuditLog(logs, group, "2026/11/22/[$LATEST]two")
        renewed = AuditEntry(now - 3 * MINUTE, "teller", "renew", 'it is "due"', "tick", before="v", after="")
        failed = AuditEntry(
            now - 2 * MINUTE, "teller", "roll_out", "tasks serve another", "e", "1", "", "AwsRefused: no", "front"
        )
        proven = AuditEntry(now - MINUTE, "teller", "prove", "every task serves it", "tick")
        for entry, log in (
            (AuditEntry(now - 9 * MINUTE, "teller", "renew", "long ago", "tick"), one),
            (AuditEntry(now - 3 * MINUTE, "tell", "renew", "another's", "tick"), one),
            (renewed, one),
            (failed, two),
            (proven, one),
        ):
            log.record(entry)
        odd = {"timestamp": int(now.timestamp() * 1000), "message": '{"identity":"teller"}'}
        logs.put_log_events(logGroupName=group, logStreamName="2026/11/22/[$LATEST]two", logEvents=[odd])

        assert list(history(logs, group, "teller", now - 5 * MINUTE)) == [renewed, failed, proven]

    def test_a_stream_that_exists_is_written_on(self, aws: LocalAws, group: str) -> None:
        """Two environments of a function never share one, but one may begin twice."""
        entry = AuditEntry(dt.datetime.now(dt.UTC).replace(microsecond=0), "teller", "renew", "due", "tick")
        for _ in range(2):
            AuditLog(aws.client("logs"), group, "stream").record(entry)

        assert list(history(aws.client("logs"), group, "teller", entry.at - MINUTE)) == [entry, entry]

    def test_a_log_group_that_is_not_there_is_named(self, aws: LocalAws) -> None:
        """For who writes and who reads."""
        logs = aws.client("logs")

        with pytest.raises(IdentityMissing):
            AuditLog(logs, "/absent", "stream").record(AuditEntry(T0, "teller", "renew", "due", "tick"))
        with pytest.raises(IdentityMissing):
            list(history(logs, "/absent", "teller", T0))


# Each way an invocation can end; the classes bear the names of ours.
_CODE = """
import os, time
class MaterialRejected(Exception): pass
class PublicationRaced(Exception): pass
def handler(event, context):
    if "verify" in event:
        return {"subject": event["verify"], "version_id": "v", "faults": []}
    match event["identity"]:
        case "rejected": raise MaterialRejected("1 fault(s)")
        case "raced": raise PublicationRaced("AWSCURRENT moved")
        case "slow": time.sleep(30)
        case "crash": os._exit(1)
    return {"outcome": "published", "version_id": event["version"][::-1]}
"""


@pytest.fixture(scope="module")
def exporter(aws: LocalAws) -> ExportFunction:
    """A function in the export function's place."""
    rights = [{"Effect": "Allow", "Action": ["logs:PutLogEvents"], "Resource": "*"}]
    arn = new_function(aws, "meshcert-color-export", _CODE, rights, Timeout=2)
    return ExportFunction(aws.client("lambda", Config(retries={"total_max_attempts": 1})), arn)


class TestExportFunction:
    """The export function, as its caller sees it end."""

    def test_what_came_out_is_told(self, aws: LocalAws, exporter: ExportFunction) -> None:
        """The version that was published, whichever was asked for; of a check the verdict."""
        verifier = VerifyFunction(aws.client("lambda"), "meshcert-color-export")

        assert exporter.export("teller", "abc") == "cba"
        assert verifier.verify("teller") == {"subject": "teller", "version_id": "v", "faults": []}

    def test_a_refusal_is_told_in_the_functions_words(self, exporter: ExportFunction) -> None:
        """A person has to act."""
        with pytest.raises(ExportFailed, match=r"the export of rejected failed: MaterialRejected: 1 fault\(s\)"):
            exporter.export("rejected", "v")

    @pytest.mark.parametrize(
        ("identity", "reason"),
        [
            ("raced", "PublicationRaced: AWSCURRENT moved"),
            ("slow", r"Sandbox.Timedout: .*timed out after 2"),
            ("crash", "Runtime.ExitError"),
        ],
    )
    def test_what_heals_by_itself_is_unavailable(self, exporter: ExportFunction, identity: str, reason: str) -> None:
        """Races, time-outs and crashes: the next look tries again."""
        with pytest.raises(AwsUnavailable, match=reason):
            exporter.export(identity, "v")

    def test_a_function_that_is_not_there_is_named(self, aws: LocalAws) -> None:
        """The message tells how it comes back."""
        with pytest.raises(IdentityMissing, match="Deploy the stacks again"):
            ExportFunction(aws.client("lambda"), "absent").export("teller", "v")
