"""The syntax of SPIFFE IDs, rule by rule: SPIFFE-ID.md, sections 2 to 2.3, and X509-SVID.md, section 3.1."""

from __future__ import annotations

import pytest

from meshcert.contract.spiffe_id import RULES, SpiffeId, SpiffeIdInvalid

BROKEN = [
    ("scheme", "SPIFFE-ID section 2", "https://a.example/w"),
    ("scheme", "SPIFFE-ID section 2", "SPIFFE://a.example/w"),
    ("scheme", "SPIFFE-ID section 2", "spiffe:/a.example/w"),
    ("scheme", "SPIFFE-ID section 2", " spiffe://a.example/w"),
    ("scheme", "SPIFFE-ID section 2", "://a/w"),
    ("scheme", "SPIFFE-ID section 2", ""),
    ("query", "SPIFFE-ID section 2", "spiffe://a.example/w?q=1"),
    ("query", "SPIFFE-ID section 2", "spiffe://a.example?"),
    ("fragment", "SPIFFE-ID section 2", "spiffe://a.example/w#f"),
    ("fragment", "SPIFFE-ID section 2", "spiffe://a.example/w#"),
    ("percent", "SPIFFE-ID section 2", "spiffe://a.example/%77"),
    ("percent", "SPIFFE-ID section 2", "spiffe://%61.example/w"),
    ("userinfo", "SPIFFE-ID section 2.1", "spiffe://user@a.example/w"),
    ("userinfo", "SPIFFE-ID section 2.1", "spiffe://user:word@a.example/w"),
    ("userinfo", "SPIFFE-ID section 2.1", "spiffe://@a.example/w"),
    ("port", "SPIFFE-ID section 2.1", "spiffe://a.example:8443/w"),
    ("port", "SPIFFE-ID section 2.1", "spiffe://a.example:/w"),
    ("port", "SPIFFE-ID section 2.1", "spiffe://[::1]/w"),
    ("no-trust-domain", "SPIFFE-ID section 2", "spiffe://"),
    ("no-trust-domain", "SPIFFE-ID section 2", "spiffe:///w"),
    ("trust-domain-case", "SPIFFE-ID section 2.1", "spiffe://A.example/w"),
    ("trust-domain-characters", "SPIFFE-ID section 2.1", "spiffe://a b/w"),
    ("trust-domain-characters", "SPIFFE-ID section 2.1", "spiffe://*.example/w"),
    ("trust-domain-characters", "SPIFFE-ID section 2.1", "spiffe://b\u00fccher.example/w"),
    ("trust-domain-characters", "SPIFFE-ID section 2.1", "spiffe://\u212a.example/w"),
    ("trust-domain-characters", "SPIFFE-ID section 2.1", "spiffe://a.example\0/w"),
    ("trust-domain-length", "SPIFFE-ID section 2.3", f"spiffe://{'a' * 256}/w"),
    ("trailing-slash", "SPIFFE-ID section 2.2", "spiffe://a.example/"),
    ("trailing-slash", "SPIFFE-ID section 2.2", "spiffe://a.example/w/"),
    ("trailing-slash", "SPIFFE-ID section 2.2", "spiffe://a.example//"),
    ("empty-segment", "SPIFFE-ID section 2.2", "spiffe://a.example//w"),
    ("empty-segment", "SPIFFE-ID section 2.2", "spiffe://a.example/v//w"),
    ("dot-segment", "SPIFFE-ID section 2.2", "spiffe://a.example/./w"),
    ("dot-segment", "SPIFFE-ID section 2.2", "spiffe://a.example/../w"),
    ("dot-segment", "SPIFFE-ID section 2.2", "spiffe://a.example/w/.."),
    ("path-characters", "SPIFFE-ID section 2.2", "spiffe://a.example/w w"),
    ("path-characters", "SPIFFE-ID section 2.2", "spiffe://a.example/w\n"),
    ("path-characters", "SPIFFE-ID section 2.2", "spiffe://a.example/*"),
    ("path-characters", "SPIFFE-ID section 2.2", "spiffe://a.example/w:8"),
    ("path-characters", "SPIFFE-ID section 2.2", "spiffe://a.example/\u00fc"),
    ("path-characters", "SPIFFE-ID section 2.2", "spiffe://a.example/x\\y"),
    ("length", "SPIFFE-ID section 2.3", f"spiffe://a/{'b' * 2038}"),
    ("no-path", "X509-SVID section 3.1", "spiffe://a.example"),
]


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
