"""The verdict on a lifetime: a good one passes, and everything that must not be is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from evidence.lifetimes.scale import Scale
from evidence.lifetimes.subjects import ALL, CUT_OFF, Subject, Trouble, event_modes, fault_rules, mesh_file
from evidence.lifetimes.verdict import Certificate, Demand, Outage, Sample, Verdict, judge
from meshcert.issuing.acm import ACM
from meshcert.lifecycle.policy import Policy
from meshcert.mesh import load_mesh
from meshcert.proxy import DeliveryMode, RotationMode

if TYPE_CHECKING:
    from pathlib import Path

ACM_RENEWS_AT = ACM.fractions.renews_itself or 0.0
FIRST, SECOND, THIRD = Certificate("aa", 100.0), Certificate("bb", 186.0), Certificate("cc", 272.0)
VERSIONS = {FIRST: "1" * 64, SECOND: "2" * 64, THIRD: "3" * 64}
DEMAND = Demand(lifetime_s=100.0, epochs=2, settled_within_s=5.0, seen_every_s=2.0)


def settled(at: float, certificate: Certificate) -> Sample:
    """Issued, published, proven and served are one."""
    version = VERSIONS[certificate]
    return Sample(at, certificate, version, version, version, (certificate,), idle=True)


def renewing(at: float, *, served: Certificate = FIRST) -> Sample:
    """ACM has renewed, and nobody has noticed yet."""
    return replace(settled(at, FIRST), issued=SECOND, version=VERSIONS[SECOND], served=(served,), idle=False)


def life() -> list[Sample]:
    """A sample a second: renewed at 86, settled again at 90."""
    before = [settled(float(at), FIRST) for at in range(86)]
    return [
        *before,
        *(renewing(float(at)) for at in range(86, 90)),
        *(settled(float(at), SECOND) for at in range(90, 99)),
    ]


def verdict(samples: list[Sample], published: tuple[Certificate, ...] = (FIRST, SECOND), *outages: Outage) -> Verdict:
    """On these samples; the certificates were published."""
    return judge(samples, [VERSIONS[certificate] for certificate in published], outages, DEMAND)


def test_a_good_life_has_no_faults() -> None:
    """Two certificates, two versions, two epochs; how long it was unsettled, and how old what it served."""
    expected = Verdict(
        samples=99,
        serials=2,
        versions=2,
        epochs=2,
        outages=0,
        longest_unsettled_s=4.0,
        oldest_served=0.89,
        faults=(),
    )

    assert verdict(life()) == expected


def test_an_expired_certificate_that_is_served_is_a_fault() -> None:
    """Seen once is enough; how long after its end is said."""
    samples = [*life(), *(settled(float(at), SECOND) for at in range(99, 103))]
    samples[-1] = replace(samples[-1], served=(SECOND, FIRST))

    assert verdict(samples).faults == ("certificate aa was served until 2.0 s after its end",)


def test_a_certificate_that_was_never_published_is_a_fault() -> None:
    """Skipped: ACM had three, two were published."""
    samples = [*life(), *(replace(settled(at, SECOND), issued=THIRD) for at in (99.0, 100.0))]
    samples += [settled(at, SECOND) for at in (101.0, 102.0)]

    assert verdict(samples).faults == (
        "a certificate came back",
        "3 certificates, but 2 published versions",
        "certificate cc was renewed after -86% of its lifetime",
    )


def test_a_version_that_was_never_current_is_a_fault() -> None:
    """Published and passed over."""
    assert verdict(life(), (FIRST, SECOND, THIRD)).faults == (
        "2 certificates, but 3 published versions",
        "3 versions are published, but 2 were ever current",
    )


def test_a_version_that_becomes_current_again_is_a_fault() -> None:
    """There and back is an epoch too many, though it is the same two versions."""
    samples = [*life(), replace(settled(99.0, SECOND), current=VERSIONS[FIRST]), settled(100.0, SECOND)]

    found = verdict(samples)

    assert found.epochs == 4
    assert found.faults == ("a version became current twice",)


def test_a_life_without_a_renewal_is_a_fault() -> None:
    """Nothing happened, so nothing was proven."""
    assert verdict([settled(float(at), FIRST) for at in range(10)], (FIRST,)).faults == ("1 epochs, not 2",)


def test_a_renewal_long_before_its_time_is_a_fault() -> None:
    """Issued twice: the second certificate ends 40 seconds after the first, not 85."""
    early = replace(SECOND, not_after=140.0)
    samples = [
        replace(sample, issued=early, served=(early,)) if sample.issued == SECOND else sample for sample in life()
    ]

    assert verdict(samples).faults == ("certificate aa was renewed after 40% of its lifetime",)


def test_unsettled_for_too_long_while_aws_answers_is_a_fault() -> None:
    """Six seconds are more than five."""
    samples = life()
    samples[90:92] = [renewing(90.0), renewing(91.0)]

    assert verdict(samples).faults == ("unsettled for 6.0 s while AWS answered, not 5.0",)


def test_time_in_which_aws_does_not_answer_does_not_count() -> None:
    """The same six seconds, four of them in an outage; what comes after it counts from its end."""
    samples = life()
    samples[90:92] = [renewing(90.0), renewing(91.0)]

    found = verdict(samples, (FIRST, SECOND), Outage(85.5, 89.5))

    assert found.faults == ()
    assert found.outages == 1
    assert found.longest_unsettled_s == 2.0


def test_unsettled_before_an_outage_counts_until_it_begins() -> None:
    """Two seconds, then nobody could have done anything."""
    found = verdict(life(), (FIRST, SECOND), Outage(87.5, 95.5))

    assert found.longest_unsettled_s == 1.5


def test_never_settled_on_the_last_certificate_is_a_fault() -> None:
    """However short the time: the run ended too early to tell."""
    samples = [sample for sample in life() if sample.at < 90]
    samples[-1] = replace(samples[-1], current=VERSIONS[SECOND])

    assert verdict(samples).faults == ("never settled on its last certificate",)


def test_a_monitor_that_did_not_look_proves_nothing() -> None:
    """Between two samples ACM must not have had time for two certificates."""
    samples = [sample for sample in life() if not 20 < sample.at < 24]

    assert verdict(samples).faults == ("nobody looked for 4.0 s: a certificate may have come and gone",)


def test_envoys_that_nobody_could_ask_are_a_fault() -> None:
    """Otherwise "none was ever expired" would be true of nothing."""
    samples = [replace(sample, served=()) for sample in life()]

    assert verdict(samples).faults == ("no Envoy was ever seen to serve it",)


@pytest.mark.parametrize(
    "change",
    [{"current": "0" * 64}, {"last_good": ""}, {"served": (SECOND,)}, {"served": None}, {"idle": False}],
    ids=["published", "proven", "served", "asked", "idle"],
)
def test_settled_is_when_all_agree(change: dict[str, object]) -> None:
    """Issued, published, proven and served are one, every Envoy could be asked, and nothing is left to do."""
    sample = settled(0.0, FIRST)

    assert sample.settled
    assert not replace(sample, **change).settled  # type: ignore[arg-type]  # each case names its own field


def test_fractions_of_a_lifetime_stay_what_they_are() -> None:
    """ACM renews at 335 of 395 days, warns at 350, and comes by 395 times in a lifetime."""
    times = Scale(790.0).times

    assert (times.managed_renewal_s, times.warning_s, times.acm_day_s) == (120.0, 90.0, 2.0)
    assert times.leaf_lifetime_s - times.managed_renewal_s == pytest.approx(ACM_RENEWS_AT * 790.0)
    assert Scale(790.0).policy.renew_at == Policy().renew_at
    assert Scale(790.0).policy.back_dating_s == times.back_dating_s


def test_the_functions_environment_carries_the_scaled_policy() -> None:
    """The function reads back the policy that was meant."""
    policy = Scale(120.0).policy

    assert Policy.from_environ(policy.to_environ()) == policy


def test_the_mesh_file_is_one_that_meshcert_accepts(tmp_path: Path) -> None:
    """Every trouble is there, both rotations, and a hierarchy of its own for who loses its CA's permission."""
    file = tmp_path / "mesh.yaml"
    file.write_text(yaml.safe_dump(mesh_file("life", ALL), sort_keys=False))

    mesh = load_mesh(file)

    assert {subject.trouble for subject in ALL} == set(Trouble) - {Trouble.NO_AWS}
    assert {service.rotation for service in mesh.services.values()} == {RotationMode.RELOAD, RotationMode.REDEPLOY}
    assert set(mesh.identities) == {subject.name for subject in ALL}
    assert set(mesh.hierarchies) == {"common", "denied"}
    assert [mesh.identities[name].hierarchy for name in ("healthy", "denied")] == ["common", "denied"]


def test_both_deliveries_are_cut_off_from_aws(tmp_path: Path) -> None:
    """Identities whose AWS never answers are a mesh of their own."""
    file = tmp_path / "mesh.yaml"
    file.write_text(yaml.safe_dump(mesh_file("life", CUT_OFF), sort_keys=False))

    services = load_mesh(file).services

    assert {services[subject.name].delivery for subject in CUT_OFF} == set(DeliveryMode)
    assert {subject.trouble for subject in CUT_OFF} == {Trouble.NO_AWS}


def test_identities_without_services_are_a_mesh_too(tmp_path: Path) -> None:
    """A fleet needs no Envoys."""
    file = tmp_path / "mesh.yaml"
    subjects = [Subject(f"n{number:03}", served=False) for number in range(3)]
    file.write_text(yaml.safe_dump(mesh_file("fleet", subjects), sort_keys=False))

    assert list(load_mesh(file).identities) == ["n000", "n001", "n002"]


def test_a_fault_rule_meets_one_identity_and_spares_the_monitor() -> None:
    """Each rule names a role of the product's and something that only this identity's requests hold."""
    subject = Subject("acmless", Trouble.NO_ACM)

    rules = list(fault_rules("life", "eu-west-1", subject, "arn:acm"))

    assert [rule["role"] for rule in rules] == [
        "meshcert-life-eu-west-1-renewal",
        "meshcert-life-eu-west-1-export",
        "meshcert-life-eu-west-1-dispatch",
        "meshcert-life-eu-west-1-acmless",
    ]
    assert {(rule["service"], rule["resource"]) for rule in rules} == {("acm", "arn:acm")}


def test_where_nothing_of_aws_answers_every_call_of_the_products_roles_fails() -> None:
    """For every service and every resource; for no other role."""
    rules = list(fault_rules("life", "eu-west-1", CUT_OFF[0], "arn:acm"))

    assert {(rule["service"], rule["resource"]) for rule in rules} == {("*", "")}
    assert {rule["role"].rpartition("-")[2] for rule in rules} == {"renewal", "export", "dispatch", "filed"}


@pytest.mark.parametrize("subject", [*ALL, *CUT_OFF], ids=lambda subject: subject.name)
def test_an_outage_leaves_a_tenth_of_the_life(subject: Subject) -> None:
    """An outage begins before ACM renews and ends before the certificate does."""
    began, ended = subject.trouble.lasts or (0.0, 0.0)

    assert 0 <= began <= ACM_RENEWS_AT
    assert ended <= 0.90


def test_no_name_contains_another() -> None:
    """A fault rule looks for a name in a request's text."""
    names = [subject.name for subject in ALL]

    assert [(one, other) for one in names for other in names if one != other and one in other] == []


def test_events_go_astray_for_whom_they_should() -> None:
    """Lost for one, doubled and shuffled for another, as they are for everybody else."""
    arns = {subject.name: (f"arn:{subject.name}",) for subject in ALL}

    modes = event_modes(ALL, arns)

    assert {(mode["mode"], mode["resource"]) for mode in modes} == {
        ("lost", "arn:lost"),
        ("lost", "service:lost"),
        ("lost", "arn:unheard"),
        ("lost", "service:unheard"),
        ("mixed", "arn:mixed"),
        ("mixed", "service:mixed"),
    }
