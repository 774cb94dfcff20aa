"""The two services of somebody's own of the examples: of a CDK app and of a template, and the mesh that they join."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from aws_cdk import App

import app as meshcert_app
from local.cdk import ROOT, app_context
from local.gateway_client import Gateway
from local.running_mesh import RunningMesh
from meshcert import naming
from meshcert.contract.environment import LEASE_S
from meshcert.lifecycle.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path

    from local.gateway_client import Asked
    from local.running_aws import LocalAws

FOLDER = ROOT / "examples" / "own-cdk-app"
TEMPLATE = ROOT / "examples" / "own-template" / "stock.yaml"
SERVICES = {"orders": "own/orders", "stock": "own/stock"}
MARKED = re.compile(r"^ *# meshcert\n.*?^ *# /meshcert\n", re.MULTILINE | re.DOTALL)
"""What joins the template's service to the mesh."""


@dataclass(frozen=True)
class PlainText:
    """An application's own load balancer, or its Envoy, in plain text."""

    address: str
    port: int = 80

    def client(self) -> httpx.Client:
        """A client with no connection yet."""
        return httpx.Client(base_url=f"http://{self.address}:{self.port}", timeout=20, trust_env=False)

    def ask(self, client: httpx.Client, request_id: str = "") -> httpx.Response:
        """One request with this id."""
        return client.get("/", headers={"meshcert-request-id": request_id})

    def said(self, response: httpx.Response) -> str:
        """What it says."""
        return response.text.strip()


@dataclass(frozen=True)
class Route:
    """A path of the mesh's gateway."""

    gateway: Gateway
    path: str

    def client(self) -> httpx.Client:
        """A client that trusts the gateway's hierarchy."""
        return self.gateway.client()

    def ask(self, client: httpx.Client, request_id: str = "") -> httpx.Response:
        """One request with this id."""
        name = self.gateway.server_name
        headers = {"host": name, "meshcert-request-id": request_id}
        return client.get(self.path, headers=headers, extensions={"sni_hostname": name})

    def said(self, response: httpx.Response) -> str:
        """What it says."""
        return self.gateway.said(response)


class OwnServices:
    """
    The examples, deployed as their owners do, and the mesh's stacks.

    Args:
        folder: For assemblies and the mesh file.
    """

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self._folder = aws, folder
        self.file = folder / "mesh.yaml"
        self.running = RunningMesh(aws, "shop", aws.resolve, SERVICES)
        self._assemblies = 0

    def deploy_cdk_app(self, *, joined: bool) -> None:
        """Deploy the CDK app, with or without the sidecar."""
        spec = importlib.util.spec_from_file_location("own_app", FOLDER / "own_app.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        out = self._assembly()
        module.build(App(outdir=str(out), context={"mesh": str(self.file)} if joined else {})).synth()
        self.aws.deploy(out)

    def deploy_template(self, *, joined: bool) -> None:
        """Deploy the template, with or without what is between its marks."""
        text = TEMPLATE.read_text()
        parameters = {name: self.output("own", f"Own{given}") for name, given in _GIVEN.items()} | {"Cluster": "own"}
        call = {
            "StackName": "stock",
            "TemplateBody": text if joined else MARKED.sub("", text),
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            "Capabilities": ["CAPABILITY_IAM"],
        }
        cloudformation = self.aws.client("cloudformation")
        try:
            cloudformation.describe_stacks(StackName="stock")
        except cloudformation.exceptions.ClientError:
            cloudformation.create_stack(**call)
            cloudformation.get_waiter("stack_create_complete").wait(StackName="stock", WaiterConfig=_SOON)
        else:
            cloudformation.update_stack(**call)
            cloudformation.get_waiter("stack_update_complete").wait(StackName="stock", WaiterConfig=_SOON)

    def deploy_mesh(self, *changes: tuple[str, str]) -> None:
        """Deploy the example's mesh file in this network, with texts in it replaced."""
        text = (FOLDER / "mesh.yaml").read_text()
        ids = {"Vpc": "vpc-0123456789abcdef0", "Subnet": "subnet-0123456789abcdef0", "Group": "sg-0123456789abcdef0"}
        for name, example in {**ids, "Zone": "us-west-1a"}.items():
            text = text.replace(example, self.output("own", f"Own{name}"))
        for old, new in (("    rotation: re", "    poll_interval_s: 1\n    rotation: re"), *changes):
            assert old in text
            text = text.replace(old, new)
        self.file.write_text(text)
        out = self._assembly()
        # In this process: the CDK keeps what it has bundled, and a second deploy takes a fraction of the first.
        context = {**json.loads((ROOT / "cdk.json").read_text())["context"], **app_context(self.file)}
        meshcert_app.build(App(outdir=str(out), context=context)).synth()
        self.aws.deploy(out)

    def hurry(self) -> None:
        """Have the renewal function look again after a second, where it waits for a minute on AWS."""
        # A look that the update ends comes again soon, and finds the lease free.
        sqs, lease_s = self.aws.client("sqs"), "10"
        url = sqs.get_queue_url(QueueName=naming.queue("shop", "looks"))["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": lease_s})
        functions, name = self.aws.client("lambda"), naming.function("shop", "renewal")
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        hasty = Policy(look_again_s=1.0, shortest_between_renewals_s=0.0).to_environ()
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables | {LEASE_S: lease_s} | hasty}
        )

    def output(self, stack: str, name: str) -> str:
        """An output of a stack."""
        (found,) = self.aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return str(next(each["OutputValue"] for each in found["Outputs"] if each["OutputKey"] == name))

    def balancer(self, service: str) -> PlainText:
        """A service's own load balancer."""
        stack, output = ("own", "OwnAddress") if service == "orders" else ("stock", "Address")
        return PlainText(self.aws.resolve(self.output(stack, output)))

    def through_the_mesh(self, service: str) -> Asked[Any, Any]:
        """The way through the mesh's gateway."""
        address, trust = self.running.gateway_address("edge"), self.running.trust_bundle("internal")
        gateway = Gateway(address, 8443, "edge.shop.internal", trust)
        return Route(gateway, "/stock" if service == "stock" else "/")

    def _assembly(self) -> Path:
        self._assemblies += 1
        return self._folder / f"assembly-{self._assemblies}"


_GIVEN = {"Image": "Image", "SecurityGroup": "Group", "Subnet": "Subnet", "Vpc": "Vpc"}
_SOON = {"Delay": 1, "MaxAttempts": 120}
