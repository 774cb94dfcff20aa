"""The syntax of SPIFFE IDs, rule by rule: SPIFFE-ID.md, sections 2 to 2.3, and X509-SVID.md, section 3.1."""

from __future__ import annotations

import pytest

from meshcert.contract.spiffe_id import RULES, SpiffeId, SpiffeIdInvalid
from tests.meshcert.contract.broken_spiffe_ids import BROKEN


@pytest.mark.parametrize(("rule", "section", "text"), BROKEN)
def test_an_id_that_breaks_a_rule_is_refused_with_the_rule_and_its_section(rule: str, section: str, text: str) -> None:
    """The first rule in the table's order; the message has the start of a long text only."""
    with pytest.raises(SpiffeIdInvalid) as caught:
        SpiffeId.of_workload(text)

    assert (caught.value.rule.name, caught.value.rule.section, caught.value.text) == (rule, section, text)
    assert str(caught.value).endswith(f"{caught.value.rule.problem} ({section})")
    assert len(str(caught.value)) < 450


def test_every_rule_is_broken_by_an_id_of_this_table() -> None:
    """And no rule stands twice."""
    assert [rule.name for rule in RULES] == list(dict.fromkeys(name for name, _, _ in BROKEN))


@pytest.mark.parametrize(
    ("text", "trust_domain", "path"),
    [
        ("spiffe://a.example/ns/x/sa/Y_1.v-2", "a.example", "/ns/x/sa/Y_1.v-2"),
        ("spiffe://a/b", "a", "/b"),
        ("spiffe://a_b-c.9/...x", "a_b-c.9", "/...x"),
        (f"spiffe://{'a' * 255}/w", "a" * 255, "/w"),
        (f"spiffe://a/{'b' * 2037}", "a", f"/{'b' * 2037}"),
    ],
)
def test_an_id_of_a_workload_is_its_trust_domain_and_its_path(text: str, trust_domain: str, path: str) -> None:
    """And is written as it was read."""
    assert SpiffeId.of_workload(text) == SpiffeId(trust_domain, path)
    assert str(SpiffeId.of_workload(text)) == text


def test_a_trust_domain_has_an_id_without_a_path() -> None:
    """SPIFFE-ID.md section 3.1: bundles and CAs go by it."""
    assert SpiffeId.parse("spiffe://a.example") == SpiffeId("a.example", "")
    assert str(SpiffeId("a.example", "")) == "spiffe://a.example"
