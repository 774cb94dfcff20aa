"""What AWS may answer the lifecycle's adapters, and the local AWS never does."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.aws.audit_log import AuditLog, history
from meshcert.aws.functions.export import ExportFunction
from meshcert.aws.functions.verify import VerifyFunction
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.queues.looks import LooksQueue
from meshcert.aws.renewals import AcmRenewals
from meshcert.errors import AwsRefused, AwsUnavailable, ExportFailed, VerifyFailed
from meshcert.lifecycle.audit import AuditEntry
from tests.meshcert.aws.test_errors import Answers, client_error
from tests.meshcert.publishing.fakes import FakeClock

if TYPE_CHECKING:
    from evidence.fixtures.pki import Hierarchy

T0 = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


class TestRenewals:
    """DescribeCertificate and RenewCertificate."""

    def test_a_renewal_under_way_is_as_good_as_a_new_one(self) -> None:
        """Two events ask for the same renewal."""
        AcmRenewals(Answers(renew_certificate=client_error("RequestInProgressException"))).renew("arn:c")

    def test_a_renewal_that_acm_refuses_is_an_error(self) -> None:
        """The certificate was not exported since its last one."""
        error = client_error("ValidationException", "has not been exported so it is not eligible")

        with pytest.raises(AwsRefused, match="has not been exported"):
            AcmRenewals(Answers(renew_certificate=error)).renew("arn:c")


class CountedAuthority:
    """Private CA, counting questions."""

    def __init__(self, certificate: str) -> None:
        self.certificate = certificate
        self.asked = 0

    def get_certificate_authority_certificate(self, **_: str) -> dict[str, str]:
        """One answer."""
        self.asked += 1
        return {"Certificate": self.certificate}


def test_the_end_of_a_ca_is_asked_for_once_an_hour(hierarchy: Hierarchy) -> None:
    """Each CA by itself; a reissue is seen an hour later."""
    clock, client = FakeClock(), CountedAuthority(hierarchy.root_pem)
    authorities = PrivateCa(client, clock)
    first = authorities.not_after("arn:root")

    clock.sleep(3599)
    assert authorities.not_after("arn:root") == first
    assert client.asked == 1
    clock.sleep(1)
    assert authorities.not_after("arn:root") == first
    assert client.asked == 2
    authorities.not_after("arn:issuing")
    assert client.asked == 3
    assert first.tzinfo is dt.UTC


def ended(payload: Any, *, error: bool = True) -> Answers:
    """Lambda after one call with this answer."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    answer = {"StatusCode": 200, "Payload": io.BytesIO(body), **({"FunctionError": "Unhandled"} if error else {})}
    return Answers(invoke=answer)


def invoked(payload: Any, *, error: bool = True) -> ExportFunction:
    """The export function after one call with this answer."""
    return ExportFunction(ended(payload, error=error), "meshcert-color-export")


class TestExportFunction:
    """Invoke, and the function's own errors."""

    @pytest.mark.parametrize(
        "payload",
        [
            {"errorType": "AwsUnavailable", "errorMessage": "acm:ExportCertificate on arn: ThrottlingException"},
            {"errorType": "PublicationRaced", "errorMessage": "AWSCURRENT moved"},
            {"errorType": "CertificatePending", "errorMessage": "PENDING_VALIDATION"},
            {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 60.00 seconds"},
            {"errorType": "Runtime.ExitError", "errorMessage": "signal: killed"},
            {"errorMessage": "2026-11-22T12:00:00Z Task timed out after 60.00 seconds"},
            b"Internal Server Error",
            [],
        ],
    )
    def test_what_heals_by_itself_is_unavailable(self, payload: Any) -> None:
        """Our NotReady errors, time-outs and crashes, the old words for them included."""
        with pytest.raises(AwsUnavailable, match="lambda:Invoke on meshcert-color-export"):
            invoked(payload).export("teller", "v" * 64)

    @pytest.mark.parametrize("error", ["MaterialRejected", "AccessDenied", "KeyError", "Runtime.ImportModuleError"])
    def test_what_needs_a_person_is_told_in_the_functions_words(self, error: str) -> None:
        """Our Rejected errors, and faults of the function."""
        with pytest.raises(ExportFailed, match=f"the export of teller failed: {error}: because") as caught:
            invoked({"errorType": error, "errorMessage": "because", "stackTrace": ["x"]}).export("teller", "v" * 64)

        assert (caught.value.identity, caught.value.error) == ("teller", error)

    @pytest.mark.parametrize("payload", [{"outcome": "ignored"}, {"version_id": 3}, b"null"])
    def test_an_answer_without_a_version_is_a_failure(self, payload: Any) -> None:
        """Another function answers under this name."""
        with pytest.raises(ExportFailed, match="UnexpectedAnswer"):
            invoked(payload, error=False).export("teller", "v" * 64)


class TestVerifyFunction:
    """The same call of another function."""

    def test_a_refusal_is_told_as_one_of_the_check(self) -> None:
        """Nothing was to be exported."""
        function = VerifyFunction(ended({"errorType": "AccessDenied", "errorMessage": "no"}), "meshcert-color-verify")

        with pytest.raises(VerifyFailed, match="the check of teller failed: AccessDenied: no") as caught:
            function.verify("teller")

        assert (caught.value.identity, caught.value.error) == ("teller", "AccessDenied")


class Refusing:
    """SQS that refuses some entries of a batch, so often."""

    def __init__(self, refused: dict[str, int]) -> None:
        self.left = refused
        self.taken: list[str] = []
        self.batches: list[int] = []

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803  boto3's
        """One answer."""
        del QueueUrl
        self.batches.append(len(Entries))
        failed = []
        for entry in Entries:
            name = json.loads(entry["MessageBody"])["look"]
            if self.left.get(name, 0):
                self.left[name] -= 1
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                self.taken.append(name)
        return {"Successful": [], "Failed": failed} if failed else {"Successful": []}


class TestLooksQueue:
    """SendMessageBatch takes some and refuses others."""

    def test_what_is_refused_is_sent_once_more(self) -> None:
        """And only that."""
        client = Refusing({"i3": 1, "i11": 1})

        LooksQueue(client, "url").send({f"i{number}": 0 for number in range(12)}, "sweep")

        assert sorted(client.taken) == sorted(f"i{number}" for number in range(12))
        assert client.batches == [10, 2, 2]

    def test_what_is_refused_twice_is_an_error_and_the_rest_is_sent(self) -> None:
        """The caller comes back; looks that come twice do no harm."""
        client = Refusing({"i3": 2})

        with pytest.raises(AwsUnavailable, match="1 of 12 not taken: InternalError"):
            LooksQueue(client, "url").send({f"i{number}": 0 for number in range(12)}, "sweep")

        assert len(client.taken) == 11

    def test_nothing_to_send_is_no_call(self) -> None:
        """SQS refuses an empty batch."""
        client = Refusing({})

        LooksQueue(client, "url").send({}, "tick")

        assert client.batches == []


class TestAuditLog:
    """PutLogEvents and FilterLogEvents."""

    def test_a_line_that_is_not_kept_is_an_error(self) -> None:
        """CloudWatch answers 200 and drops what is too old or too new."""
        client = Answers(create_log_stream={}, put_log_events={"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}})

        with pytest.raises(AwsRefused, match="tooOldLogEventEndIndex"):
            AuditLog(client, "group", "stream").record(AuditEntry(T0, "teller", "renew", "due", "tick"))

    def test_lines_that_are_no_entries_are_left_out(self, caplog: pytest.LogCaptureFixture) -> None:
        """Whatever else is written there, now or by a later version."""
        entry = AuditEntry(T0, "teller", "renew", "due", "tick")
        later = {**json.loads(entry.to_json()), "more": 1}
        lines = ["not JSON", "[]", "{}", '{"at":"yesterday"}', '{"at":1}', entry.to_json(), json.dumps(later)]
        client = Answers(filter_log_events={"events": [{"message": line} for line in lines]})

        with caplog.at_level(logging.DEBUG, logger="meshcert"):
            assert list(history(client, "group", "teller", T0)) == [entry, entry]
        assert len(caplog.records) == 5

    def test_all_pages_are_read(self) -> None:
        """Also one without a line: CloudWatch says so when it has searched long enough."""
        entries = [AuditEntry(T0 + n * MINUTE, "teller", "renew", "due", "tick") for n in range(3)]
        pages = {
            "": ([entries[0]], "b"),
            "b": ([], "c"),
            "c": (entries[1:], ""),
        }
        asked: list[dict[str, Any]] = []

        class Client:
            def filter_log_events(self, **question: Any) -> dict[str, Any]:
                asked.append(question)
                found, token = pages[question.get("nextToken", "")]
                more = {"nextToken": token} if token else {}
                return {"events": [{"message": entry.to_json()} for entry in found], **more}

        assert list(history(Client(), "group", "teller", T0)) == entries
        assert [question["filterPattern"] for question in asked] == ['{ $.identity = "teller" }'] * 3
        assert {question["startTime"] for question in asked} == {1795348800000}
