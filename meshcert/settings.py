"""
The environment of each function, as a frozen dataclass; one error lists all faults.

Stacks write these variables with the same classes.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from meshcert.contract.environment import POLICY_PREFIX, PREFIX
from meshcert.errors import Fault, SettingsInvalid
from meshcert.issuing.acm import ACM
from meshcert.lifecycle.policy import Policy
from meshcert.material.foreign_bundle import SHORTEST_HINT_S

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEPLOY_AGAIN = "Set it on the function; a deploy of the stacks does"


@dataclass(frozen=True)
class MeshSettings:
    """
    The settings of every function; those without a default must be set.

    Args:
        mesh: ``MESHCERT_MESH``: name of the mesh.
    """

    mesh: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """
        Read the environment.

        Args:
            environ: ``os.environ``, or the variables that a stack writes.

        Raises:
            SettingsInvalid: With every variable that is missing or wrong.
        """
        read = _Reader(environ)
        values: dict[str, Any] = {}
        for setting in fields(cls):
            variable = _variable(setting.name)
            if setting.default_factory is Policy:
                values[setting.name] = read.policy()
            elif setting.default is MISSING:
                values[setting.name] = read.text(variable)
            elif isinstance(setting.default, str):
                values[setting.name] = environ.get(variable, setting.default)
            else:
                values[setting.name] = read.number(variable, setting.default)
        read.require_valid(cls.__name__.removesuffix("Settings").lower())
        return cls(**values)

    def to_environ(self) -> dict[str, str]:
        """The variables that :meth:`from_environ` reads, without those of settings that have their default."""
        variables: dict[str, str] = {}
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, Policy):
                variables |= value.to_environ()
            elif value != setting.default:
                variables[_variable(setting.name)] = value if isinstance(value, str) else f"{value:g}"
        return variables


@dataclass(frozen=True)
class FunctionSettings(MeshSettings):
    """
    The settings of every function that acts on identities.

    Args:
        identities_table: ``MESHCERT_IDENTITIES_TABLE``: name of the table ``identities``.
    """

    identities_table: str


@dataclass(frozen=True)
class FederateSettings(MeshSettings):
    """
    The federate function's environment.

    Args:
        bundle_fetches_table: ``MESHCERT_BUNDLE_FETCHES_TABLE``: name of the table of bundle fetches.
        bundle_endpoints: ``MESHCERT_BUNDLE_ENDPOINTS``: the endpoints to ask (:mod:`meshcert.federation.endpoints`).
    """

    bundle_fetches_table: str
    bundle_endpoints: str


@dataclass(frozen=True)
class PublisherSettings(MeshSettings):
    """
    The publisher function's environment.

    Args:
        trust_domain: ``MESHCERT_TRUST_DOMAIN``: the mesh's own.
        published_hierarchies: ``MESHCERT_PUBLISHED_HIERARCHIES``: whose roots are in the bundle, with blanks between.
        bundle_bucket: ``MESHCERT_BUNDLE_BUCKET``: name of the bucket.
        refresh_hint_s: ``MESHCERT_REFRESH_HINT_S``: ``spiffe_refresh_hint``, seconds.
    """

    trust_domain: str
    published_hierarchies: str
    bundle_bucket: str
    refresh_hint_s: float = float(SHORTEST_HINT_S)


@dataclass(frozen=True)
class ExportSettings(FunctionSettings):
    """
    The export function's environment.

    Args:
        roots: ``MESHCERT_ROOTS``: the roots of CAs of the user's (:mod:`meshcert.publishing.declared_roots`).
    """

    roots: str = ""


@dataclass(frozen=True)
class VerifySettings(FunctionSettings):
    """
    The verify function's environment.

    Args:
        roots: ``MESHCERT_ROOTS``, as the export function's.
    """

    roots: str = ""


@dataclass(frozen=True)
class DeploySettings(FunctionSettings):
    """
    The deploy function's environment.

    Args:
        lifecycle_table: ``MESHCERT_LIFECYCLE_TABLE``: name of the table ``lifecycle``.
        trust_bundles: ``MESHCERT_TRUST_BUNDLES``: the CAs of each trust bundle
            (:mod:`meshcert.publishing.declared_bundles`).
        foreign_bundles: ``MESHCERT_FOREIGN_BUNDLES``: digest of the foreign bundles that come from files
            (:mod:`meshcert.deploying.foreign_bundles`).
        roots: ``MESHCERT_ROOTS``, as the export function's.
        bundle_bucket: ``MESHCERT_BUNDLE_BUCKET``: name of the bucket with the mesh's own SPIFFE bundle; left out:
            it publishes none.
        trust_domain: ``MESHCERT_TRUST_DOMAIN``: the mesh's own, if it publishes its bundle.
        published_hierarchies: ``MESHCERT_PUBLISHED_HIERARCHIES``: whose roots are in it, with blanks between.
    """

    lifecycle_table: str
    trust_bundles: str
    foreign_bundles: str = ""
    roots: str = ""
    bundle_bucket: str = ""
    trust_domain: str = ""
    published_hierarchies: str = ""


@dataclass(frozen=True)
class RenewalSettings(FunctionSettings):
    """
    The renewal function's environment.

    Args:
        lifecycle_table: ``MESHCERT_LIFECYCLE_TABLE``: name of the table ``lifecycle``.
        acknowledgements_table: ``MESHCERT_ACKNOWLEDGEMENTS_TABLE``: name of the table ``acknowledgements``.
        export_function: ``MESHCERT_EXPORT_FUNCTION``: name of the export function.
        cluster: ``MESHCERT_CLUSTER``: name of the ECS cluster.
        audit_log_group: ``MESHCERT_AUDIT_LOG_GROUP``: name of the log group of actions.
        lease_s: ``MESHCERT_LEASE_S``: length of a lease, seconds; longer than the function may run (120).
        policy: ``MESHCERT_POLICY_…``: thresholds and intervals.
    """

    lifecycle_table: str
    acknowledgements_table: str
    export_function: str
    cluster: str
    audit_log_group: str
    lease_s: float = 135.0
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True)
class DispatchSettings(FunctionSettings):
    """
    The dispatch function's environment.

    Args:
        lifecycle_table: ``MESHCERT_LIFECYCLE_TABLE``: name of the table ``lifecycle``.
        looks_queue_url: ``MESHCERT_LOOKS_QUEUE_URL``: URL of the queue ``looks``.
        looks_per_second: ``MESHCERT_LOOKS_PER_SECOND``: largest number of looks a second.
    """

    lifecycle_table: str
    looks_queue_url: str
    looks_per_second: float = ACM.looks_per_second


class _Reader:
    """Reads variables and collects their faults."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._faults: list[Fault] = []

    def text(self, variable: str) -> str:
        """The value of a variable that must be set; blank counts as missing."""
        value = self._environ.get(variable, "").strip()
        if not value:
            self._faults.append(Fault(variable, "it is not set", _DEPLOY_AGAIN))
        return value

    def number(self, variable: str, default: float) -> float:
        """A number above 0, or the default."""
        text = self._environ.get(variable)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            self._faults.append(Fault(variable, f"it is {text!r}, no number above 0", _or_default(default)))
            return default
        return value

    def policy(self) -> Policy:
        """The policy; each variable is read by itself, so that every fault is found."""
        defaults = {f"{POLICY_PREFIX}{setting.name.upper()}": setting.default for setting in fields(Policy)}
        given = {name: text for name, text in self._environ.items() if name.startswith(POLICY_PREFIX)}
        good = {}
        for variable, text in given.items():
            if variable not in defaults:
                remedy = f"Remove it, or use one of {', '.join(sorted(defaults))}"
                self._faults.append(Fault(variable, "there is no such setting", remedy))
                continue
            try:
                Policy.from_environ({variable: text})
            except ValueError:
                problem = f"it is {text!r}, no number from 0 on"
                self._faults.append(Fault(variable, problem, _or_default(defaults[variable])))
                continue
            good[variable] = text
        return Policy.from_environ(good)

    def require_valid(self, function: str) -> None:
        """Raise SettingsInvalid with every fault, if there are any."""
        if self._faults:
            raise SettingsInvalid(f"the {function} function's environment", tuple(self._faults))


def _variable(setting: str) -> str:
    return f"{PREFIX}{setting.upper()}"


def _or_default(default: object) -> str:
    return f"Correct it, or remove it: the default is {default:g}"
