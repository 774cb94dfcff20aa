"""What the functions read from their environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshcert.errors import SettingsInvalid
from meshcert.issuing.acm import ACM
from meshcert.lifecycle.policy import Policy
from meshcert.settings import (
    DeploySettings,
    DispatchSettings,
    ExportSettings,
    FunctionSettings,
    RenewalSettings,
    VerifySettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPORT = {"MESHCERT_MESH": "color", "MESHCERT_IDENTITIES_TABLE": "identities"}
DEPLOY = EXPORT | {"MESHCERT_LIFECYCLE_TABLE": "lifecycle"}
RENEWAL = DEPLOY | {
    "MESHCERT_ACKNOWLEDGEMENTS_TABLE": "acknowledgements",
    "MESHCERT_EXPORT_FUNCTION": "export",
    "MESHCERT_CLUSTER": "cluster",
    "MESHCERT_AUDIT_LOG_GROUP": "/audit",
}
DISPATCH = DEPLOY | {"MESHCERT_LOOKS_QUEUE_URL": "https://queue"}

PROGRAMS: list[Any] = [
    pytest.param(ExportSettings, EXPORT, ExportSettings("color", "identities"), id="export"),
    pytest.param(VerifySettings, EXPORT, VerifySettings("color", "identities"), id="verify"),
    pytest.param(
        DeploySettings,
        DEPLOY | {"MESHCERT_TRUST_BUNDLES": "color=root/"},
        DeploySettings("color", "identities", "lifecycle", "color=root/"),
        id="deploy",
    ),
    pytest.param(
        RenewalSettings,
        RENEWAL,
        RenewalSettings("color", "identities", "lifecycle", "acknowledgements", "export", "cluster", "/audit"),
        id="renewal",
    ),
    pytest.param(
        DispatchSettings, DISPATCH, DispatchSettings("color", "identities", "lifecycle", "https://queue"), id="dispatch"
    ),
]


@pytest.mark.parametrize(("kind", "environ", "expected"), PROGRAMS)
def test_a_functions_settings_are_read(kind: Any, environ: Mapping[str, str], expected: FunctionSettings) -> None:
    """Other variables do not matter; a stack writes them with the same class."""
    assert kind.from_environ({**environ, "PATH": "/usr/bin", "MESHCERT_OTHER": ""}) == expected
    assert expected.to_environ() == environ


@pytest.mark.parametrize(("kind", "environ", "expected"), PROGRAMS)
def test_all_missing_variables_are_told_at_once(kind: Any, environ: Mapping[str, str], expected: object) -> None:
    """Each with what to do about it; blank counts as missing."""
    with pytest.raises(SettingsInvalid, match=rf"environment: {len(environ)} fault.*") as caught:
        kind.from_environ({"MESHCERT_MESH": " "})

    assert [fault.place for fault in caught.value.faults] == list(environ)
    assert type(expected).__name__.removesuffix("Settings").lower() in caught.value.subject


def test_the_defaults_are_those_of_the_lifecycle() -> None:
    """One rate and one policy, wherever they are written down."""
    assert DispatchSettings.from_environ(DISPATCH).looks_per_second == ACM.looks_per_second
    assert RenewalSettings.from_environ(RENEWAL).policy == Policy()


def test_a_lease_outlasts_the_longest_run() -> None:
    """Lambda ends the renewal function after 120 seconds."""
    assert RenewalSettings.from_environ(RENEWAL).lease_s > 120


def test_numbers_are_read() -> None:
    """Tests scale days to seconds with them."""
    environ = {"MESHCERT_LEASE_S": "7.5", "MESHCERT_POLICY_RENEW_AT": "0.5", "MESHCERT_POLICY_LOOK_AGAIN_S": "0"}

    settings = RenewalSettings.from_environ(RENEWAL | environ)

    assert (settings.lease_s, settings.policy) == (7.5, Policy(renew_at=0.5, look_again_s=0.0))
    assert DispatchSettings.from_environ(DISPATCH | {"MESHCERT_LOOKS_PER_SECOND": "50"}).looks_per_second == 50.0


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan", "inf"])
def test_a_number_that_is_none_is_told(text: str) -> None:
    """With its default, so that removing it is a way out."""
    with pytest.raises(SettingsInvalid, match=rf"MESHCERT_LEASE_S: it is '{text}', no number above 0.*default is 135"):
        RenewalSettings.from_environ(RENEWAL | {"MESHCERT_LEASE_S": text})
    with pytest.raises(SettingsInvalid, match=r"MESHCERT_LOOKS_PER_SECOND.*default is 4\.5"):
        DispatchSettings.from_environ(DISPATCH | {"MESHCERT_LOOKS_PER_SECOND": text})


def test_every_fault_of_the_policy_is_told_with_the_others() -> None:
    """A misspelt setting would be ignored in silence."""
    wrong = {
        "MESHCERT_CLUSTER": "",
        "MESHCERT_LEASE_S": "x",
        "MESHCERT_POLICY_RENEW_AT": "early",
        "MESHCERT_POLICY_LOOK_AGAIN_S": "-1",
        "MESHCERT_POLICY_LOOK_AGAIN": "1",
    }

    with pytest.raises(SettingsInvalid) as caught:
        RenewalSettings.from_environ(RENEWAL | wrong)

    problems = {fault.place: fault.problem for fault in caught.value.faults}
    assert set(problems) == set(wrong)
    assert problems["MESHCERT_POLICY_RENEW_AT"] == "it is 'early', no number from 0 on"
    assert problems["MESHCERT_POLICY_LOOK_AGAIN"] == "there is no such setting"
