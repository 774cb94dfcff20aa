"""The facts about an identity that people and scripts are shown, from one look at it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from meshcert.issuing.issuer import Issuance, ValidityPeriod
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.renewing import due_fraction
from meshcert.lifecycle.observation import Missing, Unknown

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from meshcert.lifecycle.deciding.plan import Plan
    from meshcert.lifecycle.deciding.steps import Step
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Acknowledgement, Instance, Observation, Workload
    from meshcert.lifecycle.policy import Policy

# A finding's own remedy is about rights and calls of the renewal function; here they are the operator's.
_YOURS = {
    Kind.AWS_DENIED: "Run it with the operator role (output OperatorRole of the renewal stack); your own lacks this",
    Kind.AWS_UNAVAILABLE: "Run it again in a minute; the renewal function keeps asking by itself",
}


@dataclass(frozen=True)
class Sight:
    """
    One identity, observed and planned.

    Args:
        seen: Its state.
        memory: Its memory, with this look.
        plan: What the renewal function would do next.
        looked_at: When the renewal function took the look that the tables tell of; None if this command has looked.
    """

    seen: Observation
    memory: Memory
    plan: Plan
    policy: Policy
    looked_at: dt.datetime | None = None

    @property
    def name(self) -> str:
        """The identity's name."""
        return self.seen.identity.name

    def document(self) -> dict[str, Any]:
        """
        Everything about the identity, for scripts and for the screen.

        Every key is always there. Unknown values are None, times are aware, lifetimes are fractions.
        """
        compromise = self.memory.compromise
        return {
            "identity": self.name,
            "looked_at": self.looked_at,
            "settled": self.plan.settled,
            "next": _step(self.plan.step),
            "waits": [_step(wait) for wait in self.plan.waits],
            "findings": [
                {
                    "kind": str(finding.kind),
                    "detail": finding.detail,
                    "remedy": finding.remedy if self.looked_at else _YOURS.get(finding.kind, finding.remedy),
                }
                for finding in self.plan.findings
            ],
            "due": self._due(),
            "declared": {
                "names": [str(name) for name in self.seen.identity.names],
                "certificate_arn": self.seen.identity.certificate_arn,
                "secret_id": self.seen.identity.secret_id,
            },
            "issued": self._issued(),
            "published": self._published(),
            "compromised": [
                asdict(each)
                for each in (compromise.certificates if compromise else ())
                if not each.has_ended(self.seen.now)
            ],
            "services": list(self._services()),
            "jobs": list(self.seen.identity.jobs),
        }

    def _due(self) -> dict[str, Any]:
        """When the issuer renews the certificate by itself, and when meshcert asks for it."""
        itself = self.seen.issuer.fractions.renews_itself
        issued = self.seen.issuance if isinstance(self.seen.issuance, Issuance) else None
        validity = issued.validity if issued else None
        asked_at = due_fraction(self.seen, issued, self.policy) if issued else 0.0
        return {
            "acm_renews_at": self.policy.at(validity, itself) if validity and itself is not None else None,
            "meshcert_asks_at": self.policy.at(validity, asked_at) if validity else None,
        }

    def _issued(self) -> dict[str, Any]:
        match self.seen.issuance:
            case Issuance() as issued:
                facts = self._facts(issued.version, issued.serial_number, issued.validity)
                status, reason = issued.status, issued.reason
            case Missing(what):
                facts, status, reason = self._facts(), "MISSING", what
            case Unknown(why):
                facts, status, reason = self._facts(), "UNKNOWN", why
        return {"status": status, "reason": reason} | facts

    def _published(self) -> dict[str, Any]:
        seen = self.seen
        status, reason = "PUBLISHED" if seen.current else "EMPTY", ""
        if isinstance(seen.labels, Missing):
            status, reason = "MISSING", seen.labels.what
        elif isinstance(seen.labels, Unknown):
            status, reason = "UNKNOWN", seen.labels.reason
        labels = {"last_good": seen.last_good or None, "quarantined": seen.quarantined or None}
        return {"status": status, "reason": reason} | self._facts(seen.current, *self._known(seen.current)) | labels

    def _services(self) -> Iterator[dict[str, Any]]:
        unknown = isinstance(self.seen.services, Unknown)
        for use in self.seen.identity.services:
            service = service_of(self.seen, use.name)
            yield {
                "service": use.name,
                "rotation": str(use.rotation),
                "poll_interval_s": use.poll_interval_s,
                "exists": None if unknown else service is not None,
                "desired_count": service.desired_count if service else None,
                "deployment": str(service.rollout.state) if service else None,
                "tasks": [self._served(task) for task in service.instances] if service else [],
            }

    def _served(self, task: Instance) -> dict[str, Any]:
        said = None if isinstance(self.seen.acknowledgements, Unknown) else self.seen.acknowledgements.get(task.id)
        facts = self._facts(said.version, *self._served_validity(said)) if said else self._facts()
        return {"task": task.id.rpartition("/")[2], "running": task.running, "started_at": task.started_at} | {
            **facts,
            "said_at": said.at if said else None,
            "refused": (said.refused or None) if said else None,
            "error": (said.error or None) if said else None,
            **({"routes": asdict(said.routes)} if said and said.routes else {}),
            "requests": [asdict(each) for each in said.requests] if said else [],
            "files": [asdict(each) for each in said.files] if said else [],
        }

    def _served_validity(self, said: Acknowledgement) -> tuple[str, ValidityPeriod | None]:
        serial_number, validity = self._known(said.version)
        issued = self.seen.issuance.validity if isinstance(self.seen.issuance, Issuance) else None
        if validity is None and said.not_after and issued:
            # A task reports only the end; the lifetime is taken from the certificate that we know.
            validity = ValidityPeriod(said.not_after - (issued.not_after - issued.not_before), said.not_after)
        return said.serial_number or serial_number, validity

    def _known(self, version: str) -> tuple[str, ValidityPeriod | None]:
        """Serial number and validity of a version's certificate, if ACM has ever shown it."""
        for serial_number, known in self.memory.certificates.items():
            if version and known.version == version:
                return serial_number, ValidityPeriod(known.not_before, known.not_after)
        return "", None

    def _facts(
        self, version: str = "", serial_number: str = "", validity: ValidityPeriod | None = None
    ) -> dict[str, Any]:
        return {
            "version": version or None,
            "serial_number": serial_number or None,
            "not_after": validity.not_after if validity else None,
            "left_s": round((validity.not_after - self.seen.now).total_seconds()) if validity else None,
            "lifetime_gone": round(self.policy.fraction_gone(validity, self.seen.now), 4) if validity else None,
        }


def service_of(seen: Observation, name: str) -> Workload | None:
    """A service as it was observed; None if it does not exist or could not be looked at."""
    return None if isinstance(seen.services, Unknown) else seen.services.get(name)


def _step(step: Step) -> dict[str, Any]:
    return {
        "action": str(step.action),
        "why": step.why,
        "service": step.service or None,
        "version": step.version or None,
    }
