"""``docs/private-ca.md`` says what the mesh file takes and what it costs."""

from __future__ import annotations

import datetime as dt

import pytest
import yaml

from meshcert.cli.costs.issuing import IssuingWay, issuing_cost, short_lived_until
from meshcert.contract.spiffe_id import LONGEST_SPIFFE_ID
from meshcert.issuing.issuance_terms import MOST_DNS_NAMES
from meshcert.issuing.private_ca_lives import LONGEST_SHORT_LIVED, MOST_VERSIONS, RENEWED_UNTIL, shortest_life
from meshcert.mesh import Mesh
from meshcert.mesh.checks.issuance import LONGEST_LIFE
from meshcert.mesh.checks.names import LONGEST_NAMES
from meshcert.mesh.part import life_text
from tests.docs.pages import PAGES, ROOT, rows

NAME = "docs/private-ca.md"
PAGE = PAGES[NAME]
COSTS = (
    "| life | certificates an identity and month | 10 identities, short-lived | 100 identities, short-lived | "
    "short-lived is below ACM up to |"
)
LIVES = {"1h": 1, "6h": 6, "24h": 24, "7d": 168}


@pytest.mark.parametrize(("life", "hours"), LIVES.items())
def test_the_costs_are_those_that_the_plan_says(life: str, hours: int) -> None:
    """Of one CA."""
    (told,) = (cells[1:] for cells in rows(NAME, COSTS) if cells[0] == life)
    spans = dt.timedelta(hours=hours)
    one, ten, hundred = (issuing_cost(IssuingWay.SHORT_LIVED, number, spans) for number in (1, 10, 100))

    assert told == [
        f"{one.certificates:,.1f}",
        f"${ten.dollars:,.0f}",
        f"${hundred.dollars:,.0f}",
        f"{short_lived_until(spans)} identities",
    ]


def test_acms_way_costs_what_the_page_says() -> None:
    """Beside the table."""
    ten, hundred = (issuing_cost(IssuingWay.ACM, number, dt.timedelta(days=395)).dollars for number in (10, 100))

    assert f"ACM's way is ${ten:,.0f} with 10 identities, and ${hundred:,.0f} with 100." in PAGE
    assert [cells[0] for cells in rows(NAME, COSTS)] == list(LIVES)


def test_lives_and_bounds_are_those_of_the_checks() -> None:
    """The numbers that `meshcert check` refuses by."""
    least = life_text(shortest_life())

    assert rows(NAME, "| | least | most | why |") == [
        ["under a `short_lived` CA", least, life_text(LONGEST_SHORT_LIVED), "AWS Private CA gives no more"],
        ["under a general-purpose CA", least, life_text(LONGEST_LIFE), "longer ones are ACM's"],
    ]
    assert f"Secrets Manager keeps {MOST_VERSIONS} versions for 24 hours" in PAGE
    assert f"at most {LONGEST_SPIFFE_ID:,} bytes" in PAGE
    assert f"at most {MOST_DNS_NAMES} DNS names, and names of {LONGEST_NAMES:,} bytes" in PAGE
    assert [24 * (1 - RENEWED_UNTIL), 60 * (1 - RENEWED_UNTIL)] == [8, 20]
    assert "With 24 hours, at least eight are left when a renewal begins; with one hour, 20 minutes." in PAGE


def test_the_example_on_the_page_has_keys_of_the_mesh_file() -> None:
    """A part of a file: the identity, its hierarchy and the mesh."""
    _, _, rest = PAGE.partition("```yaml\n")
    written = yaml.safe_load(rest.partition("```")[0])
    shipped = yaml.safe_load((ROOT / "examples" / "spiffe.yaml").read_text())

    assert Mesh.model_validate(shipped | {key: written[key] for key in ("mesh", "hierarchies")})
    assert written["mesh"] == shipped["mesh"]
    assert written["identities"]["ui"] == shipped["identities"]["ui"]
