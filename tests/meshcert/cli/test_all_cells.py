"""``meshcert status --all-cells``: each cell is asked with its own credentials, and one that is silent hides none."""

from __future__ import annotations

import datetime as dt
import json
import threading
from dataclasses import replace
from functools import partial, partialmethod
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import AssumeRoleProvider

from meshcert.cli.__main__ import main
from meshcert.cli.account import connect
from meshcert.errors import AwsRefused, AwsUnavailable, IdentityMissing, MeshcertError
from meshcert.lifecycle.last_look import FaultSeen, LastLook
from tests.meshcert.cli.cli_account import Broken, Ended, Terminal
from tests.meshcert.lifecycle.world import LifecycleWorld
from tests.meshcert.mesh.cells.yelb import BACKEND, FILE, FRONTEND

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshcert.cli.account import Account

PROFILES = ("--profile", "frontend=edge-ops", "--profile", "backend=data-ops")
IDENTITIES = {"edge-ops": ("gateway", "ui"), "data-ops": ("appserver", "redis", "postgres")}


class Cells:
    """Two accounts, each with the part of Yelb that it runs; a third makes CAs and holds no identity."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.asked: list[tuple[str, str, str]] = []
        self.accounts: dict[str, Account] = {}
        self.worlds: dict[str, LifecycleWorld] = {}
        for profile, number in (("edge-ops", FRONTEND), ("data-ops", BACKEND)):
            world = LifecycleWorld()
            memory = world.table.memory("colorteller")
            for name in IDENTITIES[profile]:
                world.declared.remember(replace(world.identity, name=name))
                self._remember(world, name, memory)
            world.declared.rows.pop("colorteller")
            self.worlds[profile] = world
            account = Terminal(capsys, world).account
            self.accounts[profile] = replace(account, mesh="yelb", caller=partial(str, number))

    def run(self, *arguments: str) -> Ended:
        """Run ``meshcert status --all-cells …``."""
        code = main(["status", "--mesh", str(FILE), "--all-cells", *arguments], self._open)
        printed = self._capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    def found(self, profile: str, name: str, *faults: FaultSeen) -> None:
        """The last look at an identity has found something."""
        world = self.worlds[profile]
        last_look = LastLook(world.clock.now(), settled=False, action="wait", why="a rollout", faults=faults)
        self._remember(world, name, replace(world.table.memory(name), last_look=last_look))

    def breaks(self, profile: str, **parts: Any) -> None:
        """Put other ports in the place of some."""
        self.accounts[profile] = replace(self.accounts[profile], **parts)

    def _open(self, mesh: str, environ: Mapping[str, str], profile: str = "", _signed_in: object = None) -> Account:
        self.asked.append((mesh, environ["AWS_REGION"], profile))
        if profile not in self.accounts:
            raise AwsRefused("sign in", mesh, "ProfileNotFound" if profile else "NoCredentialsError")
        return self.accounts[profile]

    @staticmethod
    def _remember(world: LifecycleWorld, name: str, memory: Any) -> None:
        now = world.clock.now()
        lease = world.table.take(name, "a run", now, now)
        assert lease is not None
        world.table.release(lease, memory, None)


@pytest.fixture
def cells(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cells:
    """All settled."""
    monkeypatch.delenv("MESHCERT_PROFILES", raising=False)
    return Cells(capsys)


def rows(ended: Ended) -> list[list[str]]:
    """Cell and identity of each line of the table."""
    return [line.split()[:2] for line in ended.out.splitlines() if line.startswith(("  frontend", "  backend"))]


def test_all_identities_are_in_one_table_with_their_cell(cells: Cells) -> None:
    """From the tables alone; a cell that holds no identity is not asked, so it needs no profile."""
    denied = Broken(AwsRefused("acm:DescribeCertificate", "x", "AccessDenied"))
    cells.breaks("edge-ops", observers=replace(cells.accounts["edge-ops"].observers, labels=denied, platform=denied))

    ended = cells.run(*PROFILES)

    assert (ended.code, ended.err) == (0, "")
    assert "yelb over 2 cells" in ended.out
    assert "5 identities, 5 settled" in ended.out
    assert sorted(map(tuple, rows(ended))) == [
        *(("backend", name) for name in ("appserver", "postgres", "redis")),
        *(("frontend", name) for name in ("gateway", "ui")),
    ]
    assert sorted(cells.asked) == [("yelb", "eu-west-1", "data-ops"), ("yelb", "eu-west-1", "edge-ops")]


def test_who_needs_a_person_comes_first_whatever_the_cell(cells: Cells) -> None:
    """With what is wrong and what to do; the exit code is the gravest of all cells."""
    cells.found("data-ops", "redis", FaultSeen("ServedBehind", "task 1 serves another version"))
    cells.found("edge-ops", "ui")

    ended = cells.run(*PROFILES)

    assert rows(ended)[:2] == [["backend", "redis"], ["frontend", "ui"]]
    assert "ServedBehind: task 1 serves another version" in ended.out
    assert ended.code == 4
    assert [each[1] for each in rows(cells.run(*PROFILES, "--unsettled"))] == ["redis", "ui"]
    assert [each[1] for each in rows(cells.run(*PROFILES, "--match", "app*"))] == ["appserver"]


@pytest.mark.parametrize(
    ("error", "told", "code"),
    [
        (AwsUnavailable("dynamodb:Scan", "t", "ConnectTimeoutError"), "AWS cannot be reached", 69),
        (AwsRefused("dynamodb:Scan", "t", "ExpiredToken"), "or give --profile backend=NAME of one that can", 77),
        (IdentityMissing("t", "r"), "deploy its identities stack", 64),
    ],
)
def test_a_cell_that_does_not_answer_hides_no_other(cells: Cells, error: MeshcertError, told: str, code: int) -> None:
    """It is a line of its own with the next step, and the exit code is what it would be of it alone."""
    cells.breaks("data-ops", declared=Broken(error))

    ended = cells.run(*PROFILES)

    assert "yelb over 1 of 2 cells" in ended.out
    assert "! cell backend: " in ended.out
    assert told in " ".join(ended.out.split())
    assert [each[1] for each in rows(ended)] == ["gateway", "ui"]
    assert ended.code == code


def test_a_cell_that_is_silent_is_waited_for_no_longer_than_said(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that drops everything."""
    silent, seconds = threading.Event(), 0.2
    cells.breaks("data-ops", caller=lambda: str(silent.wait()))
    monkeypatch.setattr("meshcert.cli.status.cells.ANSWERS_WITHIN_S", seconds)

    ended = cells.run(*PROFILES)
    silent.set()

    assert ended.code == 69
    assert "has not answered within" in ended.out
    assert [each[1] for each in rows(ended)] == ["gateway", "ui"]


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The AWS configuration of somebody who has to type a code for each account, and nothing else to sign in with."""
    config = tmp_path / "config"
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    config.write_text("[profile keys]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = example\n")
    with config.open("a") as file:
        for name, account in (("edge-ops", FRONTEND), ("data-ops", BACKEND)):
            serial, role = (f"arn:aws:iam::{account}:{each}/on-call" for each in ("mfa", "role"))
            file.write(f"[profile {name}]\nrole_arn = {role}\nsource_profile = keys\nmfa_serial = {serial}\n")
    return config


@pytest.mark.usefixtures("cells", "configuration")
def test_codes_are_asked_for_one_after_the_other_by_the_thread_that_has_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads would ask at once, and end with the terminal's echo off; who cannot sign in is a line of its own."""
    asked: list[tuple[str, threading.Thread]] = []

    def ask(prompt: str) -> str:
        asked.append((prompt, threading.current_thread()))
        raise EOFError

    # botocore takes getpass for it, when it is imported.
    monkeypatch.setattr(AssumeRoleProvider, "__init__", partialmethod(AssumeRoleProvider.__init__, prompter=ask))

    code = main(["status", "--mesh", str(FILE), "--all-cells", *PROFILES], connect)

    told = " ".join(capsys.readouterr().out.split())
    assert code == 77
    assert [thread for _, thread in asked] == [threading.main_thread()] * 2
    assert [FRONTEND in asked[0][0], BACKEND in asked[1][0]] == [True, True]
    assert told.count("a profile asks for an MFA code, and here is no terminal") == 2
    assert "or give --profile backend=NAME of one that can" in told


def test_a_profile_of_two_cells_signs_in_once(configuration: Path) -> None:
    """A code is good for one sign-in only; and nothing that runs beside renews what was got."""
    counted, soon = configuration.with_name("sign-ins"), dt.datetime.now(dt.UTC) + dt.timedelta(minutes=14)
    got = {"Version": 1, "AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "example", "Expiration": soon.isoformat()}
    program = configuration.with_name("sign-in")
    program.write_text(f"#!/bin/sh\necho once >> {counted}\necho '{json.dumps(got)}'\n")
    program.chmod(0o700)
    configuration.write_text(f"[profile ops]\ncredential_process = {program}\n")
    signed_in: dict[str, Any] = {}

    connect("yelb", {"AWS_REGION": "eu-west-1"}, "ops", signed_in)
    tries = counted.read_text()
    connect("yelb", {"AWS_REGION": "eu-central-1"}, "ops", signed_in)

    assert signed_in["ops"].access_key == "AKIAEXAMPLE"
    assert counted.read_text() == tries


def test_a_fault_of_the_program_over_one_cell_hides_no_other(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its traceback is told."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    cells.breaks("data-ops", caller=lambda: str(1 // 0))

    ended = cells.run(*PROFILES)

    assert ended.code == 69
    assert "ZeroDivisionError" in ended.err
    assert "cell backend: meshcert has failed over its answer" in ended.out
    assert [each[1] for each in rows(ended)] == ["gateway", "ui"]


def test_credentials_of_another_account_are_told_and_nothing_is_read(cells: Cells) -> None:
    """The tables have the same names in every account, so the wrong one would answer."""
    cells.breaks("data-ops", caller=lambda: FRONTEND, declared=Broken(AwsUnavailable("dynamodb:Scan", "t", "asked")))

    ended = cells.run(*PROFILES)

    assert ended.code == 77
    told = f"it is account {BACKEND}, and profile data-ops is account {FRONTEND}'s. Give --profile backend"
    assert told in " ".join(ended.out.split())


def test_profiles_may_stand_in_the_environment(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell without one takes the environment's credentials; one that is not there is named."""
    monkeypatch.setenv("MESHCERT_PROFILES", "frontend=edge-ops backend=gone")

    ended = cells.run()

    assert "profile gone is no profile of yours" in ended.out
    monkeypatch.setenv("MESHCERT_PROFILES", "frontend=edge-ops")
    assert "no AWS credentials" in cells.run().out
    assert ("yelb", "eu-west-1", "") in cells.asked


def test_scripts_get_an_answer_of_each_cell(cells: Cells) -> None:
    """With the same keys whether it has answered or not."""
    cells.breaks("data-ops", declared=Broken(AwsUnavailable("dynamodb:Scan", "t", "ConnectTimeoutError")))

    ended = cells.run(*PROFILES, "--json")

    answered, silent = ended.document["cells"]
    assert ended.document["live"] is False
    assert answered.keys() == silent.keys()
    assert (answered["cell"], answered["account"], answered["exit_code"]) == ("frontend", FRONTEND, 0)
    assert [each["identity"] for each in answered["identities"]] == ["gateway", "ui"]
    assert (silent["exit_code"], silent["identities"]) == (69, [])
    assert "cannot be reached" in silent["problem"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--all-cells", "ui"], "a NAME is of one cell"),
        (
            ["--all-cells", "--profile", "edge=x"],
            "write CELL=NAME, once for a cell; there are shared, frontend, backend",
        ),
        (["--all-cells", "--profile", "frontend"], "write CELL=NAME"),
        (["--all-cells", "--profile", "frontend=a", "--profile", "frontend=b"], "once for a cell"),
        (["--profile", "frontend=a"], "--profile is of --all-cells"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anybody_is_asked(
    cells: Cells, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to write."""
    code = main(["status", "--mesh", str(FILE), *arguments], cells._open)

    assert code == 64
    assert told in capsys.readouterr().err
    assert cells.asked == []


def test_a_mesh_whose_cells_hold_no_identity_has_nothing_to_ask(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and is no failure."""
    monkeypatch.setattr("meshcert.cli.status.cells.cells_of_identities", lambda _mesh: {})

    ended = cells.run()

    assert (ended.code, ended.err, cells.asked) == (0, "", [])
    assert "yelb: no cell has an identity, so there is nothing to ask" in ended.out
    assert cells.run("--json").document["cells"] == []


def test_a_mesh_without_cells_has_no_other_cell_to_ask(cells: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told what to leave out."""
    code = main(["status", "--mesh", str(FILE.parents[1] / "mesh.yaml"), "--all-cells"], cells._open)

    assert code == 64
    assert "has no cells: leave --all-cells out" in capsys.readouterr().err
