"""A key of yours is asked about before secrets are to be under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.judgements import NO, YES, assert_judged
from tools.aws_checks.keys import YourKeySeen, judge_key

if TYPE_CHECKING:
    from tools.aws_checks.verdicts import Verdict

PLACE = "arn:aws:kms:us-west-1:111122223333:key/"
KEY = {"KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"}
SEEN = YourKeySeen(f"{PLACE}1", PLACE, KEY)


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (SEEN, YES, "Enabled"),
        (SEEN._replace(key=KEY | {"KeyState": "Disabled"}), NO, "Have its owner enable it"),
        (SEEN._replace(key=KEY | {"KeyState": "PendingDeletion"}), NO, "cannot be read"),
        (SEEN._replace(key=KEY | {"KeySpec": "RSA_2048"}), NO, "Name a symmetric key"),
        (SEEN._replace(key=KEY | {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}), NO, "symmetric key for"),
        (SEEN._replace(key={}), NO, "of this account and region"),
    ],
    ids=["as it should be", "disabled", "to be deleted", "asymmetric", "for signatures", "elsewhere"],
)
def test_secrets_can_be_under_a_key(seen: YourKeySeen, verdict: Verdict, words: str) -> None:
    """Else no secret is made, or none can be read a month later."""
    assert_judged(judge_key(seen), verdict, words)
