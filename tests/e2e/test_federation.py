"""Two meshes on a local AWS that federate both ways, by what each of them publishes."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aws_cdk import App, Tags

from evidence.fixtures.bundle_endpoint import served
from evidence.fixtures.bundles import document
from evidence.fixtures.grants import Role, unused
from evidence.fixtures.pki import Hierarchy
from local.cdk import app_context
from local.running_aws import ACCOUNT, REGION, LocalAws
from local.running_mesh import wait_until
from meshcert import naming
from meshcert.cli.account import connect
from meshcert.cli.status.bundles import bundles_seen
from meshcert.federation.refreshing import EVERY_S
from meshcert.material.document import read_trust_bundle
from meshcert.material.foreign_bundle import ForeignBundle
from meshcert.mesh import load_mesh
from stacks.identities import IdentitiesStack
from stacks.pki import PkiStack
from stacks.runtime import Platform
from tests.e2e.assemblies import AS_THE_CLI_SAYS
from tests.stacks.synthesis import CONTEXT, ROOT
from tools.aws_checks import federation
from tools.aws_checks.account import Account
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.verdicts import Verdict

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from meshcert.mesh import Mesh


SHOP, BANK = "shop", "bank"
PARTNERS = {SHOP: BANK, BANK: SHOP}
PUBLIC = Hierarchy(2, name="public")


class S3Front:
    """
    What Amazon S3's TLS is on AWS: gives the object with a mesh's bundle to whoever asks, by S3's own leave.

    Args:
        mesh: Whose bundle.
    """

    def __init__(self, mesh: str) -> None:
        self.aws: LocalAws | None = None
        self.instead: bytes | None = None
        """A document that it gives instead."""
        self._object = f"{naming.bundle_bucket(mesh, ACCOUNT, REGION)}/{naming.BUNDLE_OBJECT}"

    def get(self) -> tuple[int, bytes]:
        """Status and body for somebody without credentials."""
        assert self.aws
        where = http.client.HTTPConnection(self.aws.endpoint.removeprefix("http://"), timeout=10)
        with closing(where):
            where.request("GET", f"/{self._object}")
            answer = where.getresponse()
            return answer.status, answer.read()

    def has_it(self) -> bool:
        """Whether somebody without credentials gets it."""
        return self.get()[0] == http.client.OK

    def answer(self, connection: socket.socket) -> None:
        """Answer a request on a connection."""
        status, body = (200, self.instead) if self.instead is not None else self.get()
        connection.sendall(f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


@pytest.mark.timeout(900)
def test_two_meshes_federate_by_what_each_of_them_publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    By schedules alone, with the rights that the stacks give; an older bundle and garbage change nothing.

    IAM is evaluated, and S3's Block Public Access: a right that is missing would be an error of a function.
    """
    authorities = tmp_path / "public.pem"
    authorities.write_text(PUBLIC.root_pem)
    # The local AWS hands it to its functions, as it does a corporate CA's.
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    fronts = {mesh: S3Front(mesh) for mesh in PARTNERS}
    with ExitStack() as running:
        urls = {
            mesh: running.enter_context(served(front.answer, PUBLIC.issue(["localhost"]))).url
            for mesh, front in fronts.items()
        }
        aws = running.enter_context(LocalAws(tmp_path / "aws"))
        for front in fronts.values():
            front.aws = aws
        aws.deploy(_assembly(tmp_path, urls))
        assert all(_believed(aws, mesh).certificates == "" for mesh in PARTNERS), "nobody's, until one is fetched"

        aws.control("POST", "/_local/scheduler/advance", {"seconds": EVERY_S})
        for mesh, front in fronts.items():
            wait_until(front.has_it, f"{mesh}'s bundle", within_s=180)
            wait_until(partial(_looks_of, aws, mesh), f"a look of {mesh}", within_s=180)
        published = {mesh: json.loads(front.get()[1]) for mesh, front in fronts.items()}
        for mesh, partner in PARTNERS.items():
            assert _asked(aws, mesh) in {"published", "unchanged"}
            believed = _believed(aws, mesh)
            assert believed.certificates == _root(aws, partner)
            assert believed.sequence == published[partner]["spiffe_sequence"]

        assert _run(aws, SHOP, "publisher")["outcome"] == "unchanged"
        sequence = published[BANK]["spiffe_sequence"]
        for bad in (document(PUBLIC.root_pem, sequence=1), document(PUBLIC.root_pem, sequence=sequence), b"<html>"):
            fronts[BANK].instead = bad
            assert _asked(aws, SHOP) == "failed"
        assert _believed(aws, SHOP).certificates == _root(aws, BANK)

        for owner in (naming.FEDERATE_ROLE, naming.PUBLISHER_ROLE):
            role = Role(aws, SHOP, owner)
            # Its log Lambda itself writes, on the local AWS without asking IAM.
            assert {
                each for each in unused(role.grants(), role.decisions()) if not each.action.startswith("logs:")
            } == set()
            assert role.denied() == []
        export = Role(aws, SHOP, naming.EXPORT_ROLE)
        assert not [each for each in unused(export.grants(), export.decisions()) if each.action.startswith("s3:")]
        _require_told(aws, load_mesh(tmp_path / "shop.yaml"), published[SHOP]["spiffe_sequence"], monkeypatch)


def _require_told(aws: LocalAws, mesh: Mesh, sequence: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``make verify-aws`` and ``meshcert status`` ask and tell about it; nothing is written."""
    deployed = Deployment(mesh, Account(aws.client), "aws", REGION, ACCOUNT, dt.datetime.now(dt.UTC))
    findings = [finding for check in federation.CHECKS for finding in check.findings(deployed)]
    assert len(findings) == 4
    assert [each for each in findings if each.verdict is not Verdict.CONFIRMED] == []
    for variable, value in aws.environment().items():
        monkeypatch.setenv(variable, value)
    told = bundles_seen(connect(mesh.name, os.environ), mesh)
    assert (told["own"]["sequence"], told["own"]["problem"]) == (sequence, None)
    assert [(each["trust_domain"], each["problem"]) for each in told["foreign"]] == [("bank.example", "BundleInvalid")]


def _assembly(folder: Path, urls: dict[str, str]) -> Path:
    """The stacks of CAs and secrets alone, of both meshes as the examples have them but for the partner's URL."""
    app = App(outdir=str(folder / "assembly"), context=CONTEXT | AS_THE_CLI_SAYS | app_context(ROOT / "mesh.yaml"))
    platform = Platform.from_context(app.node)
    for name, partner in PARTNERS.items():
        mesh = load_mesh(_written(folder, name, urls[partner]))
        pki = PkiStack(app, f"{name}-pki", mesh=mesh)
        identities = IdentitiesStack(app, f"{name}-identities", mesh=mesh, pki=pki, platform=platform)
        identities.add_stack_dependency(pki)
        for stack in (pki, identities):
            Tags.of(stack).add(naming.TAG, name)
    app.synth()
    return folder / "assembly"


def _written(folder: Path, name: str, url: str) -> Path:
    values = yaml.safe_load((ROOT / f"examples/federation/{name}.yaml").read_text())
    (declared,) = values["trust_domains"].values()
    declared["bundle_endpoint"]["url"] = url
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


def _domain(mesh: str) -> str:
    return f"{mesh}.example"


def _secret(aws: LocalAws, name: str) -> str:
    return str(aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


def _believed(aws: LocalAws, mesh: str) -> ForeignBundle:
    """What a mesh's proxies read about its partner."""
    name = naming.foreign_bundle_secret(mesh, _domain(PARTNERS[mesh]))
    return ForeignBundle.loads(_secret(aws, name), name)


def _root(aws: LocalAws, mesh: str) -> str:
    """What a mesh's proxies read about itself."""
    name = naming.trust_bundle_secret(mesh, mesh)
    return read_trust_bundle(_secret(aws, name), name).certificates


def _run(aws: LocalAws, mesh: str, function: str) -> dict[str, Any]:
    answer = aws.client("lambda").invoke(FunctionName=naming.function(mesh, function), Payload=b"{}")
    told: dict[str, Any] = json.loads(answer["Payload"].read())
    return told


def _looks_of(aws: LocalAws, mesh: str) -> int:
    """How many partners a mesh has looked for."""
    return int(aws.client("dynamodb").scan(TableName=naming.bundle_fetches_table(mesh), Select="COUNT")["Count"])


def _asked(aws: LocalAws, mesh: str) -> str:
    """What comes of a look at a time at which the partner's endpoint is due."""
    partner = _domain(PARTNERS[mesh])
    # Make the last look a day older: nobody waits for a refresh hint.
    aws.client("dynamodb").update_item(
        TableName=naming.bundle_fetches_table(mesh),
        Key={"trust_domain": {"S": partner}},
        UpdateExpression="SET looked_at = looked_at - :day",
        ExpressionAttributeValues={":day": {"N": "86400"}},
    )
    told = _run(aws, mesh, "federate")
    return str(told.get(partner, told))
