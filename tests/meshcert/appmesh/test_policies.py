"""TLS of an imported mesh: who decides a call, which identities and hierarchies are proposed, and by which names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshcert.appmesh.report import Fate
from meshcert.mesh import read_mesh
from tests.meshcert.appmesh.definitions import calls, imported, node, service

if TYPE_CHECKING:
    from pathlib import Path

ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/"
ACM = {"acm": {"certificateArn": "arn:aws:acm:eu-west-1:111122223333:certificate/teller"}}
CERTIFICATES: dict[str, dict[str, Any]] = {
    "acm": ACM,
    "file": {"file": {"certificateChain": "/keys/teller.pem", "privateKey": "/keys/teller.key"}},
    "sds": {"sds": {"secretName": "spiffe://color/teller"}},
}
CLIENTS: dict[str, dict[str, Any]] = {
    "file": {"file": {"certificateChain": "/keys/front.pem", "privateKey": "/keys/front.key"}},
    "sds": {"sds": {"secretName": "spiffe://color/front"}},
}
TRUSTS: dict[str, dict[str, Any]] = {
    "acm": {"acm": {"certificateAuthorityArns": [f"{ARN}a"]}},
    "file": {"file": {"certificateChain": "/keys/ca.pem"}},
    "sds": {"sds": {"secretName": "spiffe://color"}},
}


def names(*exact: str) -> dict[str, Any]:
    """The names that a validation accepts; none if none is given."""
    return {"subjectAlternativeNames": {"match": {"exact": list(exact)}}} if exact else {}


def policy(trust: str = "acm", client: str = "", *exact: str, **more: Any) -> dict[str, Any]:
    """A client policy."""
    certificate = {"certificate": CLIENTS[client]} if client else {}
    return {"tls": {**certificate, "validation": {"trust": TRUSTS[trust], **names(*exact)}, **more}}


def listener(certificate: str = "acm", trust: str = "", *exact: str, mode: str = "STRICT") -> dict[str, Any]:
    """A listener with TLS."""
    validation = {"validation": {"trust": TRUSTS[trust], **names(*exact)}} if trust else {}
    return {"tls": {"mode": mode, "certificate": CERTIFICATES[certificate], **validation}}


def pair(teller: dict[str, Any], own: dict[str, Any] | None, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """A front that calls a teller; ``own`` is the backend's policy."""
    backends = calls("teller.color.local") if own is None else calls(teller=own)
    defaults: dict[str, Any] = {"backendDefaults": {"clientPolicy": default}} if default else {}
    return {
        "front": node("front", backends=backends, **defaults),
        "teller": node("teller", listener=teller),
        "service": service("teller.color.local", node="teller"),
        "front-service": service("front.color.local", node="front"),
    }


PAIRS: dict[str, tuple[dict[str, Any], bool]] = {
    "plain text": (pair({}, None), False),
    "the policy, one-way": (pair(listener(), policy()), True),
    "the policy, mutual": (pair(listener("file", "file"), policy("file", "file")), True),
    "mutual by SDS with SPIFFE IDs": (
        pair(listener("sds", "sds", "spiffe://color/front"), policy("sds", "sds", "spiffe://color/teller")),
        True,
    ),
    "the default policy": (pair(listener(), None, policy()), True),
    "the backend's own instead of the default": (pair({}, {}, policy()), False),
    "no policy: the listener decides": (pair(listener(), None), True),
    "no policy: PERMISSIVE too": (pair(listener(mode="PERMISSIVE"), None), True),
    "no policy: DISABLED with a dummy certificate": (pair(listener(mode="DISABLED"), None), False),
    "no policy, and a certificate is asked for": (pair(listener("file", "file"), None), True),
    "a policy without a certificate, and one is asked for": (pair(listener("acm", "file"), policy()), True),
    "not enforced, to plain text": (pair({}, policy(enforce=False)), False),
    "not enforced, to TLS": (pair(listener(), policy(enforce=False)), True),
    "another port, to plain text": (pair({}, policy(ports=[1])), False),
    "another port, to TLS": (pair(listener(), policy(ports=[1])), True),
    "this port": (pair(listener(), policy(ports=[8080])), True),
}
"""Definitions, and whether the call is over TLS."""


@pytest.mark.parametrize("case", PAIRS)
def test_a_call_is_made_as_app_mesh_made_it(case: str, tmp_path: Path) -> None:
    """The mesh file has no fault, so the two trust each other's certificates."""
    documents, over_tls = PAIRS[case]

    made = imported(tmp_path, documents)

    mesh = read_mesh(made.text.encode()).mesh
    assert mesh is not None, made.faults
    (call,) = mesh.calls()
    assert (mesh.tls_of(call) is not None) is over_tls, made.text
    assert made.report.of(Fate.LOST) + made.report.of(Fate.DECISION) == ()


@pytest.mark.parametrize("server", CERTIFICATES)
@pytest.mark.parametrize("client", ["", *CLIENTS])
@pytest.mark.parametrize("trust", TRUSTS)
def test_every_pair_of_sources_comes_to_certificates_that_are_trusted(
    server: str, client: str, trust: str, tmp_path: Path
) -> None:
    """ACM, files and SDS at both ends: the check would find a call that can never succeed."""
    asked = ("file",) if client else ()

    made = imported(tmp_path, pair(listener(server, *asked), policy(trust, client)))

    assert made.faults == ()


def test_what_believes_each_other_is_one_hierarchy_and_what_does_not_is_another(tmp_path: Path) -> None:
    """As in App Mesh's walkthrough with two CAs: a certificate of one proves nothing to who trusts the other."""
    teller = listener("file", "file", "front.color.local")
    front = policy("acm", "file", "teller.color.local")

    values = yaml.safe_load(imported(tmp_path, pair(teller, front)).text)

    assert {name: made["hierarchy"] for name, made in values["identities"].items()} == {
        "front": "front",
        "teller": "teller",
    }
    assert set(values["hierarchies"]) == {"front", "teller"}
    tls = values["virtual_nodes"]["teller"]["listeners"][0]["tls"]
    assert tls["validation"]["trust"] == {"hierarchy": "front"}


def test_a_proxy_with_certificates_of_two_cas_gets_two_identities(tmp_path: Path) -> None:
    """One for those who call it, and one for those whom it calls; the names of both are theirs."""
    documents = pair(listener("acm", "file", "front.color.local"), policy("acm", "sds", "teller.color.local"))
    documents["front"]["spec"]["listeners"][0] |= listener("file")
    documents["other"] = node("other", backends=calls(front=policy("sds", "", "front.color.local")))

    made = imported(tmp_path, documents)

    assert made.faults == (), made.text
    values = yaml.safe_load(made.text)
    assert {name: one["hierarchy"] for name, one in values["identities"].items()} == {
        "front": "front",
        "front-2": "front-2",
        "teller": "teller",
    }


def test_a_name_that_no_proxy_has_is_its_callees(tmp_path: Path) -> None:
    """A certificate may have had names that no definition shows, and the policy tells one of them."""
    values = yaml.safe_load(imported(tmp_path, pair(listener(), policy("acm", "", "teller.example.com"))).text)

    assert values["identities"]["teller"]["dns_names"] == ["teller.color.local", "teller.example.com"]


def test_a_client_that_is_not_in_these_files_gets_an_identity(tmp_path: Path) -> None:
    """A listener that admits names must find somebody who has them."""
    documents = {"teller": node("teller", listener=listener("acm", "file", "partner.example.com"))}

    made = imported(tmp_path, documents)

    assert made.faults == ()
    assert yaml.safe_load(made.text)["identities"]["partner"]["dns_names"] == ["partner.example.com"]


def test_a_spiffe_id_of_nobody_is_a_question_and_stays_closed(tmp_path: Path) -> None:
    """ACM issues DNS names only; without an answer nobody new is let in."""
    documents = {"teller": node("teller", listener=listener("sds", "sds", "spiffe://color/who"))}

    made = imported(tmp_path, documents)

    assert any("spiffe://color/who is no DNS name" in told.why for told in made.report.of(Fate.DECISION))
    tls = yaml.safe_load(made.text)["virtual_nodes"]["teller"]["listeners"][0]["tls"]
    assert tls["validation"]["subject_alternative_names"] == {"match": {"exact": ["spiffe://color/who"]}}
    assert made.faults != ()
