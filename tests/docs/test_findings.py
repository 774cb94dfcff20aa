"""``docs/findings.md`` names tests that there are, and says of each finding what became of it."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import PAGES, ROOT

PAGE = PAGES["docs/findings.md"]
ROWS = re.findall(r"^\| ([\w.]+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("test", sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE))))
def test_every_test_that_the_page_names_exists(test: str) -> None:
    """A test that is renamed or goes takes its row along."""
    file, _, name = test.partition("::")

    source = (ROOT / file).read_text()
    assert not name or re.search(rf"\bdef {name}\(", source)


def test_every_finding_is_mended_or_not_with_a_reason_or_open() -> None:
    """Nothing is left in the dark."""
    said = {finding: now for finding, _, now in ROWS if finding != "finding"}

    assert len(said) > 80
    for finding, now in said.items():
        assert re.match(r"(mended: |not: |not in this version|was right|open$|open: )", now), finding
        assert not now.startswith("mended") or "`" in now or "](" in now or "lines" in now, finding
