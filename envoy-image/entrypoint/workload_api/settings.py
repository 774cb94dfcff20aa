"""The settings of the Workload API in a container's environment. Without the first, it is not offered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meshcert.contract.environment import WORKLOAD_API_SOCKET, WORKLOAD_API_USERS
from meshcert.contract.spiffe_id import SpiffeId
from meshcert.errors import Fault
from meshcert.san import Uri
from meshcert.tls_sources import LONGEST_SOCKET_PATH, is_path
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.proxy import ProxySettings

_HIGHEST_USER = 2**32 - 2
_MOST_USERS = 32
_REDEPLOY = "The services stack writes it: deploy that again"


class WorkloadApiSettings(NamedTuple):
    """
    What the Workload API offers, and to whom.

    Args:
        socket_path: Path of its socket, which the application's container sees at the same path.
        users: The only users (uid) that may ask.
        trust_domain: The domain of all SPIFFE IDs.
        spiffe_ids: Of each identity that has one, by its name in the mesh; the first one is the default.
        bundles: Names of the trust bundles whose roots are the trust domain's.
    """

    socket_path: str
    users: frozenset[int]
    trust_domain: str
    spiffe_ids: Mapping[str, str]
    bundles: tuple[str, ...]


def workload_api_settings(
    environ: Mapping[str, str], proxy: ProxySettings | None, faults: list[Fault]
) -> WorkloadApiSettings | None:
    """
    Read them, and add what is wrong with them to the faults; None if they cannot be used.

    Args:
        environ: Names the socket.
        proxy: None if it cannot be read, which is a fault of its own.
    """
    found = [*_socket_faults(environ[WORKLOAD_API_SOCKET])]
    users = _users(environ.get(WORKLOAD_API_USERS, ""))
    if not 0 < len(users) <= _MOST_USERS:
        problem = f"it is no list of 1 to {_MOST_USERS} user ids with commas between them"
        found.append(Fault(WORKLOAD_API_USERS, problem, "Name the users of the application's container"))
    faults += found
    if proxy is None:
        return None
    ids = {
        name: next((str(each) for each in reference.names if isinstance(each, Uri)), "")
        for name, reference in proxy.identities.items()
    }
    ids = {name: spiffe_id for name, spiffe_id in ids.items() if spiffe_id}
    domains = {SpiffeId.parse(spiffe_id).trust_domain for spiffe_id in ids.values()}
    faults += (Fault(WORKLOAD_API_SOCKET, problem, _REDEPLOY) for problem in _offer_problems(proxy, domains))
    if faults:
        return None
    path = environ[WORKLOAD_API_SOCKET]
    return WorkloadApiSettings(path, users, domains.pop(), ids, proxy.trust_domain_bundles)


def _users(text: str) -> frozenset[int]:
    """The users; empty if one of them is none."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and int(word[:12]) <= _HIGHEST_USER for word in words):
        return frozenset()
    return frozenset(map(int, words))


def _socket_faults(path: str) -> Iterator[Fault]:
    if not is_path(path):
        yield Fault(WORKLOAD_API_SOCKET, f"{path!r:.300} is no absolute path of plain characters", _REDEPLOY)
    elif len(path) > LONGEST_SOCKET_PATH:
        problem = f"it is too long for a socket ({LONGEST_SOCKET_PATH} bytes)"
        yield Fault(WORKLOAD_API_SOCKET, problem, "Mount the volume at a shorter path")
    elif not os.access(path.rpartition("/")[0], os.W_OK | os.X_OK):
        remedy = "Mount a volume there that this user may write, and the application's container as well"
        yield Fault(WORKLOAD_API_SOCKET, f"{path} is in no folder that can be written", remedy)


def _offer_problems(proxy: ProxySettings, domains: set[str]) -> Iterator[str]:
    if not domains:
        yield "no identity of this proxy has a SPIFFE ID, and others cannot be offered"
    elif len(domains) > 1:
        yield f"the SPIFFE IDs are of {len(domains)} trust domains, and one is offered"
    elif not proxy.trust_domain_bundles:
        yield "no trust bundle is named whose roots are the trust domain's"
