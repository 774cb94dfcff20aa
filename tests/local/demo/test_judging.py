"""What the proof takes for proven: nothing that was not seen, and nothing that the mesh file does not explain."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from local.cdk import ROOT
from local.demo.declared import Counted, missing
from local.demo.proof import PairsCounted, ProofResult
from local.demo.undeclared import EgressAnswer, Refusal, judge
from local.tls_client import Attempt
from meshcert.mesh import load_mesh
from meshcert.mesh.edges.pairs import Manner, Pair, pairs_of

PAIRS = {str(pair): pair for pair in pairs_of(load_mesh(ROOT / "examples" / "shop.yaml"))}
REFUSED = PAIRS["partner → search:9443"]
TRUSTED = REFUSED._replace(trusted=("partner",))
OUT, IN = Attempt("127.0.0.1:40000", admitted=False), Attempt("127.0.0.1:40000", admitted=True)


def _logged(cause: str) -> dict[str, Refusal]:
    return {OUT.client: Refusal(cause, "TLS_error")}


@pytest.mark.parametrize(
    "cause", ["unknown-issuer", "wrong-name", "no-certificate", "bad-signature", "other-trust-domain"]
)
def test_a_refusal_counts_if_the_callees_log_has_its_cause(cause: str) -> None:
    """A line about this very connection, and a cause that lies in the client's certificate."""
    verdict = judge(REFUSED, {"partner": OUT}, _logged(cause))

    assert (verdict.refused, verdict.trusted, verdict.causes, verdict.wrong) == (True, False, (cause,), "")


@pytest.mark.parametrize(
    ("pair", "attempt", "logged", "wrong"),
    [
        (REFUSED, OUT, {}, "does not say why"),
        (REFUSED, OUT, {"127.0.0.1:40001": Refusal("wrong-name", "of another connection")}, "does not say why"),
        (REFUSED, OUT, _logged("other"), "not for the certificate: other"),
        (REFUSED, OUT, _logged("expired"), "not for the certificate: expired"),
        (REFUSED, OUT, _logged("tls-version"), "not for the certificate: tls-version"),
        (REFUSED, IN, {}, "let in: partner; by its rules it lets in: nobody"),
        (TRUSTED, OUT, _logged("wrong-name"), "let in: nobody; by its rules it lets in: partner"),
    ],
)
def test_what_the_rules_do_not_explain_counts_as_neither(
    pair: Pair, attempt: Attempt, logged: dict[str, Refusal], wrong: str
) -> None:
    """So the sum does not come out, and the demo fails."""
    verdict = judge(pair, {"partner": attempt}, logged)

    assert (verdict.refused, verdict.trusted) == (False, False)
    assert wrong in verdict.wrong


def test_whom_the_rules_let_in_is_trusted_though_undeclared() -> None:
    """It was seen to get in."""
    verdict = judge(TRUSTED, {"partner": IN}, {})

    assert (verdict.refused, verdict.trusted, verdict.wrong) == (False, True, "")


@pytest.mark.parametrize(
    ("status", "text", "refused"),
    [
        (403, "declare it under virtual_nodes.search.backends in the mesh file", True),
        (403, "forbidden, says the application", False),
        (200, "declare it under virtual_nodes.search.backends in the mesh file", False),
        (0, "ConnectError", False),
    ],
)
def test_a_refusal_counts_only_if_the_callers_own_envoy_refuses_too(status: int, text: str, refused: bool) -> None:  # noqa: FBT001 -- parametrised
    """Where it was asked: with 403, and the key of the mesh file."""
    answer = EgressAnswer(status, text, "virtual_nodes.search.backends")
    verdict = judge(REFUSED, {"partner": OUT}, _logged("wrong-name"), answer)

    assert (verdict.refused, verdict.refused_at_egress) == (refused, True)
    assert bool(verdict.wrong) != refused


BEFORE = Counted(requests=1, handshakes=1, anonymous=0, sent=1, started=1)
AFTER = BEFORE._replace(requests=2, sent=2)


@pytest.mark.parametrize(
    ("manner", "after", "lacks"),
    [
        (Manner.MUTUAL, AFTER, ""),
        (Manner.ONE_WAY, AFTER._replace(anonymous=1), ""),
        (Manner.PLAIN, AFTER._replace(handshakes=0, started=0), ""),
        (Manner.MUTUAL, AFTER._replace(sent=None, started=None), ""),
        (Manner.MUTUAL, AFTER._replace(requests=1), "the callee's Envoy has counted no request"),
        (Manner.MUTUAL, AFTER._replace(sent=1), "the caller's Envoy has counted no request"),
        (Manner.MUTUAL, AFTER._replace(handshakes=0), "no TLS handshake"),
        (Manner.MUTUAL, AFTER._replace(started=0), "no TLS handshake"),
        (Manner.MUTUAL, AFTER._replace(anonymous=1), "1 clients presented no certificate"),
    ],
)
def test_a_pair_talks_only_if_both_envoys_have_counted_it(manner: Manner, after: Counted, lacks: str) -> None:
    """An answer alone would not show by which way it came."""
    said = "; ".join(missing(manner, BEFORE, after))

    assert bool(said) == bool(lacks)
    assert lacks in said


WHOLE = ProofResult(PairsCounted(4, 4, 12, 11, 1), requests=500, failed=0, twice=0, renewed=5, identities=5)


@pytest.mark.parametrize(
    ("result", "proven"),
    [
        (WHOLE, True),
        (replace(WHOLE, pairs=replace(WHOLE.pairs, talk=3)), False),
        (replace(WHOLE, pairs=replace(WHOLE.pairs, refused=10)), False),
        (replace(WHOLE, pairs=PairsCounted(0, 0, 16, 16, 0)), False),
        (replace(WHOLE, failed=1), False),
        (replace(WHOLE, cells=3, refused_without_share=True), True),
        (replace(WHOLE, cells=3), False),
        (replace(WHOLE, requests=499), False),
        (replace(WHOLE, renewed=4), False),
    ],
)
def test_a_proof_is_whole_or_it_is_none(result: ProofResult, proven: bool) -> None:  # noqa: FBT001 -- parametrised
    """Every figure counts, and a mesh in which nobody calls anybody proves nothing."""
    assert result.proven == proven


def test_the_figures_are_those_that_were_promised() -> None:
    """``build/demo-STEM.json``, to the key."""
    assert json.loads(WHOLE.to_json()) == {
        "pairs": {"declared": 4, "talk": 4, "undeclared": 12, "refused": 11, "trusted_undeclared": 1},
        "requests": 500,
        "failed": 0,
        "renewed": 5,
    }
