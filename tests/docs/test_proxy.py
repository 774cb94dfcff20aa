"""``docs/proxy.md`` says what the code does and what the tests of bad peers have seen."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.proxies import teller
from meshcert.envoy.access_log import refused_clients, refused_requests
from meshcert.envoy.causes import CAUSES, NOT_ALLOWED, OTHER, cause_expression
from meshcert.mesh.routing.limits import RequestTimeouts, SessionTimeouts
from meshcert.proxy import TlsMode
from meshcert.timeouts import DEFAULT_TIMEOUTS
from tests.docs.pages import PAGES, rows
from tests.envoy.allow_rule_cases import CALLERS, DOTS, SPELLINGS
from tests.envoy.forged_cases import FORGERIES, forged_refusals
from tests.envoy.http_spoken_cases import CASES
from tests.envoy.peers_cases import Refused, accepted, refusals
from tests.envoy.route_cases import PATHS

if TYPE_CHECKING:
    from tests.envoy.peers_cases import Verdict

PAGE = "docs/proxy.md"
REASONS = {
    cells[0].strip("`"): set(re.findall(r"`([^`]+)`", cells[1]))
    for cells in rows(PAGE, "| cause | in `reason` | it means | what to do |")
}

FORGED = "| certificate | A alone | A and B | server, A and B | what refuses it, or why it may pass |"


def test_every_cause_is_on_the_page_and_no_other() -> None:
    """The closed set that the metric's dimension has."""
    assert set(REASONS) == {*CAUSES, OTHER}


@pytest.mark.parametrize("cause", CAUSES)
def test_the_page_has_the_reasons_that_the_tests_have_seen(cause: str) -> None:
    """Each from the one table that the tests of bad peers go by, none from memory."""
    seen = {refused.words for refused in refusals() | forged_refusals() if refused.cause == cause}

    assert seen
    assert REASONS[cause] == seen


def test_no_test_has_seen_a_cause_that_has_no_name() -> None:
    """What the tests can provoke is told apart."""
    assert {refused.cause for refused in refusals() | forged_refusals()} == set(CAUSES)


def test_what_envoy_accepts_is_on_the_page_with_what_refuses_it_instead() -> None:
    """Kind by kind, and whether the proxy's own pre-flight passes it."""
    table = rows(PAGE, "| peer's certificate | Envoy | export function's pre-flight | proxy's pre-flight |")

    assert {cells[0] for cells in table} == accepted()
    for kind, _, published, proxied in table:
        good = kind == "P-384"
        assert published.startswith("accepts" if good else "refuses"), kind
        assert proxied.startswith("accepts" if good else "refuses"), kind


def test_what_a_ca_could_forge_is_on_the_page_with_what_refuses_it() -> None:
    """Every forgery that the tests try, with its result in each place; and whatever is let in somewhere has a word."""
    table = rows(PAGE, FORGED)

    assert [tuple(cells[:4]) for cells in table] == [
        (name, *(_told(verdict or forgery.federated) for verdict in forgery[1:])) for name, forgery in FORGERIES.items()
    ]
    assert [cells[0] for cells in table if "admitted" in cells[1:4] and not cells[4]] == []


def _told(verdict: Verdict) -> str:
    return f"`{verdict.cause}`" if isinstance(verdict, Refused) else "admitted"


def test_every_mode_is_on_the_page() -> None:
    """Those of the mesh file."""
    assert [mode.strip("`") for mode, _ in rows(PAGE, "| mode | who gets in |")] == [mode.value for mode in TlsMode]


def test_every_request_that_is_tried_is_on_the_page_and_no_other() -> None:
    """In the tests' order; the real Envoy is asked in ``tests/envoy/test_http_spoken.py``."""
    assert [cells[0] for cells in rows(PAGE, "| request | status | why |")] == list(CASES)


def test_the_limits_on_requests_are_on_the_page_with_their_defaults() -> None:
    """By the protocol of the virtual node."""
    table = rows(PAGE, "| limit | begins | ends the request | `http`, `http2` | `grpc` | `tcp` |")
    told = {cells[0].strip("`"): cells[3:] for cells in table}

    assert DEFAULT_TIMEOUTS["http"] == DEFAULT_TIMEOUTS["http2"]
    assert told == {
        name: [f"{getattr(DEFAULT_TIMEOUTS[protocol], f'{name}_s'):g}" if protocol != "tcp" or name == "idle" else ""
               for protocol in ("http", "grpc", "tcp")]
        for name in RequestTimeouts.model_fields
    }  # fmt: skip
    assert set(SessionTimeouts.model_fields) == {"idle"}


def test_the_line_on_the_page_has_the_fields_of_envoys_line() -> None:
    """All of them."""
    (line,) = re.findall(r"^```json\n(.*?)```", PAGES[PAGE], re.MULTILINE | re.DOTALL)
    written = refused_clients("ingress_9080", teller())["typed_config"]["log_format"]["json_format"]

    assert json.loads(line).keys() == written.keys()


def test_every_path_that_an_allow_rule_judges_on_the_page_is_tried_at_the_real_envoy() -> None:
    """In the tables of ``tests/envoy/allow_rule_cases.py``; what the page says of its line is so, too."""
    told = [
        path for cells in rows(PAGE, "| path | who may ask for it | why |") for path in re.findall("`(.*?)`", cells[0])
    ]
    line = refused_requests("ingress_9080", teller())["typed_config"]["log_format"]["json_format"]

    assert len(told) > 15
    assert set(told) <= {*PATHS, *DOTS, *SPELLINGS, *(path for _, path, _ in CALLERS)}
    assert line["cause"] == NOT_ALLOWED
    (paragraph,) = [each for each in PAGES[PAGE].splitlines() if each.startswith(f"- **`{line['event']}`**")]
    own = line.keys() - {"at", "level", "mesh", "service", "event", "listener", "client"}
    assert set(re.findall(r"`(\w+)`", paragraph)) >= own


def test_the_first_cause_that_fits_is_taken() -> None:
    """What follows SAN_match is the peer's own choice, so that cause is looked for first."""
    assert next(iter(CAUSES)) == "wrong-name"
    assert cause_expression("x").startswith("(x.contains('SAN match')) ? 'wrong-name' : ")
    assert cause_expression("x").endswith(": 'other'")
