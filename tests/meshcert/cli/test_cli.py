"""plan, status, history and verify: what people read, what scripts read, and the exit codes."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshcert.cli.__main__ import cli, main
from meshcert.cli.exit_codes import EXIT_CODES
from meshcert.cli.rights import RIGHTS
from meshcert.errors import AccessDenied, AwsUnavailable, IdentityMissing, VerifyFailed
from meshcert.identity import IssuerName
from meshcert.issuing.acm import AcmIssuer
from meshcert.issuing.private_ca import PRIVATE_CA
from meshcert.lifecycle.audit import AuditEntry
from meshcert.lifecycle.observation import Acknowledgement, FileServed, RequestsTaken
from tests.meshcert.cli.cli_account import Broken, Terminal
from tests.meshcert.lifecycle.world import DAY, MINUTE, SECRET, T0, TELLER, LifecycleWorld

DENIED = AccessDenied("acm:DescribeCertificate", "arn:x", "AccessDeniedException", "is not authorized [to do it]")
THROTTLED = AwsUnavailable("acm:DescribeCertificate", "arn:x", "ThrottlingException")

FACTS = {"version", "serial_number", "not_after", "left_s", "lifetime_gone"}
STEP = {"action", "why", "service", "version"}
SHAPE: dict[str, Any] = {
    "identity": None,
    "looked_at": None,
    "settled": None,
    "next": STEP,
    "waits": [STEP],
    "findings": [{"kind", "detail", "remedy"}],
    "due": {"acm_renews_at", "meshcert_asks_at"},
    "declared": {"names", "certificate_arn", "secret_id"},
    "issued": {"status", "reason"} | FACTS,
    "published": {"status", "reason", "last_good", "quarantined"} | FACTS,
    "compromised": [{"version", "serial_number", "certificate_authority_arn", "not_after", "revoked_at", "public_key"}],
    "jobs": None,
    "services": [
        {
            "service": None,
            "rotation": None,
            "poll_interval_s": None,
            "exists": None,
            "desired_count": None,
            "deployment": None,
            "tasks": [{"task", "running", "started_at", "said_at", "refused", "error", "requests", "files"} | FACTS],
        }
    ],
}


class OfPrivateCa(AcmIssuer):
    """The world's certificate, taken for one of AWS Private CA: it shows the same of it."""

    can = PRIVATE_CA


def _asked(world: LifecycleWorld, *requests: RequestsTaken) -> dict[str, Acknowledgement]:
    """A row of a task that serves what is published."""
    return {world.identity.name: Acknowledgement(world.clock.now(), world.current, requests=requests)}


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The command line over a mesh whose certificate is half-way."""
    terminal = Terminal(capsys)
    terminal.world.pass_time(200 * DAY)
    return terminal


def assert_shaped(document: Any, shape: Any) -> None:
    """Every key of the shape is there, and no other."""
    if isinstance(shape, list):
        for entry in document:
            assert_shaped(entry, shape[0])
    elif shape is not None:
        assert set(document) == set(shape)
        if isinstance(shape, dict):
            for key, below in shape.items():
                assert_shaped(document[key], below)


class TestStatus:
    """What is declared, issued, published and served."""

    def test_a_settled_mesh_is_told_in_full_and_ends_with_0(self, terminal: Terminal) -> None:
        """Names, versions, serial numbers, time left, fraction gone, each task; at most 100 columns."""
        world = terminal.world

        ended = terminal.run("status")

        assert (ended.code, ended.err) == (0, "")
        assert "color in eu-west-1, 2026-07-20 12:05:00 UTC: 1 identity, 1 settled" in ended.out
        assert "nothing: ACM renews it about 2026-12-02, in 135 days" in ended.out
        assert "colorteller.mtls.svc.cluster.local" in ended.out
        published = next(line for line in ended.out.splitlines() if line.startswith("  published"))
        assert published.split() == [
            *("published", world.current[:8], "…00000001", "2027-01-31", "195", "days", "51%"),
            *("as", "issued,", "proven", "good"),
        ]
        assert "gateway (reload)  2 of 2 tasks serve what is published" in ended.out
        assert "teller (redeploy)  2 of 2 tasks serve what is published" in ended.out
        assert ended.out.count("said 0 seconds ago") == 4
        assert max(map(len, ended.out.splitlines())) <= 100

    def test_a_job_is_told_beside_the_services_and_is_waited_for_by_nobody(self, terminal: Terminal) -> None:
        """Its tasks end: what is published is for the next one."""
        world = terminal.world
        world.declared.remember(replace(world.identity, services=(), jobs=("report",)))

        ended = terminal.run("status")

        assert (ended.code, ended.err) == (0, "")
        assert "report (job)  its next task takes what is published then" in ended.out
        assert "by no task of the mesh" not in ended.out
        assert terminal.run("status", "--json").document["identities"][0]["jobs"] == ["report"]

    def test_a_task_that_is_behind_is_named_with_what_to_do(self, terminal: Terminal) -> None:
        """It needs a person: what is wrong and the next step are in the identity's block."""
        terminal.world.ecs.services["gateway"].tasks[0].deaf = True
        terminal.world.ecs.services["gateway"].tasks[0].error = "no such key [x509]"
        terminal.world.acm.renew(terminal.world.identity.certificate_arn)
        terminal.world.pass_time(5 * MINUTE)
        terminal.world.look()
        terminal.world.pass_time(10 * MINUTE)

        ended = terminal.run("status", "colorteller")

        assert ended.code == 4
        assert "needs a person" in ended.out
        assert "ServedBehind: 1 of 2 tasks of gateway do not serve the current version yet" in " ".join(
            ended.out.split()
        )
        assert "Read the task's log (event rotation-waits;" in ended.out
        assert "behind, said 0 seconds ago" in ended.out
        assert "no such key [x509]" in ended.out
        assert "next         redeploy" in ended.out
        assert max(map(len, ended.out.splitlines())) <= 100

    def test_several_identities_that_need_a_person_are_told_in_the_plural(self, terminal: Terminal) -> None:
        """The first line is read aloud at three in the morning."""
        for name in ("a", "b"):
            lost = replace(terminal.world.identity, name=name, services=(replace(TELLER, name=f"lost-{name}"),))
            terminal.world.declared.remember(lost)

        assert "3 identities, 1 settled, 2 need a person" in terminal.run("status").out

    @pytest.mark.parametrize(("error", "code"), [(DENIED, 77), (THROTTLED, 69)], ids=["denied", "throttled"])
    def test_what_cannot_be_seen_hides_nothing_else(self, terminal: Terminal, error: Any, code: int) -> None:
        """ACM says nothing; labels, services and tasks are shown all the same."""
        terminal.breaks(issuers={IssuerName.ACM: AcmIssuer(Broken(error))})

        ended = terminal.run("status")

        assert ended.code == code
        assert "not all could be seen" in ended.out
        assert f"acm:DescribeCertificate on arn:x: {error.args[0].split(': ')[1]}" in " ".join(ended.out.split())
        assert "2 of 2 tasks serve what is published" in ended.out

    def test_an_operator_without_a_right_is_told_which_role_has_it(self, terminal: Terminal) -> None:
        """A finding's usual remedy, a deploy, is about the renewal function's rights."""
        terminal.breaks(issuers={IssuerName.ACM: AcmIssuer(Broken(DENIED))})

        ended = terminal.run("status")

        assert "OperatorRole" in ended.out
        assert "Deploy the stacks again" not in ended.out

    def test_json_has_the_same_shape_whatever_was_seen(self, terminal: Terminal) -> None:
        """All well, nothing to be seen at all, and nothing there at all."""
        well = terminal.run("status", "--json").document
        terminal.breaks(
            issuers={IssuerName.ACM: AcmIssuer(Broken(THROTTLED))},
            labels=Broken(THROTTLED),
            platform=Broken(THROTTLED),
            acknowledgements=Broken(DENIED),
            authorities=Broken(THROTTLED),
        )
        unseen = terminal.run("status", "--json").document
        gone = IdentityMissing("arn:x", "Deploy the stacks again")
        terminal.breaks(
            issuers={IssuerName.ACM: AcmIssuer(Broken(gone))},
            labels=Broken(gone),
            platform=Broken(gone),
            authorities=Broken(gone),
        )
        missing = terminal.run("status", "--json").document

        for document in (well, unseen, missing):
            assert set(document) == {
                "schema",
                "mesh",
                "region",
                "at",
                "live",
                "identities",
                "unreadable",
                "files",
                "strict",
                "bundles",
            }
            assert (document["schema"], document["mesh"], document["region"]) == (1, "color", "eu-west-1")
            assert_shaped(document["identities"], [SHAPE])
        assert [one["identities"][0]["issued"]["status"] for one in (well, unseen, missing)] == [
            "ISSUED",
            "UNKNOWN",
            "MISSING",
        ]
        assert well["at"] == "2026-07-20T12:05:00+00:00"
        assert well["identities"][0]["issued"]["left_s"] == 195 * 86400 - 300
        assert [len(service["tasks"]) for service in well["identities"][0]["services"]] == [2, 2]

    def test_what_came_in_plain_text_tells_when_strict_is_safe(self, terminal: Terminal) -> None:
        """Summed over tasks, with the last one and since when all of them count; one is of an earlier version."""
        world = terminal.world
        now = world.clock.now()
        (first, second), (only, other) = (world.ecs.services[name].tasks for name in ("gateway", "teller"))
        world.ecs.forged = {
            "gateway": {
                first.arn: _asked(world, RequestsTaken(9443, 1_200, 16, now - DAY), RequestsTaken(9444, 3, 0)),
                second.arn: _asked(world, RequestsTaken(9443, 34, 1, now - 4 * MINUTE), RequestsTaken(9444, 4, 0)),
            },
            "teller": {only.arn: _asked(world, RequestsTaken(9443, 7, 0)), other.arn: _asked(world)},
        }

        ended = terminal.run("status")
        document = terminal.run("status", "--json").document

        assert ended.code == 0
        told = " ".join(ended.out.split())
        assert (
            "at 9443 17 in plain text, 1,234 over TLS, by every task since 200 days ago: STRICT would have refused 17,"
            " the last 4 minutes ago at 9444 0 in plain text, 7 over TLS, by every task since 200 days ago: STRICT"
            " would have refused none of them"
        ) in told
        assert "at 9443 0 in plain text, 7 over TLS, by every task since 200 days ago; 1 task does not say" in told
        assert max(map(len, ended.out.splitlines())) <= 100
        gateway, _ = document["identities"][0]["services"]
        assert gateway["tasks"][1]["requests"] == [
            {"port": 9443, "tls": 34, "plain": 1, "last_plain_at": "2026-07-20T12:01:00+00:00"},
            {"port": 9444, "tls": 4, "plain": 0, "last_plain_at": None},
        ]

    def test_files_of_the_users_are_told_with_their_end(self, terminal: Terminal) -> None:
        """By task: what is served and until when, what was refused and why; and for scripts."""
        world = terminal.world
        now = world.clock.now()
        files = (
            FileServed("certificate_file/keys/chain.pem", "aa" * 32, now + 9 * DAY),
            FileServed("trust_file/keys/ca.pem", "bb" * 32, now - DAY, "cc" * 32, "preflight: it is no CA"),
        )
        said = {world.identity.name: Acknowledgement(now, world.current, files=files)}
        world.ecs.forged = {
            name: dict.fromkeys((task.arn for task in world.ecs.services[name].tasks), said)
            for name in ("gateway", "teller")
        }

        told = " ".join(terminal.run("status").out.split())
        document = terminal.run("status", "--json").document

        assert f"certificate /keys/chain.pem aaaaaaaa, until {now + 9 * DAY:%Y-%m-%d %H:%M}" in told
        assert "refused cccccccc: preflight: it is no CA" in told
        (first, *_), *_ = (service["tasks"] for service in document["identities"][0]["services"] if service["tasks"])
        assert [each["name"] for each in first["files"]] == [each.name for each in files]

    def test_files_of_services_without_an_identity_are_told_after_the_identities(
        self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By the mesh file at hand: no row of an identity names such a service."""
        now = terminal.world.clock.now()
        first, second = (task.arn for task in terminal.world.ecs.services["teller"].tasks)
        served = {first: (FileServed("certificate_file/keys/chain.pem", "aa" * 32, now - DAY),)}
        terminal.breaks(files=lambda _service, _tasks: served)
        monkeypatch.setattr("meshcert.cli.options.ChosenMesh.services_of_files", lambda _: {"teller": ""})

        told = " ".join(terminal.run("status").out.split())
        document = terminal.run("status", "--json").document

        assert f"certificate /keys/chain.pem aaaaaaaa, until {now - DAY:%Y-%m-%d %H:%M}" in told
        assert told.endswith("it has not said what it serves")
        assert [(each["service"], len(each["files"])) for each in document["files"]] == [("teller", 1), ("teller", 0)]
        assert second.endswith(document["files"][1]["task"])

    def test_a_row_that_cannot_be_read_holds_up_no_other(self, terminal: Terminal) -> None:
        """It is named, and a person has to act."""
        declared = terminal.world.declared
        declared.remember(replace(declared.rows["colorteller"], name="broken"))
        declared.unreadable.add("broken")

        ended, asked = terminal.run("status"), terminal.run("renew", "broken")

        assert ended.code == asked.code == 4
        assert "broken: the row of identity broken in the table of identities cannot be read" in ended.out
        assert "cannot be read (it makes no sense). Deploy the mesh file with any change" in asked.err
        assert "2 of 2 tasks serve what is published" in ended.out

    def test_settled_identities_can_be_left_out(self, terminal: Terminal) -> None:
        """In a large mesh only the others matter; the exit code is about all."""
        ended = terminal.run("status", "--unsettled")

        assert ended.code == 0
        assert ended.out == "color in eu-west-1, 2026-07-20 12:05:00 UTC: 1 identity, 1 settled\n"

    def test_a_service_that_is_gone_and_one_that_is_mute_are_told(self, terminal: Terminal) -> None:
        """The first needs a person; of the second nobody knows what it serves."""
        del terminal.world.ecs.services["teller"]
        for task in terminal.world.ecs.services["gateway"].tasks:
            task.mute = True

        ended = terminal.run("status")

        assert ended.code == 4
        assert "teller (redeploy)  does not exist" in ended.out
        assert ended.out.count("has not said what it serves") == 2

    def test_an_expired_certificate_tells_since_when(self, terminal: Terminal) -> None:
        """Nothing of it reads as if there were time left."""
        terminal.world.acm.renews_by_itself = False
        terminal.world.pass_time(200 * DAY)

        ended = terminal.run("status")

        assert ended.code == 4
        assert "5 days ago   101%" in ended.out
        assert "EXPIRED" in ended.out


class TestPlan:
    """What would be done next."""

    def test_a_plan_says_step_reason_and_what_follows(self, terminal: Terminal) -> None:
        """Nothing is changed by it."""
        terminal.world.acm.renews_by_itself = False
        terminal.world.pass_time(150 * DAY)
        asked = terminal.world.acm.renewals_asked

        ended = terminal.run("plan")

        assert ended.code == 3
        assert "colorteller  renew     89% of its lifetime is gone and ACM has not renewed it" in ended.out
        assert "then      ACM issues it, export, gateway takes it over, teller is redeployed, prove" in ended.out
        assert terminal.world.acm.renewals_asked == asked

    def test_between_acms_turn_and_ours_it_says_when_ours_is(self, terminal: Terminal) -> None:
        """ACM renews at 84.8 % of a lifetime, meshcert asks at 88 %."""
        terminal.world.acm.renews_by_itself = False
        terminal.world.pass_time(136 * DAY)

        ended = terminal.run("plan")

        assert ended.code == 0
        told = " ".join(ended.out.split())
        assert "ACM is to renew it these days; meshcert asks it to on 2026-12-15, in 12 days" in told

    def test_a_certificate_of_our_own_says_when_it_is_renewed(self, terminal: Terminal) -> None:
        """To the minute: its life may be an hour. Nobody else renews it."""
        world = terminal.world
        world.declared.remember(replace(world.identity, issuer=IssuerName.PRIVATE_CA))
        terminal.breaks(issuers={IssuerName.PRIVATE_CA: OfPrivateCa(world.acm)})

        calm = terminal.run("plan")
        world.pass_time(DAY * 110)
        due = terminal.run("plan")

        assert re.search(r"nothing   meshcert renews it about 2026-\d\d-\d\d \d\d:\d\d, in \d+ days", calm.out)
        assert "ACM" not in calm.out.partition("About $")[0]
        assert "then      AWS Private CA issues it, export" in due.out

    def test_findings_are_told_by_kind_with_one_remedy(self, terminal: Terminal) -> None:
        """In a large mesh one cause has many identities."""
        for name in ("a", "b"):
            lost = replace(terminal.world.identity, name=name, services=(replace(TELLER, name=f"lost-{name}"),))
            terminal.world.declared.remember(lost)

        ended = terminal.run("plan")

        assert ended.code == 4
        assert ended.out.count("ServiceMissing. Deploy the services stack") == 1
        assert "a: service lost-a does not exist" in ended.out
        assert "b: service lost-b does not exist" in ended.out

    def test_a_plan_of_the_whole_mesh_ends_with_a_month(
        self, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Certificates, API calls, dollars; the lines come to the sum, and what only the mesh file says is told."""
        monkeypatch.chdir(tmp_path)
        ended = terminal.run("plan")
        month = terminal.run("plan", "--json").document["month"]

        assert f"About ${month['dollars']:,.2f} a month (list prices, us-east-1, " in ended.out
        assert "0.09 certificates and 390,794 calls to ACM and Secrets Manager" in ended.out
        assert set(month) == {"certificates", "api_calls", "dollars", "lines"}
        assert sum(line["dollars"] for line in month["lines"]) == pytest.approx(month["dollars"])
        assert max(map(len, ended.out.splitlines())) <= 100
        assert "not known without --mesh FILE" in ended.out

    def test_with_the_mesh_file_a_deployed_mesh_is_priced_as_before_its_deploy(
        self, terminal: Terminal, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The gateway has no row here, and what it asks Cloud Map for is priced all the same."""
        file = str(Path(__file__).parents[3] / "mesh.yaml")
        month = terminal.run("plan", "--mesh", file, "--json").document["month"]
        main(["plan", "--offline", "--mesh", file, "--json"])
        offline = json.loads(capsys.readouterr().out)["month"]

        (deployed, declared) = (
            [line for line in each["lines"] if "Cloud Map" in line["what"]] for each in (month, offline)
        )
        assert deployed == declared
        assert deployed[0]["dollars"] > 0

    def test_a_plan_of_one_identity_has_no_month(self, terminal: Terminal) -> None:
        """Alarms and CAs are the whole mesh's."""
        assert "a month" not in terminal.run("plan", "colorteller").out
        document = terminal.run("plan", "colorteller", "--json").document
        assert document["month"] is None
        assert_shaped(document["identities"], [SHAPE])


class TestHistory:
    """What was done."""

    def test_actions_are_told_with_who_and_why(self, terminal: Terminal) -> None:
        """The oldest first."""
        terminal.run("renew", "colorteller", "--reason", "drill", "--wait")

        ended = terminal.run("history", "colorteller", "--since", "1d")

        heads = [line.split()[2:] for line in ended.out.splitlines() if line.startswith("2026")]
        assert heads == [["renew", "done"], ["export", "done"], ["redeploy", "teller", "done"], ["prove", "done"]]
        assert "ordered: drill; by AROAOPERATOR:alice" in ended.out
        assert ended.code == 0

    def test_json_has_every_entry_whole(self, terminal: Terminal) -> None:
        """The keys of an audit line."""
        document = terminal.run("history", "colorteller", "--since", "60w", "--json").document

        assert set(document) == {"schema", "mesh", "region", "at", "identity", "since", "entries"}
        assert [entry["action"] for entry in document["entries"]] == ["prove"]
        keys = {"at", "identity", "action", "why", "by", "before", "after", "outcome", "service"}
        assert set(document["entries"][0]) == keys

    def test_nothing_done_says_so(self, terminal: Terminal) -> None:
        """And since when."""
        ended = terminal.run("history", "colorteller", "--since", "90m")

        assert ended.out == "nothing was done for colorteller since 2026-07-20 10:35 UTC; --since looks further back\n"
        assert ended.code == 0

    def test_an_identity_that_is_gone_still_has_its_history(self, terminal: Terminal) -> None:
        """The audit log outlives it; a name that never was is a slip."""
        terminal.world.audit.record(AuditEntry(T0, "former", "renew", "due", "tick"))

        assert terminal.run("history", "former", "--since", "99w").code == 0
        assert terminal.run("history", "colortelelr").code == 64

    @pytest.mark.parametrize("span", ["", "12", "h", "-1h", "1y", "²d"])
    def test_a_span_that_makes_no_sense_is_refused(self, terminal: Terminal, span: str) -> None:
        """With an example."""
        ended = terminal.run("history", "colorteller", "--since", span)

        assert ended.code == 64
        assert "for example 12h" in ended.err

    def test_a_span_longer_than_time_is_all_of_it(self, terminal: Terminal) -> None:
        """No traceback."""
        assert "prove" in terminal.run("history", "colorteller", "--since", "99999999999w").out


class TestVerify:
    """What the verify function says."""

    def test_good_material_ends_with_0(self, terminal: Terminal) -> None:
        """With the facts of the version."""
        ended = terminal.run("verify", "colorteller")

        assert ended.code == 0
        assert ended.out == f"good  version aaaaaaaa, serial {'0b' * 16}, until 2027-01-31T12:00:00+00:00\n"

    def test_every_fault_is_told(self, terminal: Terminal) -> None:
        """A person has to act."""
        terminal.verdict["faults"] = ["chain: does not lead to the root", "key: belongs to another certificate"]

        ended = terminal.run("verify", "colorteller")
        document = terminal.run("verify", "colorteller", "--json").document

        assert ended.code == 4
        assert "!  chain: does not lead to the root" in ended.out
        assert "!  key: belongs to another certificate" in ended.out
        head = {"schema", "mesh", "region", "at", "identity"}
        assert set(document) == head | {"subject", "version_id", "serial_number", "not_after", "faults"}

    def test_a_function_that_fails_is_told_in_its_words(self, terminal: Terminal) -> None:
        """What heals by itself and what does not end differently."""
        terminal.breaks(verifier=Broken(VerifyFailed("colorteller", "AccessDenied", "not allowed")))
        refused = terminal.run("verify", "colorteller")
        terminal.breaks(verifier=Broken(AwsUnavailable("lambda:Invoke", "f", "Sandbox.Timedout: after 60 s")))
        silent = terminal.run("verify", "colorteller")

        assert (refused.code, silent.code) == (4, 69)
        assert "the check of colorteller failed: AccessDenied: not allowed" in refused.err
        assert "Sandbox.Timedout" in silent.err


class TestCommandLine:
    """Help and slips."""

    @pytest.mark.parametrize("command", ["plan", "status", "renew", "rollback", "history", "verify"])
    def test_help_teaches_what_is_read_and_which_rights_it_takes(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Without an account or a mesh file."""
        assert main([command, "--help"]) == 0

        told = " ".join(capsys.readouterr().out.split())
        assert "Reads: " in told
        assert f"Rights: {', '.join(RIGHTS[command])}." in told
        assert command in cli.commands

    def test_the_exit_codes_are_in_the_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        """All of them."""
        assert main(["--help"]) == 0

        told = capsys.readouterr().out
        for code, meaning in EXIT_CODES.items():
            assert f"{code:>3}  {meaning}" in told

    @pytest.mark.parametrize("command", ["plan", "status", "renew", "rollback", "history", "verify"])
    def test_an_unknown_identity_is_named(self, terminal: Terminal, command: str) -> None:
        """With how to find the right name; one line."""
        ended = terminal.run(command, "colortelelr")

        assert (ended.code, ended.out) == (64, "")
        assert ended.err == (
            "meshcert: identity colortelelr of the mesh color in eu-west-1 does not exist. "
            "`meshcert status` lists those that do\n"
        )

    @pytest.mark.parametrize("command", ["plan", "status", "renew", "rollback", "verify"])
    @pytest.mark.parametrize("part", ["declared", "remembered"])
    def test_a_mesh_that_is_not_deployed_is_told_as_such(self, terminal: Terminal, command: str, part: str) -> None:
        """A table that is missing is no missing identity."""
        if (command, part) == ("verify", "remembered"):
            part = "declared"
        terminal.breaks(**{part: Broken(IdentityMissing("colorteller", "Deploy the stacks again"))})

        ended = terminal.run(command, "colorteller")

        assert ended.code == 64
        assert "the mesh color in eu-west-1 does not exist" in ended.err
        assert "meshcert-color-identities" in ended.err
        assert ended.err.count("\n") == 1

    @pytest.mark.parametrize(
        "arguments", [("status", "Teller"), ("renew", ""), ("plan", ""), ("--mesh", "a b", "status")]
    )
    def test_what_cannot_be_a_name_is_refused_before_aws_is_asked(
        self, terminal: Terminal, arguments: tuple[str, ...]
    ) -> None:
        """AWS would answer with the pattern of a key."""
        terminal.breaks(declared=Broken(THROTTLED))

        ended = terminal.run(*arguments)

        assert (ended.code, ended.out) == (64, "")
        assert "Invalid value for name" in ended.err

    def test_a_mesh_is_needed(self, tmp_path: Any, monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
        """By option, by variable or by the folder's mesh file."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MESHCERT_MESH", raising=False)

        assert main(["status"]) == 64
        assert "Give --mesh NAME" in capsys.readouterr().err

    def test_a_mesh_file_with_faults_tells_them(
        self, tmp_path: Any, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """As `make mesh` does."""
        (tmp_path / "mesh.yaml").write_text("schema: 1\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MESHCERT_MESH", raising=False)

        assert main(["status"]) == 64
        assert "fault(s)" in capsys.readouterr().err


def test_the_secrets_arn_is_in_the_json_and_no_value_of_it(terminal: Terminal) -> None:
    """No command can reach material; this one would show it first."""
    ended = terminal.run("status", "--json")

    assert SECRET in ended.out
    assert "material" not in ended.out


def test_a_mesh_without_identities_is_settled(capsys: pytest.CaptureFixture[str]) -> None:
    """And costs what is always there."""
    terminal = Terminal(capsys, LifecycleWorld())
    terminal.world.declared.rows.clear()

    ended = terminal.run("plan")

    assert ended.code == 0
    assert "0 identities" in ended.out
    assert dt.timedelta() == terminal.world.clock.now() - T0 - 5 * MINUTE
