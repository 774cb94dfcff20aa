"""``docs/operating.md`` names the alarms, findings, commands and fields that there are."""

from __future__ import annotations

import re

import pytest

from meshcert.cli.__main__ import cli
from meshcert.lifecycle.audit import AuditEntry
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.steps import Action
from stacks.federation_alarms import federation_alarms, own_bundle_alarms
from stacks.private_ca_alarms import private_ca_alarms
from stacks.runbook import Alarm, alarms
from tests.docs.pages import PAGES, rows
from tests.docs.test_mesh_file import FOR_MESH_FILES

PAGE = "docs/operating.md"


@pytest.mark.parametrize(
    "alarm",
    [*alarms("NAME"), *private_ca_alarms("NAME"), *federation_alarms("NAME"), *own_bundle_alarms("NAME")],
    ids=lambda alarm: alarm.name,
)
def test_every_alarm_is_on_the_page_in_the_runbooks_words(alarm: Alarm) -> None:
    """What an operator reads in the alarm stands here as well."""
    assert f"\n| `{alarm.name}` | {alarm.means} | {alarm.remedy} |\n" in PAGES[PAGE]


def test_no_alarm_is_on_the_page_that_does_not_exist() -> None:
    """The table has the runbook's alarms, in its order."""
    for head, expected in (
        ("| alarm | means | do |", alarms("NAME")),
        ("| alarm of Private CA | means | do |", private_ca_alarms("NAME")),
        ("| alarm of federation | means | do |", federation_alarms("NAME")),
        ("| alarm of the published bundle | means | do |", own_bundle_alarms("NAME")),
    ):
        assert [name.strip("`") for name, *_ in rows(PAGE, head)] == [alarm.name for alarm in expected]


@pytest.mark.parametrize("page", ["README.md", PAGE])
def test_alarms_in_the_table_of_failures_exist(page: str) -> None:
    """Whoever searches for an alarm's name must find it in AWS."""
    told = {
        name
        for row in rows(page, "| something fails | what happens | what you do |")
        for name in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+\d*)`", row[1])
    }

    assert len(told) > (10 if page == PAGE else 3)
    assert told <= {alarm.name for alarm in alarms("color")}


@pytest.mark.parametrize("kind", Kind)
def test_every_finding_is_on_the_page(kind: Kind) -> None:
    """`meshcert plan` shows its name; here is what it means."""
    assert f"`{kind}`" in PAGES[PAGE]


@pytest.mark.parametrize("action", [action for action in Action if action is not Action.NOTHING])
def test_every_step_is_among_the_audit_logs_actions(action: Action) -> None:
    """Whoever reads the log group itself meets it, unless it is a wait, which changes nothing."""
    (actions,) = [cells[1] for cells in rows(PAGE, "| field | says |") if "`action`" in cells[0]]

    assert f"`{action}`" in actions or action is Action.WAIT


@pytest.mark.parametrize("field", AuditEntry.__dataclass_fields__)
def test_every_field_of_the_audit_log_is_on_the_page(field: str) -> None:
    """Whoever reads the log group itself meets them."""
    assert any(f"`{field}`" in cells[0] for cells in rows(PAGE, "| field | says |"))


def test_every_command_of_the_operator_is_on_the_page() -> None:
    """Each says what it does."""
    told = {re.findall(r"meshcert (\w+)", command)[0] for command, _ in rows(PAGE, "| command | does |")}

    assert told == set(cli.commands) - FOR_MESH_FILES


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page: str) -> None:
    """Words that an operator types."""
    told = set(re.findall(r"`(?:\.venv/bin/)?meshcert ([a-z]+)", PAGES[page]))

    assert told <= set(cli.commands)
    assert told or page != PAGE
