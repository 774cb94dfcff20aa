"""``docs/proxy.md`` says what the code does and what the tests of bad peers have seen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from entrypoint.container.exit_codes import EXIT_CODES
from evidence.fixtures.proxies import teller
from meshcert.cli.__main__ import cli
from meshcert.envoy.access_log import refused_clients
from meshcert.envoy.causes import CAUSES, OTHER, cause_expression
from meshcert.mesh.services import Service
from meshcert.proxy import TlsMode
from tests.envoy.peers_cases import accepted, refusals
from tests.meshcert.publishing.test_bad_own_material import PROXY_PASSES

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "proxy.md").read_text()
KNOBS = ("rotation", "delivery", "poll_interval_s", "max_connection_duration_s", "cut_tcp_sessions")


def rows(begin: str) -> list[list[str]]:
    """The cells of the table that begins with this heading row."""
    (table,) = re.findall(rf"^{re.escape(begin)}\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


REASONS = {
    cells[0].strip("`"): set(re.findall(r"`([^`]+)`", cells[1]))
    for cells in rows("| cause | in `reason` | it means | what to do |")
}


def test_every_cause_is_on_the_page_and_no_other() -> None:
    """The closed set that the metric's dimension has."""
    assert set(REASONS) == {*CAUSES, OTHER}


@pytest.mark.parametrize("cause", CAUSES)
def test_the_page_has_the_reasons_that_the_tests_have_seen(cause: str) -> None:
    """Each from the one table that the tests of bad peers go by, none from memory."""
    seen = {refused.words for refused in refusals() if refused.cause == cause}

    assert seen
    assert REASONS[cause] == seen


def test_no_test_has_seen_a_cause_that_has_no_name() -> None:
    """What the tests can provoke is told apart."""
    assert {refused.cause for refused in refusals()} == set(CAUSES)


def test_what_envoy_accepts_is_on_the_page_with_what_refuses_it_instead() -> None:
    """Kind by kind, and whether the proxy's own pre-flight passes it."""
    table = rows("| peer's certificate | Envoy | export function's pre-flight | proxy's pre-flight |")

    assert {cells[0] for cells in table} == accepted()
    for kind, _, published, proxied in table:
        good = kind == "P-384"
        assert published.startswith("accepts" if good else "refuses"), kind
        assert proxied.startswith("accepts" if good or kind in PROXY_PASSES else "refuses"), kind


def test_every_exit_code_is_on_the_page_in_the_programs_own_words() -> None:
    """With what to do about it."""
    assert {int(code): cause for code, cause, _ in rows("| code | cause | what to do |")} == EXIT_CODES


def test_every_knob_of_a_services_proxy_is_on_the_page() -> None:
    """Default and meaning are the mesh file's own."""
    table = {
        field.strip("`"): (default.strip("`"), meaning)
        for field, default, meaning in rows("| field of a service | default | means |")
    }

    assert table == {
        knob: (str(Service.model_fields[knob].default), Service.model_fields[knob].description) for knob in KNOBS
    }


def test_every_mode_is_on_the_page() -> None:
    """Those of the mesh file."""
    assert [mode.strip("`") for mode, _ in rows("| mode | who gets in |")] == [mode.value for mode in TlsMode]


def test_every_command_on_the_page_exists() -> None:
    """Words that an operator types."""
    told = set(re.findall(r"`meshcert ([a-z-]+)", PAGE))

    assert told
    assert told <= set(cli.commands)


def test_the_line_on_the_page_has_the_fields_of_envoys_line() -> None:
    """All of them."""
    (line,) = re.findall(r"^```json\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    written = refused_clients("ingress_9080", teller())["typed_config"]["log_format"]["json_format"]

    assert json.loads(line).keys() == written.keys()


def test_the_first_cause_that_fits_is_taken() -> None:
    """What follows SAN_matcher is the peer's own choice, so that cause is looked for first."""
    assert next(iter(CAUSES)) == "wrong-name"
    assert cause_expression("x").startswith("(x.contains('SAN matcher')) ? 'wrong-name' : ")
    assert cause_expression("x").endswith(": 'other'")
