"""The secret with the roots of a foreign trust domain."""

from __future__ import annotations

import json

import pytest

from meshcert.errors import SecretMalformed, SecretNotPublished
from meshcert.material.foreign_bundle import LONGEST_HINT_S, MOST_CERTIFICATES, SHORTEST_HINT_S, ForeignBundle, clamped

ROOT = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
BUNDLE = ForeignBundle("partner.example", ROOT + ROOT, 7, 3600)
WRITTEN = json.loads(BUNDLE.dumps())


@pytest.mark.parametrize("bundle", [BUNDLE, ForeignBundle("partner.example")], ids=["roots", "nobody"])
def test_a_bundle_is_read_back(bundle: ForeignBundle) -> None:
    """Also one by which nobody is let in."""
    assert ForeignBundle.loads(bundle.dumps(), "secret") == bundle


def test_nothing_but_certificates_is_passed_on() -> None:
    """Whatever else stands around them in the text."""
    text = json.dumps({**WRITTEN, "Certificates": f"partner\n{ROOT}X509 CRL\n{ROOT}"})

    assert ForeignBundle.loads(text, "secret") == BUNDLE


MALFORMED = {
    "garbage": ("<html>", "not JSON"),
    "list": ("[]", "no object"),
    "schema": (json.dumps({**WRITTEN, "Schema": 2}), "cannot read it"),
    "nested": ("[" * 100 + "]" * 100, "nested"),
    "long": (" " * 65_537, "longer than"),
    "no-domain": (json.dumps({**WRITTEN, "TrustDomain": ""}), "TrustDomain"),
    "domain-with-path": (json.dumps({**WRITTEN, "TrustDomain": "partner.example/a"}), "TrustDomain"),
    "no-certificates": (json.dumps({**WRITTEN, "Certificates": None}), "Certificates is not text"),
    "no-pem": (json.dumps({**WRITTEN, "Certificates": "partner"}), "holds no PEM"),
    "no-base64": (json.dumps({**WRITTEN, "Certificates": ROOT.replace("AAAA", "A?A")}), "not base64"),
    "many": (json.dumps({**WRITTEN, "Certificates": ROOT * (MOST_CERTIFICATES + 1)}), "holds 33"),
    "negative": (json.dumps({**WRITTEN, "Sequence": -1}), "Sequence"),
    "true": (json.dumps({**WRITTEN, "Sequence": True}), "Sequence"),
    "fast": (json.dumps({**WRITTEN, "RefreshHintSeconds": SHORTEST_HINT_S - 1}), "RefreshHintSeconds"),
    "slow": (json.dumps({**WRITTEN, "RefreshHintSeconds": LONGEST_HINT_S + 1}), "RefreshHintSeconds"),
}


@pytest.mark.parametrize(("text", "problem"), MALFORMED.values(), ids=MALFORMED)
def test_another_text_is_refused(text: str, problem: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(SecretMalformed, match=problem):
        ForeignBundle.loads(text, "secret")


def test_a_placeholder_is_no_bundle() -> None:
    """The deploy has not come to it yet."""
    with pytest.raises(SecretNotPublished):
        ForeignBundle.loads('{"Schema": 1, "Placeholder": "Written by the template"}', "secret")


@pytest.mark.parametrize(("hint", "taken"), [(0, 300), (300, 300), (3600, 3600), (10**9, 86_400)])
def test_a_refresh_hint_is_taken_within_bounds(hint: int, taken: int) -> None:
    """Five minutes to a day."""
    assert clamped(hint) == taken
