"""
Keys that people try because App Mesh or AWS has them: not supported here, and what to do instead.

Those of a task and a service stand in :mod:`meshcert.mesh.reading.ecs_keys`.

A key is found however it is written: ``taskRoleArn``, ``TaskRoleArn`` and ``task_role_arn`` are one. A remedy that
names a key of the mesh file writes its whole path between backticks; a test holds it against the model.
"""

from __future__ import annotations

from meshcert.mesh.reading.ecs_keys import APPLICATION, ATTACHED, HEALTH, SERVICE, TIMEOUT, YOUR_CLUSTER, YOUR_NETWORK

_FLAT = "App Mesh's resources are one file here: {} Compare with mesh.yaml"
_IMPORT = "This is no mesh file. meshcert import FILE --output mesh.yaml makes one of App Mesh's definitions"
_SHORT_ROUTE = "A short route takes a path prefix; for more write App Mesh's: `virtual_gateways.NAME.gateway_routes`"
_ROUTER = "Write it under `virtual_routers`, by its name, its routes below it"
_SERVICE_NAME = "Write it under `virtual_services`, by its name"
_SCHEME = "internal or internet-facing: `services.NAME.load_balancer.scheme`"
_RETENTION = "A month, in what a deploy makes; a log group of yours has its own: `logs.existing`"
_OWN_CA = "A CA of yours: `hierarchies.NAME.existing` with its arn and its root"

_EVERYWHERE = {
    "tags": "Everything carries the tag meshcert:mesh; a service has tags of yours: `services.NAME.tags`",
    "metadata": _FLAT.format("write what is in it where it belongs."),
    "meshowner": "A mesh belongs to one account and region",
}
_FILE = {
    "meshname": _FLAT.format("write `mesh.name`, and the Cloud Map namespace beside it."),
    "meshowner": "A mesh belongs to one account and region",
    "spec": _FLAT.format("write what is in it under the name of the gateway or node, without spec."),
    "virtualgateway": "Write it under `virtual_gateways`, by its name",
    "virtualgatewayname": _FLAT.format("the name is the key under `virtual_gateways`."),
    "virtualnode": "Write it under `virtual_nodes`, by its name",
    "virtualnodename": _FLAT.format("the name is the key under `virtual_nodes`."),
    "virtualrouter": _ROUTER,
    "virtualroutername": _FLAT.format("the name is the key under `virtual_routers`."),
    "virtualservice": _SERVICE_NAME,
    "virtualservicename": _FLAT.format("the name is the key under `virtual_services`."),
    "gatewayroute": "Write it below its gateway: `virtual_gateways.NAME.gateway_routes`",
    "gatewayroutes": "Write it below its gateway: `virtual_gateways.NAME.gateway_routes`",
    "gatewayroutename": "Write it below its gateway: `virtual_gateways.NAME.gateway_routes`",
    "route": "Write it below its router: `virtual_routers.NAME.routes`",
    "routes": "Write it below its router: `virtual_routers.NAME.routes`",
    "resources": _IMPORT,
    "apiversion": _IMPORT,
    "kind": _IMPORT,
    "vpc": YOUR_NETWORK,
    "certificates": "Write them under `identities`",
    "taskdefinitions": "Write them under `services`: each runs one proxy, and its application beside it",
}
_MESH = {
    "spec": _FLAT.format("a mesh has a name and a namespace."),
    "servicediscovery": "Cloud Map, in the namespace of `mesh.namespace`; else `virtual_nodes.NAME.service_discovery`",
    "region": "A mesh is deployed to the region of AWS_REGION",
    "account": "A mesh is deployed to the account of your credentials",
}
_NETWORK = dict.fromkeys(
    ("vpc", "vpcid", "subnet", "subnets", "subnetids", "securitygroup", "securitygroups", "ipaddresses"),
    YOUR_NETWORK,
) | {
    "ippreference": "Addresses are IPv4",
}
_CLUSTER = dict.fromkeys(("arn", "clusterarn", "name", "clustername"), YOUR_CLUSTER)
_HIERARCHY = {
    **dict.fromkeys(("arn", "certificateauthorityarn", "certificateauthorityarns", "rootarn", "issuingarn"), _OWN_CA),
    "usagemode": "Write it as short_lived or general_purpose: `hierarchies.NAME.usage`",
    "parent": "A hierarchy is a root, or a root with one issuing CA: `hierarchies.NAME.tiers`",
    "ocsp": "Revocation is by lists: `hierarchies.NAME.revocation`",
    "crl": "Write revocation: crl. `hierarchies.NAME.revocation`",
    "validityyears": "Write `hierarchies.NAME.root_validity_years`, `hierarchies.NAME.issuing_validity_years`",
}
_IDENTITY = {
    **dict.fromkeys(
        ("spiffe", "uri", "uris", "urinames"),
        "Write a SPIFFE ID, with issuer acm-pca: `identities.NAME.spiffe_id`",
    ),
    "commonname": "With issuer acm, the first of `identities.NAME.dns_names` is the common name too",
    "domainname": "Write `identities.NAME.dns_names`: with issuer acm, the first is the common name too",
    "subject": "Peers are known by `identities.NAME.dns_names`, `identities.NAME.spiffe_id`; nothing else is to be set",
    "ipaddresses": "Peers are known by DNS names and SPIFFE IDs: `identities.NAME.dns_names`",
    **dict.fromkeys(
        ("validitydays", "lifetime", "duration", "ttl"),
        "ACM's certificates live 395 days. Those of issuer acm-pca: `identities.NAME.validity`",
    ),
    "renewbefore": "Nothing is to be set: those of acm-pca are renewed at half to two thirds of their life",
    "usage": "A CA's usage is its hierarchy's: `hierarchies.NAME.usage`",
    **dict.fromkeys(
        ("arn", "certificatearn"), "A certificate of your own cannot be given: meshcert requests one of the hierarchy"
    ),
}
_PROXY = {
    "spec": _FLAT.format("write what is in it one level up."),
    "healthcheck": HEALTH,
    **dict.fromkeys(("timeout", "timeouts"), TIMEOUT),
    "weight": "Tasks of one service share its requests evenly; there are no weights",
}
_GATEWAY = {
    **_PROXY,
    "servicediscovery": "Clients find a gateway by its load balancer: `services.NAME.load_balancer`",
}
_NODE = {
    **_PROXY,
    "routes": "A node leads to its application alone. Routes are a router's: `virtual_routers.NAME.routes`",
    "podselector": "A service names the node that it runs: `services.NAME.virtual_node`",
    "application": "Write `services.NAME.application`, in the service that runs this node",
}
_LISTENER = {
    "port": "Write `virtual_nodes.NAME.listeners.port_mapping.port`",
    "protocol": "Write `virtual_nodes.NAME.listeners.port_mapping.protocol`",
}
_GATEWAY_LISTENER = {
    **_LISTENER,
    "healthcheck": "A gateway has no application: its load balancer asks for a connection; nothing is to be set",
    "outlierdetection": "Callers judge virtual nodes: `virtual_nodes.NAME.listeners.outlier_detection`",
    "connectionpool": "A pool protects an application: `virtual_nodes.NAME.listeners.connection_pool`",
}
_DISCOVERY = {
    "awscloudmap": "Leave it out: callers find a node by Cloud Map, under its service's name in `mesh.namespace`",
    "hostname": "Write `virtual_nodes.NAME.service_discovery.dns`",
    "port": "Callers use the port of `virtual_nodes.NAME.listeners.port_mapping.port`",
}
_DNS = {
    "ippreference": "Addresses are IPv4",
    "port": _DISCOVERY["port"],
}
_CERTIFICATE = {
    **dict.fromkeys(
        ("acm", "arn", "certificatearn"),
        "Name an identity of this file, certificate: {identity: NAME}; meshcert delivers it",
    ),
    **dict.fromkeys(
        ("certificatechain", "privatekey"), "Write them below file: `virtual_nodes.NAME.listeners.tls.certificate.file`"
    ),
    "secretname": "Write it below sds: `virtual_nodes.NAME.listeners.tls.certificate.sds`",
}
_TRUST = {
    **dict.fromkeys(
        ("acm", "certificateauthorityarns"),
        "Name a hierarchy of this file, trust: {hierarchy: NAME}. Roots of other CAs: export them "
        "(aws acm-pca get-certificate-authority-certificate) to a volume and write "
        "`virtual_nodes.NAME.backends.client_policy.tls.validation.trust.file`",
    ),
    "certificatechain": "Write it below file: `virtual_nodes.NAME.listeners.tls.validation.trust.file`",
    "secretname": "Write it below sds: `virtual_nodes.NAME.listeners.tls.validation.trust.sds`",
}
_CLIENT_TLS = {
    "mode": "A client insists on TLS, or does not: `virtual_gateways.NAME.backends.client_policy.tls.enforce`",
}
_BACKEND = {
    "virtualservicename": "Write `virtual_gateways.NAME.backends.virtual_service`",
    "virtualnodename": "Write `virtual_gateways.NAME.backends.virtual_node`",
}
_ROUTE = {
    **dict.fromkeys(
        (
            *("action", "headers", "hostname", "httproute", "http2route", "grpcroute", "method", "path", "priority"),
            *("queryparameters", "rewrite", "target", "virtualservice", "weight", "weightedtargets"),
        ),
        _SHORT_ROUTE,
    ),
    "retrypolicy": "A retry policy is a router's: `virtual_routers.NAME.routes`",
}
UNSUPPORTED = {
    "Mesh": _FILE,
    "About": _MESH,
    "Network": _NETWORK,
    "Cluster": _CLUSTER,
    "Hierarchy": _HIERARCHY,
    "DeclaredIdentity": _IDENTITY,
    "VirtualGateway": _GATEWAY,
    "VirtualNode": _NODE,
    "GatewayListener": _GATEWAY_LISTENER,
    "NodeListener": _LISTENER,
    "ServiceDiscovery": _DISCOVERY,
    "DnsServiceDiscovery": _DNS,
    "DeclaredCertificate": _CERTIFICATE,
    "Trust": _TRUST,
    "ClientTls": _CLIENT_TLS,
    "DeclaredBackend": _BACKEND,
    "DeclaredRoute": _ROUTE,
    "RouteMatch": _ROUTE,
    "Application": APPLICATION,
    "DeclaredService": SERVICE,
    "Attachment": ATTACHED,
    "LoadBalancer": dict.fromkeys(("internetfacing", "internal", "public"), _SCHEME),
    "Logs": dict.fromkeys(("retention", "retentiondays", "retentionindays"), _RETENTION),
}
"""Part of the mesh file → key, in lower case without hyphens and underscores → what to do instead."""


def instead(part: str, key: str) -> str:
    """
    What to do instead of a key that the mesh file does not have.

    Args:
        part: Name of the part's class.
        key: The key as it is written.

    Returns:
        A remedy without a full stop; empty for a key that nobody is known to try there.
    """
    plain = key.replace("_", "").replace("-", "").lower()
    return UNSUPPORTED.get(part, {}).get(plain) or _EVERYWHERE.get(plain, "")
