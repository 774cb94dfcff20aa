"""A partner's bundle on a local AWS of its own: from its endpoint, over TLS, into the secret that proxies read."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aws_cdk import App, Tags

from evidence.fixtures.bundle_endpoint import served
from evidence.fixtures.bundles import document
from evidence.fixtures.pki import Hierarchy
from local.cdk import app_context
from local.running_aws import LocalAws
from local.running_mesh import wait_until
from meshcert import naming
from meshcert.federation.refreshing import EVERY_S
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.mesh import load_mesh
from stacks.identities import IdentitiesStack
from stacks.pki import PkiStack
from stacks.runtime import Platform
from tests.e2e.assemblies import AS_THE_CLI_SAYS
from tests.meshcert.mesh.test_trust_domains import BOTH, SPIFFE
from tests.stacks.synthesis import CONTEXT

if TYPE_CHECKING:
    import socket
    from pathlib import Path

PARTNER = "partner.example"
SECRET, TABLE = naming.foreign_bundle_secret("yelb", PARTNER), naming.bundle_fetches_table("yelb")
PUBLIC = Hierarchy(2, name="public")
OLD, NEW = Hierarchy(name="old").root_pem, Hierarchy(name="new").root_pem


class Partner:
    """What the endpoint gives."""

    def __init__(self) -> None:
        self.document = document(OLD, sequence=1)

    def answer(self, connection: socket.socket) -> None:
        """Send it."""
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.document)}\r\n\r\n"
        connection.sendall(head.encode() + self.document)


@pytest.mark.timeout(900)
def test_a_partners_bundle_comes_from_its_endpoint_into_the_secret_that_proxies_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    By the schedule alone, with the rights that the stacks give; an older one and garbage change nothing.

    IAM is evaluated: a right that is missing would be an error of the function.
    """
    authorities = tmp_path / "public.pem"
    authorities.write_text(PUBLIC.root_pem)
    # The local AWS hands it to its functions, as it does a corporate CA's.
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    partner = Partner()

    with served(partner.answer, PUBLIC.issue(["localhost"])) as endpoint, LocalAws(tmp_path / "aws") as aws:
        aws.deploy(_assembly(tmp_path, endpoint.url))
        assert _believed(aws) == ForeignBundle(PARTNER), "the deploy has published the first bundle: nobody's"
        aws.control("POST", "/_local/scheduler/advance", {"seconds": EVERY_S})
        wait_until(lambda: _believed(aws).certificates == OLD, "the first bundle, by the schedule", within_s=180)

        partner.document = document(NEW, sequence=2)
        assert _asked(aws) == "published"
        assert _believed(aws) == (PARTNER, NEW, 2, 600)
        for bad in (document(OLD, sequence=1), document(OLD, sequence=2), b"<html>"):
            partner.document = bad
            assert _asked(aws) == "failed"
        row = aws.client("dynamodb").get_item(TableName=TABLE, Key={"trust_domain": {"S": PARTNER}})["Item"]

    assert row["problem"] == {"S": "BundleInvalid"}
    assert row["sequence"] == {"N": "2"}
    assert all(request.startswith(b"GET /bundle.json?version=1 ") for request in endpoint.requests)


def _assembly(folder: Path, url: str) -> Path:
    """The stacks of CAs and secrets alone, of a mesh that trusts the partner at its page."""
    values = copy.deepcopy(SPIFFE)
    values["trust_domains"] = {PARTNER: {"bundle_endpoint": {"url": url, "profile": "https_web"}}}
    values["virtual_nodes"]["ui"]["listeners"][0]["tls"]["validation"] = BOTH
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    mesh = load_mesh(file)
    app = App(outdir=str(folder / "assembly"), context=CONTEXT | AS_THE_CLI_SAYS | app_context(file))
    platform = Platform.from_context(app.node)
    pki = PkiStack(app, "yelb-pki", mesh=mesh)
    identities = IdentitiesStack(app, "yelb-identities", mesh=mesh, pki=pki, platform=platform)
    identities.add_stack_dependency(pki)
    Tags.of(app).add(naming.TAG, mesh.name)
    app.synth()
    return folder / "assembly"


def _believed(aws: LocalAws) -> ForeignBundle:
    """What a proxy reads."""
    value = aws.client("secretsmanager").get_secret_value(SecretId=SECRET)["SecretString"]
    return ForeignBundle.loads(value, SECRET)


def _asked(aws: LocalAws) -> str:
    """What comes of a look at a time at which the endpoint is due."""
    _age(aws)
    answer = aws.client("lambda").invoke(FunctionName="meshcert-yelb-federate", Payload=b"{}")
    told: dict[str, Any] = json.loads(answer["Payload"].read())
    return str(told.get(PARTNER, told))


def _age(aws: LocalAws) -> None:
    """Make the last look a day older: nobody waits for a refresh hint."""
    aws.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"trust_domain": {"S": PARTNER}},
        UpdateExpression="SET looked_at = looked_at - :day",
        ExpressionAttributeValues={":day": {"N": "86400"}},
    )
