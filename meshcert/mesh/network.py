"""The network the services run in, one of the mesh's own or one of yours; and cells, which have one each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, Strict

from meshcert.mesh.applications.fetched_secrets import KMS_KEY
from meshcert.mesh.part import Part
from meshcert.mesh.services import Cluster, Logs

ADDRESSES = "10.0.0.0/16"
"""The address range of a network of the mesh's own, unless the file says another."""

NAMESPACE_ID = r"ns-[a-z0-9]{4,61}"
NAMESPACE_ARN = rf"arn:aws[a-z-]*:servicediscovery:[a-z0-9-]+:\d{{12}}:namespace/{NAMESPACE_ID}"
"""What AWS Cloud Map gives a namespace: an id, and an ARN with its owner's account."""

SubnetId = Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$", examples=["subnet-0123456789abcdef0"])]


class Egress(StrEnum):
    """How tasks reach AWS's APIs."""

    NAT = "nat"
    ENDPOINTS = "endpoints"


class NatGateways(StrEnum):
    """How many NAT gateways a network of the mesh's own has."""

    ONE = "one"
    ONE_PER_ZONE = "one_per_zone"


class ExistingNetwork(Part):
    """A VPC of yours: nothing in it is changed, and nobody looks it up; `make verify-aws` says what is amiss there."""

    vpc: Annotated[str, Field(pattern=r"^vpc-[0-9a-f]{8,17}$", examples=["vpc-0123456789abcdef0"])]
    """Its id."""
    cidrs: tuple[str, ...] = Field(min_length=1, examples=[["172.16.0.0/16"]])
    """Its IPv4 address ranges: whom load balancers admit, and where file systems are."""
    subnets: dict[str, SubnetId] = Field(min_length=1, examples=[{"us-west-1a": "subnet-0123456789abcdef0"}])
    """Where tasks run: a subnet for each zone. They need a way to AWS's APIs: NAT, endpoints, or public addresses."""
    load_balancer_subnets: dict[str, SubnetId] = Field(default={})
    """Where load balancers stand: a subnet for each zone. Left out: beside the tasks."""
    public_addresses: Annotated[bool, Strict()] = False
    """`true`: tasks get public IPv4 addresses, without which they reach nothing from public subnets."""


class Network(Part):
    """The VPC the services run in."""

    egress: Egress = Egress.NAT
    """`nat`: a NAT gateway; `endpoints`: interface endpoints for AWS's APIs, and no way to the internet."""
    cidr: str = ADDRESSES
    """Its IPv4 addresses, /16 to /24. For a first deploy: a network does not move."""
    nat_gateways: NatGateways = NatGateways.ONE
    """`one`, or `one_per_zone`: then no zone's failure cuts another off; about $36 a month for each."""
    availability_zones: tuple[str, ...] = Field(
        default=(), examples=[["us-west-1a", "us-west-1c"]], json_schema_extra={"uniqueItems": True}
    )
    """The zones to use, two to six; empty: the region's first two. For a first deploy: subnets do not move."""
    existing: ExistingNetwork | None = None
    """A VPC of yours instead: then nothing else stands here."""

    @property
    def cidrs(self) -> tuple[str, ...]:
        """The address ranges of the VPC, whoever made it."""
        return self.existing.cidrs if self.existing else (self.cidr,)


class CellDiscovery(StrEnum):
    """How callers in other cells find a cell's tasks."""

    DNS = "dns"
    ROLE = "role"


class Cell(Part):
    """One account and region: certificates, secrets, tables, functions and services of its own."""

    account: Annotated[str, Field(pattern=r"^\d{12}$", examples=["111122223333"])]
    """Its account, twelve digits, in quotes."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", examples=["eu-west-1"])]
    """Its region."""
    namespace: str = Field(default="", examples=["frontend.yelb.internal"])
    """Cloud Map namespace of its services; left out: the mesh's. Cells that talk share none but by `namespace_id`."""
    namespace_id: Annotated[
        str,
        Field(
            pattern=f"^({NAMESPACE_ID}|{NAMESPACE_ARN})?$",
            examples=["arn:aws:servicediscovery:eu-west-1:111122223333:namespace/ns-0123456789abcdef"],
        ),
    ] = ""
    """Namespace of yours of that name: its id, or its ARN if its owner shares it by RAM; left out: made."""
    http_name: Annotated[str, Field(max_length=1024)] = ""
    """Cloud Map's HTTP name of it, if that is another: AWS adds a suffix where a namespace of this name was first."""
    network: Network | None = None
    """The VPC of its services, with addresses that no cell has that it calls. Left out: that of the mesh."""
    secrets_key: Annotated[
        str,
        Field(
            pattern=f"^({KMS_KEY.pattern})?$",
            examples=["arn:aws:kms:eu-west-1:222233334444:key/01234567-89ab-cdef-0123-456789abcdef"],
        ),
    ] = ""
    """ARN of a KMS key of yours, of its account and region, that encrypts its secrets; left out: made."""
    cluster: Cluster | None = None
    """The ECS cluster its services run in. Left out: as in the mesh, each cell with one of its own account."""
    logs: Logs | None = None
    """Where its tasks' containers write. Left out: as in the mesh, each cell with groups of its own account."""
    discovery: CellDiscovery = CellDiscovery.DNS
    """How callers in other cells find its tasks: `dns`, or `role`: by Cloud Map's API, with a role of this cell."""
