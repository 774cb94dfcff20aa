"""``make deploy-cell``: in whose account, in which order, and what it says afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from botocore.exceptions import ClientError
from cryptography import x509

from evidence.fixtures.pki import Hierarchy
from meshcert.mesh import load_mesh
from meshcert.mesh.cells.slices import missing_authorities
from tests.local.aws.hierarchies import root
from tests.local.aws.shared_authorities import share
from tests.meshcert.mesh.cells.yelb import (
    AUTHORITIES,
    BACKEND,
    DEPLOYED,
    FRONTEND,
    IN_ONE_NAMESPACE,
    SHARED,
    mesh,
    reading,
    text,
)
from tests.tools.moves.test_refused_moves import NAMESPACE, VPC, made
from tools import deploy_cell, verify_aws

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_aws import LocalAws

PERMISSION = "arn:aws:ram::aws:permission/AWSRAMPermissionCloudMapECSFullPermission"
CA = Hierarchy(tiers=2)


class Account:
    """What AWS says in one account."""

    def __init__(self, account: str = SHARED) -> None:
        self._account = account

    def __call__(self, _service: str) -> Account:
        """A client of any of its services."""
        return self

    def get_caller_identity(self) -> dict[str, str]:
        """Whose credentials these are."""
        return {"Account": self._account}

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """The outputs of the CAs' stack."""
        assert StackName == "yelb-shared-pki"
        cas = [(f"{name}SharedCa", arn) for name, arn in AUTHORITIES.items()]
        cas += [(f"{name}RootCa", arn[:-1] + "9") for name, arn in AUTHORITIES.items()]
        outputs = [{"OutputKey": key, "OutputValue": arn} for key, arn in cas]
        return {"Stacks": [{"Outputs": outputs}]}

    def get_certificate_authority_certificate(self, **_asked: str) -> dict[str, str]:
        """An issuing CA's certificate, and the chain above it."""
        return {"Certificate": CA.issuing_pem, "CertificateChain": CA.root_pem}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The mesh file before any deploy."""
    file = tmp_path / "mesh.yaml"
    file.write_bytes(text())
    return file


def test_what_it_prints_is_what_the_mesh_file_needs(file: Path, tmp_path: Path) -> None:
    """As it stands, with the roots in files; then there is nothing to write any more."""
    said = "\n".join(deploy_cell.next_steps(mesh(), "shared", file, Account(), tmp_path))

    block = yaml.safe_load(said[said.index("hierarchies:") : said.index("In an account")])["hierarchies"]
    written = tuple((f"hierarchies.{name}.authority", each["authority"]) for name, each in block.items())
    again = "\n".join(deploy_cell.next_steps(mesh(*written), "shared", file, Account(), tmp_path))

    assert reading(*written).faults == ()
    assert {name: each["authority"]["arn"] for name, each in block.items()} == AUTHORITIES
    roots = [(tmp_path / each["authority"]["root"]).read_bytes() for each in block.values()]
    assert {x509.load_pem_x509_certificate(root) for root in roots} == {
        x509.load_pem_x509_certificate(CA.root_pem.encode())
    }
    assert "hierarchies:" not in again
    for told in (said, again):
        assert f"make deploy-cell CELL=backend MESH={file}" in told
        assert f"{FRONTEND}, {BACKEND}" in told


def test_where_its_lists_lie_is_printed_too(file: Path, tmp_path: Path) -> None:
    """Of the CA that signs first, then of its root; the others have no stacks before the file says it."""
    lists = tuple((f"hierarchies.{name}.revocation", "crl") for name in AUTHORITIES)
    tiers = tuple((f"hierarchies.{name}.tiers", 2) for name in AUTHORITIES)
    before = mesh(*lists, *tiers, *DEPLOYED)

    said = "\n".join(deploy_cell.next_steps(before, "shared", file, Account(), tmp_path))

    block = yaml.safe_load(said[said.index("hierarchies:") : said.index("In an account")])["hierarchies"]
    written = tuple((f"hierarchies.{name}.authority", each["authority"]) for name, each in block.items())
    after = mesh(*lists, *tiers, *written)
    assert missing_authorities(before, "frontend") == dict.fromkeys(AUTHORITIES, "authority.lists")
    assert missing_authorities(after, "frontend") == {}
    assert [each.rpartition("-")[2] for each in after.hierarchies["edge"].authority.lists] == [  # type: ignore[union-attr]
        "000000000001.crl",
        "000000000009.crl",
    ]


@pytest.mark.parametrize(
    ("cell", "account", "why"),
    [
        ("shared", BACKEND, f"cell shared is account {SHARED}, and these credentials are account {BACKEND}'s"),
        ("backend", BACKEND, "hierarchies.inner.authority. Deploy first: make deploy-cell CELL=shared"),
        ("nowhere", SHARED, "has no cell 'nowhere'; it has shared, frontend, backend"),
    ],
)
def test_nothing_is_deployed_where_it_does_not_belong(
    file: Path, capsys: pytest.CaptureFixture[str], cell: str, account: str, why: str
) -> None:
    """With what to do instead."""
    code = deploy_cell.main([cell, "--mesh", str(file), "--cdk", "no-such-program"], Account(account))

    assert code == deploy_cell.NOT_DEPLOYED
    assert why in capsys.readouterr().err


def test_one_cell_is_deployed_and_the_next_step_told(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the CDK CLI, with its stacks alone, in its region."""
    cli = tmp_path / "cdk"
    cli.write_text('#!/bin/sh\necho "$AWS_REGION $*"\n')
    cli.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    code = deploy_cell.main(["shared", "--mesh", str(file), "--cdk", str(cli), "--verbose"], Account())

    first, *told = capfd.readouterr().out.splitlines()
    assert (code, first) == (0, f"eu-west-1 deploy yelb-shared/* -c mesh={file} --verbose")
    assert told[0].startswith("Other cells use the CAs of cell shared.")
    assert load_mesh(file).cells["shared"].account == SHARED


def test_another_file_than_the_one_that_is_asked_about_is_not_deployed(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The CDK would take the later one."""
    code = deploy_cell.main(["shared", "--mesh", str(file), "--cdk", "no-such-program", "-c", "mesh=b.yaml"], Account())

    assert (code, "MESH=FILE" in capsys.readouterr().err) == (deploy_cell.NOT_DEPLOYED, True)


def test_a_deploy_whose_next_step_cannot_be_asked_has_been_one(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell is there: the exit code is the deploy's."""

    class Throttled(Account):
        def get_certificate_authority_certificate(self, **_asked: str) -> dict[str, str]:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "GetCertificateAuthorityCertificate")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    code = deploy_cell.main(["shared", "--mesh", str(file), "--cdk", "true"], Throttled())

    said = capsys.readouterr().err
    assert code == 0
    assert "The cell is deployed." in said
    assert "GetCertificateAuthorityCertificate" in said
    assert "make deploy-cell CELL=shared" in said


def test_a_shared_namespace_is_asked_about_before_a_first_deploy(
    fresh_aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not shared, a name that another account has in it, and as it should be."""
    for name, value in fresh_aws.environment(BACKEND).items():
        monkeypatch.setenv(name, value)
    owner = fresh_aws.client("servicediscovery")
    owner.create_private_dns_namespace(Name="yelb.internal", Vpc="vpc-1")
    arn = owner.list_namespaces()["Namespaces"][0]["Arn"]
    file = tmp_path / "mesh.yaml"
    file.write_bytes(text(*DEPLOYED, *IN_ONE_NAMESPACE, ("mesh.namespace_id", arn)))
    for name in AUTHORITIES:
        (tmp_path / f"{name}.pem").write_text(CA.root_pem)
    monkeypatch.setattr("tools.aws_checks.existing_authorities.ROOT", tmp_path)

    def told() -> tuple[str, str]:
        capfd.readouterr()
        verify_aws.main(["--before", "--json", "--mesh", str(file), "--cell", "backend"])
        findings = json.loads(capfd.readouterr().out)["findings"]
        (found,) = (each for each in findings if each["check"] == "network-namespace")
        return found["verdict"], f"{found['seen']}: {found['remedy']}"

    code = deploy_cell.main(["backend", "--mesh", str(file), "--cdk", "no-such-program"])
    said = " ".join("".join(capfd.readouterr()).split())

    assert code
    assert f"account {SHARED} does not share it with this account" in said
    assert told()[0] == "contradicted"
    share(fresh_aws, [arn], PERMISSION, accounts=[BACKEND])
    assert told()[0] == "confirmed"
    made = owner.create_service(Name="redis", NamespaceId=arn, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 5}]})
    verdict, why = told()
    assert (verdict, "services redis in it: Rename them" in why) == ("contradicted", True)
    owner.delete_service(Id=made["Service"]["Id"])
    assert told()[0] == "confirmed"


class AtHome:
    """A cell in a VPC of yours, whose identities a CA of another account signs, and a CDK CLI that says it has run."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.folder, self.ec2 = folder, aws.client("ec2", account=BACKEND)
        pca = aws.client("acm-pca")
        self.authorities = {name: root(pca, name) for name in AUTHORITIES}
        for name, arn in self.authorities.items():
            answer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)
            (folder / f"{name}.pem").write_text(answer["Certificate"])
        self.vpc = self.ec2.create_vpc(CidrBlock="172.16.0.0/16")["Vpc"]["VpcId"]
        self.ec2.modify_vpc_attribute(VpcId=self.vpc, EnableDnsHostnames={"Value": True})
        self.subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="172.16.1.0/24")["Subnet"]
        self.region = aws.region

    def deployed(self, *changes: tuple[str, object], **network: Any) -> bool:
        """Whether the CDK CLI was called for a cell of the file with that network."""
        subnets = {self.subnet["AvailabilityZone"]: self.subnet["SubnetId"]}
        existing = {"vpc": self.vpc, "cidrs": ["172.16.0.0/16"], "subnets": subnets, **network}
        (self.folder / "mesh.yaml").write_bytes(
            text(
                *((f"cells.{cell}.region", self.region) for cell in ("shared", "frontend", "backend")),
                *(
                    (f"hierarchies.{name}.authority", {"arn": arn, "root": f"{name}.pem"})
                    for name, arn in self.authorities.items()
                ),
                ("cells.backend.network", {"existing": existing}),
                *changes,
            )
        )
        mark = self.folder / "deployed"
        mark.unlink(missing_ok=True)
        cdk = f"sh -c 'touch {mark}'"
        deploy_cell.main(["backend", "--mesh", str(self.folder / "mesh.yaml"), "--cdk", cdk])
        return mark.exists()


def test_a_cell_is_asked_about_as_any_mesh_before_it_is_deployed(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In its account: the CA that is not shared, the VPC that is not there, the way out; later, what cannot move."""
    for name, value in aws.environment(BACKEND).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tools.aws_checks.existing_authorities.ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    home = AtHome(aws, tmp_path)

    assert not home.deployed()
    told = capfd.readouterr().err
    assert f"account {SHARED} does not share the CA with account {BACKEND}" in told
    assert "No task could start" in told
    share(aws, home.authorities.values(), accounts=[BACKEND])
    assert not home.deployed(vpc="vpc-0123456789abcdef0")
    told = capfd.readouterr().err
    assert "does not share the CA" not in told
    assert "Name a VPC of this account and region" in told
    gateway = home.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    home.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=home.vpc)
    (table,) = home.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [home.vpc]}])["RouteTables"]
    home.ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    key = f"arn:aws:kms:{aws.region}:{BACKEND}:key/01234567-89ab-cdef-0123-456789abcdef"
    yours = (
        ("cells.backend.cluster", {"existing": "shop"}),
        ("cells.backend.secrets_key", key),
        ("cells.backend.namespace_id", "ns-0123456789abcdef"),
    )
    assert not home.deployed(*yours, public_addresses=True)
    told = capfd.readouterr().err
    for remedy in ("Name a cluster of this account and region", "mesh.secrets_key", "ns-0123456789abcdef"):
        assert remedy in told
    assert home.deployed(public_addresses=True), capfd.readouterr()
    cloudformation = aws.client("cloudformation", account=BACKEND)
    vpc = {"Type": VPC, "Properties": {"CidrBlock": "10.0.0.0/16"}}
    zone = {"Type": NAMESPACE, "Properties": {"Name": "a.local", "Vpc": {"Ref": "Vpc"}}}
    made(cloudformation, "yelb-backend-services", {"Vpc": vpc, "Zone": zone})
    made(cloudformation, "yelb-backend-pki", {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}})
    assert not home.deployed(public_addresses=True)
    assert "network.existing: services run in a VPC that a deploy has made" in capfd.readouterr().err


def test_without_credentials_it_says_so(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a sentence, and nothing is deployed."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    assert deploy_cell.main(["shared", "--mesh", str(file), "--cdk", "no-such-program"]) == deploy_cell.NOT_DEPLOYED

    assert "credentials" in capsys.readouterr().err
