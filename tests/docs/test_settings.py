"""``docs/settings.md`` names everything that can be set, with the defaults of the code."""

from __future__ import annotations

import json
import re
from dataclasses import fields

from entrypoint import readiness, settings
from meshcert import settings as function_settings
from meshcert.contract.environment import POLICY_PREFIX, PREFIX
from meshcert.lifecycle.policy import Policy
from tests.docs.pages import PAGES, ROOT, rows

PAGE = "docs/settings.md"


def test_every_variable_of_the_envoy_container_is_on_the_page() -> None:
    """Nobody has to read the source to learn what may be set."""
    programs = (vars(program).values() for program in (settings, readiness))
    read = {value for values in programs for value in values if isinstance(value, str) and value.startswith(PREFIX)}

    assert len(read) > 3
    for variable in read:
        assert f"`{variable}`" in PAGES[PAGE], variable


def test_every_variable_of_the_functions_is_on_the_page() -> None:
    """The same for the functions."""
    kinds = (
        kind for kind in vars(function_settings).values() if str(getattr(kind, "__name__", "")).endswith("Settings")
    )
    settings_of_all = {setting.name for kind in kinds for setting in fields(kind)}
    named = {f"{PREFIX}{name.upper()}" for name in settings_of_all - {"policy"}}
    named.add(POLICY_PREFIX)
    table = rows(PAGE, "| program | variable | means |")
    told = {cell for row in table for cell in re.findall(r"`([A-Z_]+)", row[1])}

    assert len(named) > 8
    assert named <= told


def test_every_setting_of_the_policy_is_on_the_page_with_its_default() -> None:
    """A threshold that is changed in the code is changed on the page that people plan with."""
    told = [(name, default) for name, default, _ in rows(PAGE, "| `MESHCERT_POLICY_…` | default | means |")]

    assert told == [(f"`{setting.name.upper()}`", f"{setting.default:g}") for setting in fields(Policy)]


def test_the_context_of_a_deploy_is_on_the_page_with_its_defaults() -> None:
    """What cdk.json has besides the CDK's own flags."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    ours = {f"`{name}`": f"`{value}`" for name, value in context.items() if not name.startswith("@")}

    assert {name: default for name, default, _ in rows(PAGE, "| context | default | means |")} == ours
