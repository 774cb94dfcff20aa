"""Rows of DynamoDB as nobody should have written them, and answers in pages."""

from __future__ import annotations

import datetime as dt
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.aws.tables.acknowledgements import AcknowledgementRows
from meshcert.aws.tables.identities import Identities
from meshcert.aws.tables.lifecycle import LifecycleRows
from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.errors import AwsUnavailable, IdentityUnreadable
from meshcert.identity import IDENTITY_SCHEMA, Identity
from meshcert.lifecycle.memory import Memory
from meshcert.lifecycle.observation import Acknowledgement, FileServed
from meshcert.san import Dns, Uri
from tests.meshcert.aws.test_errors import Answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T0 = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


class Pages:
    """A table that answers with one page after the other."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = pages

    def query(self, **question: Any) -> dict[str, Any]:
        """One page."""
        number = question.get("ExclusiveStartKey", {"page": 0})["page"]
        more = {"LastEvaluatedKey": {"page": number + 1}} if number + 1 < len(self.pages) else {}
        return {"Items": self.pages[number], **more}

    scan = query


class Rows:
    """DynamoDB with rows of one table, which it gives by their keys, at most so many in an answer."""

    def __init__(self, *rows: dict[str, Any], at_once: int = 100) -> None:
        self.rows = {(row["service"], row["task"]): row for row in rows}
        self.at_once = at_once
        self.asked: list[int] = []

    def batch_get_item(self, **call: Any) -> dict[str, Any]:
        """BatchGetItem."""
        ((table, wanted),) = call["RequestItems"].items()
        assert wanted["ConsistentRead"]
        keys, later = wanted["Keys"][: self.at_once], wanted["Keys"][self.at_once :]
        self.asked.append(len(wanted["Keys"]))
        assert len({tuple(key.values()) for key in wanted["Keys"]}) == len(wanted["Keys"]), "ValidationException"
        found = (self.rows.get((key["service"], key["task"])) for key in keys)
        left = {table: {**wanted, "Keys": later}} if later else {}
        return {"Responses": {table: [row for row in found if row]}, "UnprocessedKeys": left}


class At:
    """A clock that stands still."""

    def now(self) -> dt.datetime:
        """Some minutes after the rows were written."""
        return T0 + 5 * MINUTE

    def sleep(self, seconds: float) -> None:
        """Nobody waits here."""
        raise NotImplementedError(seconds)


def heard(*rows: dict[str, Any], of: tuple[str, ...] = ("arn:task/1",)) -> Mapping[str, Mapping[str, Acknowledgement]]:
    """What is read of these rows, for the tasks that ECS lists."""
    return AcknowledgementRows(Rows(*rows), "table", At()).of("teller", of)


def said(**secret: Any) -> dict[str, Any]:
    """A row of the table ``acknowledgements``."""
    times = {"at": Decimal("1795348800.5"), "expires": Decimal(1795435200)}
    row = {"service": "teller", "task": "arn:task/1", "schema": Decimal(1), **times}
    return {**row, "secrets": {"teller": {"version": "v", "serial": "0a", "not_after": Decimal(1795348860), **secret}}}


COUNTS = {"tls": Decimal(1), "plain": Decimal(0), "plain_at": Decimal(0)}
"""What a task says of a PERMISSIVE listener."""

FILE = {"version": "v", "not_after": Decimal(1795348860), "refused": "", "error": ""}
"""What it says of a certificate in files of the user's."""


class TestAcknowledgementRows:
    """Rows that tasks write themselves."""

    def test_what_a_task_says_is_read(self) -> None:
        """With and without a refusal."""
        at = dt.datetime(2026, 11, 22, 12, 0, 0, 500000, tzinfo=dt.UTC)
        row = said(refused="w", error="KEY_VALUES_MISMATCH")
        row["secrets"]["gateway"] = {"version": "v"}

        assert heard(row) == {
            "arn:task/1": {
                "teller": Acknowledgement(at, "v", "0a", T0 + MINUTE, "w", "KEY_VALUES_MISMATCH"),
                "gateway": Acknowledgement(at, "v"),
            }
        }

    def test_what_a_task_says_of_files_is_read(self) -> None:
        """Beside each identity, as they are the task's."""
        row = {**said(), "files": {"certificate_file/keys/chain.pem": {**FILE, "refused": "w", "error": "no chain"}}}

        assert heard(row)["arn:task/1"]["teller"].files == (
            FileServed("certificate_file/keys/chain.pem", "v", T0 + MINUTE, "w", "no chain"),
        )

    def test_files_are_read_of_tasks_that_present_no_identity_too(self) -> None:
        """A row whose files make no sense says nothing of them."""
        row = {**said(), "secrets": {}, "files": {"trust_file/ca.pem": FILE}}

        def read(row: dict[str, Any]) -> Mapping[str, tuple[FileServed, ...]]:
            return AcknowledgementRows(Rows(row), "table", At()).files_of("teller", ("arn:task/1",))

        assert read(row) == {"arn:task/1": (FileServed("trust_file/ca.pem", "v", T0 + MINUTE),)}
        assert read(row | {"files": {"trust_file/ca.pem": 7}}) == {}

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda row: row.pop("schema"),
            lambda row: row.update(schema=Decimal(2)),
            lambda row: row.pop("at"),
            lambda row: row.update(at="soon"),
            lambda row: row.update(at=Decimal("1e30")),
            lambda row: row.update(at=None),
            lambda row: row.update(at=Decimal(-62135596800)),
            lambda row: row.update(at=Decimal(253402300799)),
            lambda row: row.pop("secrets"),
            lambda row: row.update(secrets="all"),
            lambda row: row.update(secrets={"teller": "v"}),
            lambda row: row["secrets"]["teller"].pop("version"),
            lambda row: row["secrets"]["teller"].update(version=Decimal(1)),
            lambda row: row["secrets"]["teller"].update(not_after="never"),
            lambda row: row["secrets"]["teller"].update(not_after=Decimal("1e400")),
            lambda row: row["secrets"]["teller"].update(not_after=Decimal(-62135596800)),
            lambda row: row["secrets"]["teller"].update(not_after=Decimal(253402300799)),
            lambda row: row["secrets"]["teller"].update(not_after=Decimal("1e125")),
            lambda row: row["secrets"]["teller"].update(not_after=Decimal("NaN")),
            lambda row: row["secrets"]["teller"].update(error=["x"]),
            lambda row: row.update(secrets={str(number): {"version": "v"} for number in range(101)}),
            lambda row: row.update(listeners=[COUNTS]),
            lambda row: row.update(listeners={"9443": 7}),
            lambda row: row.update(listeners={"9443": {"tls": 1, "plain": 1}}),
            lambda row: row.update(listeners={"https": COUNTS}),
            lambda row: row.update(listeners={"65536": COUNTS}),
            lambda row: row.update(listeners={"9443": {**COUNTS, "tls": Decimal(-1)}}),
            lambda row: row.update(listeners={"9443": {**COUNTS, "plain": Decimal("1e99")}}),
            lambda row: row.update(listeners={"9443": {**COUNTS, "plain": Decimal("Infinity")}}),
            lambda row: row.update(listeners={"9443": {**COUNTS, "plain_at": Decimal("1e30")}}),
            lambda row: row.update(listeners={str(port): COUNTS for port in range(51)}),
            lambda row: row.update(files=[FILE]),
            lambda row: row.update(files={"certificate_file/a": {"version": "v"}}),
            lambda row: row.update(files={"certificate_file/a": {**FILE, "not_after": Decimal("1e30")}}),
            lambda row: row.update(files={"certificate_file/a": {**FILE, "error": Decimal(1)}}),
            lambda row: row.update(files={str(number): FILE for number in range(101)}),
        ],
    )
    def test_a_row_that_makes_no_sense_is_left_out(
        self, spoil: Callable[[dict[str, Any]], object], caplog: pytest.LogCaptureFixture
    ) -> None:
        """One task's row takes nothing away from the others."""
        odd, good = said(), {**said(), "task": "arn:task/2"}
        spoil(odd)

        with caplog.at_level(logging.DEBUG, logger="meshcert"):
            assert list(heard(odd, good, of=("arn:task/1", "arn:task/2"))) == ["arn:task/2"]
        assert [record.levelname for record in caplog.records] == ["DEBUG"]

    def test_a_long_excuse_is_cut(self) -> None:
        """A task writes at most 256 characters; nobody makes it."""
        assert heard(said(error="x" * 999))["arn:task/1"]["teller"].error == "x" * 256

    @pytest.mark.parametrize(
        ("said_by", "hosts"),
        [
            ("ledger@10.0.0.7", ("ledger@10.0.0.7",)),
            ("ledger@10.0.0.7 ledger@10.0.0.8", ("ledger@10.0.0.7", "ledger@10.0.0.8")),
            ("ledger 10.0.0.7 ledger@ @", ()),
            (f"{'a' * 240}@10.0.0.7 b@10.0.0.7", (f"{'a' * 240}@10.0.0.7",)),
            (f"{'a' * 247}@10.0.0.7 b@10.0.0.7", (f"{'a' * 247}@10.0.0.7",)),
            (f"{'a' * 250}@10.0.0.7", ()),
        ],
    )
    def test_hosts_that_refused_are_whole_or_left_out(self, said_by: str, hosts: tuple[str, ...]) -> None:
        """A part of an address would be another host, and one host could speak as two."""
        assert heard(said(refused="w", refused_by=said_by))["arn:task/1"]["teller"].refused_by == hosts

    def test_a_row_of_the_future_was_written_now(self) -> None:
        """The clock of its task is ahead; what it says stands."""
        row = said()
        row["at"] = Decimal(int((T0 + 3000 * MINUTE).timestamp()))

        assert heard(row)["arn:task/1"]["teller"].at == T0 + 5 * MINUTE

    def test_rows_of_tasks_that_ecs_does_not_list_are_not_read(self) -> None:
        """However many a task writes: the listed ones are asked for by their keys, 25 at once."""
        table = Rows(*({**said(), "task": f"arn:task/{number}"} for number in range(4000)))
        listed = [f"arn:task/{number}" for number in range(30)] + ["arn:task/silent"]

        rows = AcknowledgementRows(table, "table", At()).of("teller", [*listed, listed[0]])

        assert list(rows) == listed[:-1]
        assert table.asked == [25, 6]

    def test_rows_that_an_answer_leaves_out_are_asked_for_again(self) -> None:
        """DynamoDB names them; three tries, then it is an error that heals."""
        tasks = [f"arn:task/{number}" for number in range(20)]
        rows = [{**said(), "task": task} for task in tasks]

        assert list(AcknowledgementRows(Rows(*rows, at_once=7), "table", At()).of("teller", tasks)) == tasks
        with pytest.raises(AwsUnavailable, match="UnprocessedKeys"):
            AcknowledgementRows(Rows(*rows, at_once=6), "table", At()).of("teller", tasks)


SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:meshcert/color/identity/teller-AbCdEf"
GATEWAYS = SECRET.replace("teller", "gateway")
ROW: dict[str, Any] = {
    "name": "teller",
    "certificate_arn": "arn:c",
    "secret_id": SECRET,
    "root_certificate_authority_arn": "arn:r",
    "names": ["teller.local"],
    "peer_names": [["teller.local"]],
    "owner": "stack/Teller",
    "schema": Decimal(1),
}
"""An identity's row that can be read."""


class TestIdentityRows:
    """Rows that another version of the function wrote, or a person."""

    def test_names_are_stored_as_their_texts(self) -> None:
        """A row of before reads as one of now, and other programs read neither kind."""
        written: dict[str, Any] = {}

        class Table:
            def update_item(self, **call: Any) -> None:
                written.update(call["ExpressionAttributeValues"])

        names = (Dns("Teller.local"), Uri("spiffe://color.example/Teller"))
        Identities(Table(), "color").remember(Identity("teller", "arn:c", "arn:s", "arn:r", names, (names, names[:1])))

        texts = ["Teller.local", "spiffe://color.example/Teller"]
        assert (written[":names"], written[":peer_names"]) == (texts, [texts, texts[:1]])

    @pytest.mark.parametrize(
        "change",
        [
            {"names": ["a b"]},
            {"peer_names": [["spiffe://A.example/w"]]},
            {"names": "a"},
            {"owner": 7},
            {"secret_id": "s" * 9999},
            {"certificate_authority_arns": [None]},
            {"services": [{"name": "teller", "rotation": "reload", "poll_interval_s": Decimal("NaN")}]},
            {"services": [{"name": "teller", "rotation": "reload", "poll_interval_s": Decimal(0)}]},
            {"name": "gateway"},
            {"name": "gateway", "secret_id": GATEWAYS},
            {"schema": Decimal(2)},
        ],
    )
    def test_a_row_that_makes_no_sense_is_not_taken_for_none(self, change: dict[str, Any]) -> None:
        """Who is not declared is forgotten, and nobody is told; the error names the identity and the next step."""
        with pytest.raises(IdentityUnreadable, match=r"the row of identity teller .* cannot be read \(.*Deploy"):
            Identities(Answers(get_item={"Item": ROW | change}), "color").find("teller")

    @pytest.mark.parametrize("poll_interval_s", ["0.5", "60", "86401", "172800", "31536000", "1e99"])
    def test_whatever_interval_the_mesh_file_takes_is_read(self, poll_interval_s: str) -> None:
        """The file sets no end: who polls more rarely than certificates end counts as polling so rarely."""
        use = {"name": "teller", "rotation": "redeploy", "poll_interval_s": Decimal(poll_interval_s)}

        found = Identities(Answers(get_item={"Item": ROW | {"services": [use]}}), "color").find("teller")

        assert found
        assert found.services[0].poll_interval_s == min(float(poll_interval_s), CERTIFICATE_DAYS * 86400)

    @pytest.mark.parametrize(("place", "is_in_row"), [("", False), ("shop/orders", True)])
    def test_a_place_is_in_the_row_only_where_a_service_has_one(self, place: str, *, is_in_row: bool) -> None:
        """So the rows of a mesh of before stay as they are; the version before reads name, rotation and interval."""
        use = {"name": "teller", "rotation": "redeploy", "poll_interval_s": Decimal(60)}
        row = ROW | {"services": [use | ({"place": place} if place else {})]}
        found = Identities(Answers(get_item={"Item": row}), "color").find("teller")
        written: list[Any] = []

        class Table:
            def update_item(self, **call: Any) -> None:
                written.extend(call["ExpressionAttributeValues"].values())

        assert found
        assert found.services[0].place == place
        Identities(Table(), "color").remember(found)
        uses = [value for value in written if value and isinstance(value, list) and "rotation" in value[0]]
        assert [("place" in use) for (use,) in uses] == [is_in_row]

    def test_names_are_told_page_by_page_without_rows_of_other_schemas(self) -> None:
        """A row that cannot be read is nobody's to look at."""
        pages = Pages(
            [{"name": "a", "schema": Decimal(1)}, {"name": "b", "schema": Decimal(2)}],
            [],
            [{"name": "c", "schema": Decimal(1)}, {"name": "d"}, {"name": "e", "schema": "1"}],
        )

        assert list(Identities(pages, "color").names()) == ["a", "c"]

    def test_a_row_from_before_services_were_known_is_read(self) -> None:
        """The next deploy fills them in."""
        found = Identities(Answers(get_item={"Item": ROW}), "color").find("teller")

        assert found is not None
        assert (found.names, found.services, found.certificate_authority_arns) == ((Dns("teller.local"),), (), ())

    @pytest.mark.parametrize(
        "secret",
        [
            SECRET.replace("teller", "gateway"),
            SECRET.replace("color", "other"),
            SECRET.replace("identity", "trust"),
            SECRET.removesuffix("-AbCdEf"),
            f"{SECRET}-AbCdEf",
            "mine",
        ],
    )
    def test_a_row_that_names_another_secret_is_not_believed(self, secret: str) -> None:
        """Whoever writes the table must not have one identity's key published where another may read it."""
        with pytest.raises(IdentityUnreadable, match="it names a secret that is not the identity's own"):
            Identities(Answers(get_item={"Item": ROW | {"secret_id": secret}}), "color").find("teller")

    @pytest.mark.parametrize(
        "odd",
        [
            {"services": [{"name": "teller", "rotation": "sometimes", "poll_interval_s": Decimal(60)}]},
            {"services": ["teller"]},
            {"names": None},
        ],
    )
    def test_a_certificates_row_that_cannot_be_read_is_said_and_not_found(
        self, odd: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        """An event about it brings no look: the sweep does, and its message becomes a dead letter."""
        row = {"name": "teller", "schema": Decimal(1), "certificate_arn": "arn:c", "secret_id": SECRET, "owner": "o"}
        row |= {"root_certificate_authority_arn": "arn:r", "names": [], "peer_names": [], **odd}

        table = Identities(Answers(get_item={"Item": row}, query={"Items": [{"name": "teller"}]}), "color")

        assert table.find_by_certificate("arn:c") is None
        assert "the row of identity teller in the table of identities cannot be read" in caplog.text


class TestWholeTables:
    """What is read at once, for `meshcert status` of a large mesh."""

    def test_memories_come_from_every_page(self) -> None:
        """One that makes no sense is an empty one."""
        seen = Memory(looked_at=T0)
        table = Pages([{"name": "one", "memory": seen.to_json()}], [{"name": "two", "memory": 7}, {"name": "three"}])

        assert LifecycleRows(table).memories() == {"one": seen, "two": Memory(), "three": Memory()}

    def test_pages_that_do_not_end_are_given_up(self) -> None:
        """No table of ours has 200 MB."""
        with pytest.raises(AwsUnavailable, match="more than 200 pages"):
            LifecycleRows(Pages(*[[] for _ in range(201)])).memories()

    def test_an_identity_that_makes_no_sense_hides_no_other(self) -> None:
        """Rows of another schema belong to another version."""
        table = Pages([{"name": "later", "schema": 99}], [{"name": "odd", "schema": IDENTITY_SCHEMA}])

        (odd,) = Identities(table, "color").all()

        assert isinstance(odd, IdentityUnreadable)
        assert odd.identity == "odd"
