"""What a judgement of tools.aws_checks must be, for tests by table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    from tools.aws_checks.verdicts import Judgement

YES, NO, OPEN = Verdict.CONFIRMED, Verdict.CONTRADICTED, Verdict.UNDECIDED


def assert_judged(judgement: Judgement, verdict: Verdict, *words: str) -> None:
    """This verdict, with these words in it; a contradiction says what to do."""
    assert judgement.verdict == verdict, judgement
    for word in words:
        assert word in judgement.seen + judgement.remedy
    assert judgement.remedy or verdict is not NO
