"""The proof of a mesh over several accounts: deployed cell by cell, with the shares refused first and ended last."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import yaml
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from local.cdk import CDK, ROOT, CdkCli, CdkFailed
from local.demo.proof import Proof, ProofResult
from local.running_cells import RunningCells
from local.running_mesh import wait_until
from meshcert.issuing.acm import issuance
from meshcert.mesh import load_mesh, proxy_settings
from meshcert.mesh.cells.placing import crossing_calls
from meshcert.mesh.cells.slices import in_cell, sharing
from meshcert.mesh.network import CellDiscovery

if TYPE_CHECKING:
    from pathlib import Path

    from local.running_mesh import RunningMesh

NOT_SHARED = "does not share the CA with account"
SHARE_AGAIN = "share it by AWS RAM"
REFUSED_WITHIN_S = 60.0
PRINTED = ROOT / "build" / "demo-cells"
"""Where deploys write the roots of the CAs that they share: a mesh file names files of its repository alone."""


@dataclass
class CellsProof(Proof):
    """The proof of one mesh file with cells: each is deployed to its account, by that account's administrator."""

    TITLE = "meshcert demo: a mesh over several accounts, on this machine, without AWS"
    _issuing_refused: bool = field(default=False, init=False)

    def play(self) -> ProofResult:
        """Play all of it; raises when a step does not get through."""
        result = super().play()
        return replace(
            result,
            cells=len(self.mesh.cells),
            refused_without_share=self._issuing_refused and self.renewing_is_refused(),
        )

    def stand_up(self) -> None:
        """Deploy each cell as docs/accounts.md says."""
        makers = [cell for cell in self.mesh.cells if sharing(self.mesh, cell)]
        others = [cell for cell in self.mesh.cells if cell not in makers]
        with self.stage.step(f"Bootstrapping {len(self.mesh.cells)} accounts, with the real CDK"):
            for cell in self.mesh.cells:
                CdkCli(self._environment(cell), self.stage.detail).bootstrap()
            assembly = self.cdk.synth(self.path, self.folder / "before")
        for cell in makers:
            with self.stage.step(f"make deploy-cell CELL={cell}: it shares its CAs, and prints what comes next"):
                self._write_authorities(self.deploy_cell(assembly, cell))
        with self.stage.step("What it printed is in the mesh file; the other cells have stacks now"):
            assembly = self.cdk.synth(self.path, self.folder / "assembly")
        with self.stage.step(f"Before {others[0]} accepts the share, its deploy is refused"):
            try:
                self.deploy_cell(assembly, others[0])
            except CdkFailed as error:
                said = " ".join("\n".join(error.output).split())
                self._issuing_refused = NOT_SHARED in said and SHARE_AGAIN in said
        with self.stage.step("Nor does ACM or Private CA issue there, whoever asks"):
            refused = [self._is_refused(cell, arn) for cell in others for arn in self._shared_with(cell)]
            self._issuing_refused &= bool(refused) and all(refused)
        for cell in others:
            self._accept(cell)
            with self.stage.step(f"{cell} accepts the shares, and make deploy-cell CELL={cell}"):
                self.deploy_cell(assembly, cell)
        for caller, callee in self._crossed_by_dns():
            with self.stage.step(f"{callee}'s zone is associated with {caller}'s VPC"):
                self._associate(caller, callee)
        with self.stage.step("Waiting for healthy tasks, each of which knows its backends"):
            self.running.wait_until_steady(list(self.mesh.services), within_s=self.patience_s)
            # Until its resolver forgets that there was no such name, a caller's Envoy answers 503.
            wait_until(self._callers_know, "every caller's Envoy knows its backends", within_s=self.patience_s)

    def _callers_know(self) -> bool:
        """Whether each caller's Envoy has an address of each of its backends."""
        for service, declared in self.mesh.services.items():
            for backend in proxy_settings(in_cell(self.mesh, declared.cell), service).backends:
                name = f"cluster.{backend.name}.membership_total"
                if not self.running.counters(service, re.escape(name)).get(name):
                    return False
        return True

    def deploy_cell(self, assembly: Path, cell: str) -> str:
        """Run what ``make deploy-cell`` runs; returns what it prints. Raises CdkFailed."""
        command = [sys.executable, "-m", "tools.deploy_cell", cell, "--mesh", str(self.path)]
        command += ["--cdk", f"{CDK} --no-notices --no-color --app {assembly}"]
        command += ["--require-approval", "never", "--progress", "events"]
        environment = {**os.environ, **self._environment(cell), "PYTHONPATH": str(ROOT)}
        PRINTED.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            command,
            cwd=PRINTED,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CdkFailed(command, done.stdout.splitlines())
        return done.stdout

    def _write_authorities(self, printed: str) -> None:
        block = printed[printed.index("\nhierarchies:") : printed.index("\nIn an account outside")]
        values: dict[str, Any] = yaml.safe_load(self.path.read_text())
        for name, said in yaml.safe_load(block)["hierarchies"].items():
            said["authority"]["root"] = str((PRINTED / said["authority"]["root"]).relative_to(ROOT))
            values["hierarchies"][name] |= said
        self.path.write_text(yaml.safe_dump(values, sort_keys=False))
        self.mesh = load_mesh(self.path)

    def _shared_with(self, cell: str) -> list[str]:
        """ARNs of the CAs of other cells that a cell issues from."""
        part = in_cell(self.mesh, cell)
        signing = {part.hierarchies[identity.hierarchy].existing for identity in part.identities.values()}
        return [existing.arn for existing in signing if existing]

    def _is_refused(self, cell: str, arn: str) -> bool:
        """Whether a cell's administrator, with a deploy's rights, is refused a certificate by ACM and by Private CA."""
        acm, pca = self._client(cell, "acm"), self._client(cell, "acm-pca")
        asked = acm.request_certificate(DomainName="unshared.example", CertificateAuthorityArn=arn)["CertificateArn"]

        def outcome() -> dict[str, Any]:
            seen: dict[str, Any] = acm.describe_certificate(CertificateArn=asked)["Certificate"]
            return {} if seen["Status"] == "PENDING_VALIDATION" else seen

        answer = wait_until(outcome, "ACM's answer", within_s=REFUSED_WITHIN_S)
        acm.delete_certificate(CertificateArn=asked)
        try:
            validity = {"Type": "DAYS", "Value": 1}
            pca.issue_certificate(
                CertificateAuthorityArn=arn, Csr=_request(), SigningAlgorithm="SHA256WITHECDSA", Validity=validity
            )
        except ClientError as error:
            told = error.response["Error"]["Code"]
        else:
            told = "issued"
        by_acm = answer.get("FailureReason", answer["Status"])
        self.stage.detail(f"{cell}, {arn}: ACM says {by_acm}, Private CA {told}")
        return (by_acm, told) == ("PCA_ACCESS_DENIED", "AccessDeniedException")

    def _accept(self, cell: str) -> None:
        ram = self._client(cell, "ram")
        for invitation in ram.get_resource_share_invitations()["resourceShareInvitations"]:
            ram.accept_resource_share_invitation(resourceShareInvitationArn=invitation["resourceShareInvitationArn"])

    def _crossed_by_dns(self) -> list[tuple[str, str]]:
        """The cells that call another whose tasks DNS alone tells them, each with the called one."""
        services, cells = self.mesh.services, self.mesh.cells
        pairs = ((services[caller].cell, services[callee].cell) for caller, callee, _ in crossing_calls(self.mesh))
        return [pair for pair in dict.fromkeys(pairs) if cells[pair[1]].discovery is CellDiscovery.DNS]

    def _associate(self, caller: str, callee: str) -> None:
        namespace = in_cell(self.mesh, callee).namespace
        zones = self._client(callee, "route53").list_hosted_zones()["HostedZones"]
        zone = next(each["Id"] for each in zones if each["Name"].rstrip(".") == namespace)
        tag = {"Name": "tag:meshcert:mesh", "Values": [self.mesh.name]}
        (vpc,) = self._client(caller, "ec2").describe_vpcs(Filters=[tag])["Vpcs"]
        call = {"HostedZoneId": zone, "VPC": {"VPCId": vpc["VpcId"], "VPCRegion": self.mesh.cells[caller].region}}
        self._client(callee, "route53").create_vpc_association_authorization(**call)
        self._client(caller, "route53").associate_vpc_with_hosted_zone(**call)

    def renewing_is_refused(self) -> bool:
        """End the shares; whether each cell's next renewal is refused, and says who has to share again."""
        assert isinstance(self.running, RunningCells)
        refused = []
        with self.stage.step("The shares end: what is served goes on, and no cell's certificate is renewed"):
            for maker in self.mesh.cells:
                ram = self._client(maker, "ram")
                for share in ram.get_resource_shares(resourceOwner="SELF")["resourceShares"]:
                    ram.delete_resource_share(resourceShareArn=share["resourceShareArn"])
            for cell, running in self.running.cells.items():
                identity = next(iter(in_cell(self.mesh, cell).identities))
                arn = running.certificate(identity)["CertificateArn"]
                running.client("acm").renew_certificate(CertificateArn=arn)
                told = wait_until(
                    partial(_trouble, running, arn), f"{identity}'s renewal is refused", within_s=REFUSED_WITHIN_S
                )
                self.stage.detail(told)
                refused.append(SHARE_AGAIN in told)
        return all(refused)

    def _environment(self, cell: str) -> dict[str, str]:
        return self.aws.environment(self.mesh.cells[cell].account)

    def _client(self, cell: str, service: str) -> Any:
        return self.aws.client(service, account=self.mesh.cells[cell].account)


def _request() -> bytes:
    """A certificate signing request, PEM."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "unshared.example")])
    request = x509.CertificateSigningRequestBuilder(name).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return request.public_bytes(Encoding.PEM)


def _trouble(running: RunningMesh, arn: str) -> str:
    described = running.client("acm").describe_certificate(CertificateArn=arn)
    return issuance(arn, described["Certificate"]).trouble
