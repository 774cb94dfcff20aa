"""The VPC's resolver: Cloud Map over real DNS, and the names of load balancers."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

from dnslib import QTYPE, RCODE, RR, SOA, A
from dnslib.server import BaseResolver, DNSLogger, DNSServer
from ministack.core.responses import request_scope
from ministack.services import route53, servicediscovery

from local.aws import control, hooks
from local.aws.fargate.network import zone_associations
from local.aws.fargate.network.resolver_cache import ResolverCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config
    from local.aws.fargate.network.load_balancer import Balancers
    from local.aws.per_account import PerAccount

_LOAD_BALANCER_TTL_S = 60
# Cloud Map answers with at most eight of a service's healthy instances (routing policy MULTIVALUE).
_MOST_ANSWERS = 8


def install(config: Config, discovered: PerAccount[set[str]], balancers: Balancers) -> Resolvers:
    """
    Answer DNS queries over UDP and TCP: on the configured port for the configured account, on others for others.

    Args:
        discovered: Gets the ids of the services that ever had an instance.
    """
    for name in ("_namespaces", "_services", "_instances", "_instance_health_status"):
        hooks.require(servicediscovery, name)
    hooks.wrap(servicediscovery, "_register_instance", lambda inner: _remembered(inner, discovered))
    resolvers = Resolvers(config, discovered, balancers)
    resolvers.address_of(config.account)
    control.route("/_local/resolver", lambda request: resolvers.address_of(request.get("account") or config.account))
    return resolvers


class Resolvers:
    """
    The resolvers of the accounts' VPCs, each begun when it is first asked for: a private zone is not everybody's.

    Args:
        discovered: Ids of the services that ever had an instance.
    """

    def __init__(self, config: Config, discovered: PerAccount[set[str]], balancers: Balancers) -> None:
        self._config = config
        self._discovered = discovered
        self._balancers = balancers
        self._lock = threading.Lock()
        self._ports: dict[str, int] = {}

    def address_of(self, account: str) -> str:
        """Address and port of an account's resolver, ``127.64.0.1:10053``."""
        with self._lock:
            if account not in self._ports:
                port = self._config.dns_port + len(self._ports)
                self._serve(account, port)
                self._ports[account] = port
            return f"{self._config.host}:{self._ports[account]}"

    def _serve(self, account: str, port: int) -> None:
        resolver: BaseResolver = Resolver(account, self._config, self._discovered, self._balancers)
        if self._config.traffic.resolver_keeps_answers:
            resolver = ResolverCache(resolver)
            control.at_reset(resolver.forget)
        for tcp in (False, True):
            quiet = DNSLogger("error", logf=_discard)
            server = DNSServer(resolver, address=self._config.host, port=port, tcp=tcp, logger=quiet)
            # Threads of half-open queries must not hold up the end of the local AWS.
            server.server.daemon_threads = True
            server.start_thread()
            control.at_stop(server.stop)


class Resolver(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """
    Answers for Cloud Map namespaces and load balancers; other names are refused, since nothing here recurses.

    A namespace is answered for in its owner's account, and where a VPC is associated with its zone; the names of load
    balancers are public.

    Args:
        account: Whose VPCs ask.
        discovered: Ids of the services that ever had an instance.
    """

    def __init__(self, account: str, config: Config, discovered: PerAccount[set[str]], balancers: Balancers) -> None:
        self._account = account
        self._traffic = config.traffic
        self._discovered = discovered
        self._balancers = balancers

    def resolve(self, request: Any, handler: object) -> Any:
        """The reply to one query."""
        del handler
        name = str(request.q.qname).rstrip(".").lower()
        reply = request.reply()
        balancer = self._balancers.address_of(name)
        namespace = _find_namespace(name, self._account)
        owner = _place_of(namespace) if namespace else (self._account, "")
        with request_scope(*owner):
            service = _find_service(name, namespace) if namespace else None
            zone = namespace["Name"].rstrip(".").lower() if namespace else name
            denial_s = _denial_ttl(namespace, self._traffic.denial_ttl)
            if balancer is not None:
                self._answer(reply, [balancer], _LOAD_BALANCER_TTL_S)
            elif service is not None:
                self._answer_service(reply, service, denial_s)
            elif namespace is not None:
                _deny(reply, RCODE.NOERROR if name == zone else RCODE.NXDOMAIN, zone, denial_s)
            else:
                reply.header.rcode = RCODE.REFUSED
        return reply

    def _answer_service(self, reply: Any, service: dict[str, Any], denial_s: int) -> None:
        addresses = _healthy_addresses(service["Id"])
        born = self._traffic.denies_from_the_start or service["Id"] in self._discovered.current
        if not addresses and not born:
            # Route 53 denies the name. But clients take an empty answer for the truth and drop the hosts they know
            # (Envoy answers 503 then), and before the first instance it says no more than that things are starting.
            reply.header.rcode = RCODE.SERVFAIL
        elif not addresses:
            _deny(reply, RCODE.NXDOMAIN, str(reply.q.qname), denial_s)
        else:
            random.shuffle(addresses)
            self._answer(reply, addresses[: _most_answers(service)], _ttl(service), denial_s)

    def _answer(self, reply: Any, addresses: list[str], ttl: int, denial_s: int = _LOAD_BALANCER_TTL_S) -> None:
        if reply.q.qtype not in (QTYPE.A, QTYPE.ANY):
            # Other types (AAAA above all) exist for no name here, and a client must still learn that the name does.
            _deny(reply, RCODE.NOERROR, str(reply.q.qname), denial_s)
            return
        for address in addresses:
            reply.add_answer(RR(reply.q.qname, QTYPE.A, rdata=A(address), ttl=ttl))


def _remembered(
    inner: Callable[[dict[str, Any]], Any], discovered: PerAccount[set[str]]
) -> Callable[[dict[str, Any]], Any]:
    """Note which services ever had an instance."""

    def register(request: dict[str, Any]) -> Any:
        discovered.current.add(request.get("ServiceId", ""))
        return inner(request)

    return register


def _place_of(namespace: dict[str, Any]) -> tuple[str, str]:
    """Account and region of a namespace."""
    _, _, _, region, account, _ = namespace["Arn"].split(":", 5)
    return account, region


def _find_namespace(name: str, account: str) -> dict[str, Any] | None:
    """The namespace that a name lies in, an account's own before those that its VPCs are associated with."""
    found = [
        namespace
        for namespace in [each for _, each in servicediscovery._namespaces.all_items()]
        for zone in [namespace["Name"].rstrip(".").lower()]
        if namespace["Type"] != "HTTP" and (name == zone or name.endswith(f".{zone}"))
    ]
    own = [namespace for namespace in found if _place_of(namespace)[0] == account]
    theirs = (namespace for namespace in found if _is_associated(namespace, account))
    return own[0] if own else next(theirs, None)


def _is_associated(namespace: dict[str, Any], account: str) -> bool:
    """Whether a VPC of the account is associated with a namespace's private zone."""
    owner, region = _place_of(namespace)
    zone_id = namespace["Properties"]["DnsProperties"]["HostedZoneId"]
    zone = route53._zones.get_scoped(owner, region, zone_id) or {}
    return any(zone_associations.is_owned(vpc, account) for vpc in zone.get("vpcs") or ())


def _find_service(name: str, namespace: dict[str, Any]) -> dict[str, Any] | None:
    """The Cloud Map service of a name in its namespace, whose account is in force."""
    label = name.removesuffix(namespace["Name"].rstrip(".").lower()).rstrip(".")
    for service in list(servicediscovery._services.values()):
        if service["NamespaceId"] == namespace["Id"] and service["Name"].lower() == label:
            found: dict[str, Any] = service
            return found
    return None


def _healthy_addresses(service_id: str) -> list[str]:
    health = servicediscovery._instance_health_status.get(service_id, {})
    return [
        instance["Attributes"]["AWS_INSTANCE_IPV4"]
        for key, instance in list(servicediscovery._instances.get(service_id, {}).items())
        if "AWS_INSTANCE_IPV4" in instance["Attributes"] and health.get(key, "HEALTHY") == "HEALTHY"
    ]


def _ttl(service: dict[str, Any]) -> int:
    records = (service.get("DnsConfig") or {}).get("DnsRecords") or [{}]
    return int(records[0].get("TTL", 60))


def _most_answers(service: dict[str, Any]) -> int:
    return 1 if (service.get("DnsConfig") or {}).get("RoutingPolicy") == "WEIGHTED" else _MOST_ANSWERS


def _denial_ttl(namespace: dict[str, Any] | None, otherwise: int) -> int:
    """The namespace's own ``Properties.DnsProperties.SOA.TTL``, else the resolver's."""
    properties = (namespace or {}).get("Properties") or {}
    return int(((properties.get("DnsProperties") or {}).get("SOA") or {}).get("TTL", otherwise))


def _deny(reply: Any, code: int, zone: str, ttl: int) -> None:
    reply.header.rcode = code
    authority = SOA("ns.local.", "root.local.", (1, 60, 60, 60, ttl))
    reply.add_auth(RR(zone, QTYPE.SOA, rdata=authority, ttl=ttl))


def _discard(_: str) -> None:
    """Standard output carries the line that says the local AWS is ready, and nothing else."""
