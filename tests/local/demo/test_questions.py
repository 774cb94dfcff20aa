"""How a declared pair is asked."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest
import yaml

from local.cdk import ROOT
from local.demo.questions import Asking, Question, question_for
from meshcert.mesh import Mesh
from meshcert.mesh.edges.pairs import pairs_of

FRONT, YELB, COMPANY = (
    yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text()) for name in ("front", "yelb", "company")
)
SHOP = yaml.safe_load((ROOT / "examples" / "shop.yaml").read_text())


def _questions(values: dict[str, Any]) -> dict[str, Question | None]:
    mesh = Mesh.model_validate(values)
    return {str(pair): question_for(mesh, pair) for pair in pairs_of(mesh) if pair.declared}


def _asked(question: Question | None) -> tuple[int, str | None, str, bool, bool]:
    assert question is not None
    return question.listener.port, question.identity, question.path, question.http2, question.grpc


def test_a_gateways_call_is_asked_through_the_listener_for_anybody() -> None:
    """With the path of a route that leads there, and as a gRPC call where the callee speaks gRPC."""
    questions = _questions(SHOP)

    assert _asked(questions["gateway → orders:9443"]) == (8443, None, "/orders", False, False)
    assert _asked(questions["gateway → catalog:9443"]) == (8443, None, "/shop.Catalog/Ask", True, True)
    assert _asked(questions["gateway → search:9443"]) == (8443, None, "/search", False, False)


def test_a_client_outside_asks_the_listener_that_names_it() -> None:
    """With its own certificate, in the listener's protocol."""
    assert _asked(_questions(SHOP)["partner → gateway:9443"]) == (9443, "partner", "/orders", True, False)


def test_a_gateway_that_asks_everybody_for_a_certificate_is_asked_with_one() -> None:
    """The only way in is the partner's: so it carries the questions to the services behind, too."""
    values = _with_listeners(SHOP["virtual_gateways"]["gateway"]["listeners"][1:])

    assert _asked(_questions(values)["gateway → orders:9443"]) == (9443, "partner", "/orders", True, False)


def test_a_backend_without_a_route_cannot_be_asked() -> None:
    """It is declared all the same, so the proof fails and says why."""
    values = _with_listeners(SHOP["virtual_gateways"]["gateway"]["listeners"])
    del values["virtual_gateways"]["gateway"]["routes"][0]

    assert _questions(values)["gateway → orders:9443"] is None


def test_an_application_names_its_backend_as_host_at_its_own_egress_listener() -> None:
    """With the header by which the virtual service's routes choose the callee."""
    questions = _questions(FRONT)

    found = {}
    for color in ("blue", "green", "red"):
        question = questions[f"front → {color}:9443"]
        assert question
        assert (question.service, question.listener.port, question.host) == ("front", 15001, "colors.front.internal")
        assert not question.tls
        found[color] = question.request.headers
    assert found == {"blue": (), "green": (("color", "green"),), "red": (("color", "red"),)}


@pytest.mark.parametrize(
    ("values", "pair", "asked"),
    [
        (COMPANY, "web → quotes:9443", (15001, None, "/Ask", True, True)),
        (COMPANY, "catalog → search:9443", (15001, None, "/", True, False)),
        (COMPANY, "ledger → store:6379", (6379, None, "/", False, False)),
        (YELB, "ui → appserver:9443", (15001, None, "/", False, False)),
        (YELB, "appserver → postgres:5432", (5432, None, "/", False, False)),
    ],
)
def test_an_application_speaks_its_backends_protocol(values: dict[str, Any], pair: str, asked: tuple[Any, ...]) -> None:
    """In HTTP at the egress listener; in TCP at the local port."""
    assert _asked(_questions(values)[pair]) == asked


def test_a_callee_that_gets_a_share_is_asked_for_until_it_is_met() -> None:
    """Each of two targets of a route; where a route leads to one alone, that one is taken."""
    values = copy.deepcopy(FRONT)
    blue = values["virtual_routers"]["colors"]["routes"][2]["http_route"]["action"]["weighted_targets"]
    blue.append({"virtual_node": "green", "weight": 1})
    questions = _questions(values)

    shared = {pair for pair, question in questions.items() if question and question.is_shared}
    assert shared == {"front → blue:9443"}


@pytest.mark.parametrize(
    ("status", "headers", "answered"),
    [
        (200, {}, True),
        (404, {}, True),
        (500, {}, True),
        (503, {}, False),
        (504, {}, False),
        (200, {"grpc-status": "12"}, True),
        (200, {"grpc-status": "14"}, False),
    ],
)
def test_what_an_envoy_answers_for_a_service_is_no_answer(status: int, headers: dict[str, str], answered: bool) -> None:  # noqa: FBT001 -- parametrised
    """An application may say what it likes; only what an Envoy says in its stead does not count."""
    question = _questions(SHOP)["gateway → orders:9443"]
    assert question
    asking = Asking(question, str, "", "", {})

    assert asking.answered(httpx.Response(status, headers=headers)) == answered


def _with_listeners(listeners: list[Any]) -> dict[str, Any]:
    gateway = {**SHOP["virtual_gateways"]["gateway"], "listeners": listeners}
    gateway["routes"] = list(gateway["routes"])
    return {**SHOP, "virtual_gateways": {"gateway": gateway}}
