"""The mesh file's judgement of a regular expression is Envoy's own."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from evidence.fixtures.proxies import gateway
from meshcert.envoy import Addresses, bootstrap
from meshcert.mesh.routing.regexes import matches_whole, regex_fault
from meshcert.proxy import Route
from meshcert.routes import Conditions

if TYPE_CHECKING:
    from pathlib import Path

TAKEN = (
    r"/users/[0-9]+",
    r"/a*?b",
    r"/(?:a|b)+/c",
    r"/v1|/v2",
    r"(?i)/A",
    r"/\{id\}",
    r"[[:alpha:]/]+",
    r"/[\[\]]",
    r"/[]a]",
    r"/(?P<name>a)",
    r"/\d\w\s\b",
    r"/\x41",
    r"/\p{L}\p{Lu}\pN",
    r"/a{2,3}?",
    r"/.{200}",
    r"/" + "a" * 254,
    r"^/a$",
    r"\A/a\z",
    r"/[^/]+/(?U)a+",
    r"/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
)
REFUSED = (
    "/(?=a)",
    "/(?<!a)",
    r"/(a)\1",
    "/(?P=a)",
    "/(?>a)",
    "/a++",
    "/a**",
    "/a{1001}",
    "/(a{50}){50}",
    "/(a",
    "/a)",
    "/[a",
    r"/\Z",
    "(?x)/a",
    r"/\p{Letter}",
    r"/\u0041",
    "/a\\",
    r"/\x{100}",
    r"/[\x{10ffff}]",
    "/[[:letter:]]",
    "/[a--]",
    "/(?P<é>a)",
)
READ_OTHERWISE = (r"/\<a", r"/a\>")
"""Ends of words for many engines, and for RE2 the characters."""
RE2_SAYS = r"bad repetition|invalid |missing [\])]|trailing |unexpected \)"
"""RE2's own words, which Envoy passes on."""


def _validated(envoy: Path, folder: Path, *regexes: str) -> str:
    """What Envoy has against a configuration with these."""
    routes = tuple(Route("", "colorteller", conditions=Conditions(regex=regex)) for regex in regexes)
    file = folder / "envoy.json"
    settings = gateway(routes=routes, backends=(gateway().backends[0]._replace(tls=None),))
    file.write_text(json.dumps(bootstrap(settings, Addresses(str(folder)))))
    command = [str(envoy), "--mode", "validate", "-c", str(file), "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr


def test_what_the_file_takes_envoy_takes(envoy_binary: Path, tmp_path: Path) -> None:
    """All of them in one configuration."""
    assert [regex_fault(regex) for regex in TAKEN] == [None] * len(TAKEN)
    assert _validated(envoy_binary, tmp_path, *TAKEN) == ""


@pytest.mark.parametrize("regex", REFUSED)
def test_what_the_file_refuses_envoy_refuses(envoy_binary: Path, tmp_path: Path, regex: str) -> None:
    """At the deploy it would be a task that never starts."""
    assert regex_fault(regex)
    assert re.search(RE2_SAYS, _validated(envoy_binary, tmp_path, regex))


@pytest.mark.parametrize("regex", READ_OTHERWISE)
def test_what_envoy_would_read_otherwise_than_it_is_meant_is_refused(
    envoy_binary: Path, tmp_path: Path, regex: str
) -> None:
    """Envoy itself takes it without a word."""
    assert regex_fault(regex)
    assert _validated(envoy_binary, tmp_path, regex) == ""


def test_a_hostile_expression_takes_no_time() -> None:
    """Files of others are checked too."""
    assert not matches_whole("/(a+)+$", "/" + "a" * 250 + "b")
