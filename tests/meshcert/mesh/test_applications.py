"""What an application's container is given: its words, its variables, the secrets in them, and who counts its tasks."""

from __future__ import annotations

import pytest

from meshcert.mesh import read_mesh
from meshcert.mesh.applications.fetched_secrets import FetchedSecret
from meshcert.mesh.checks.findings import findings_of
from tests.meshcert.mesh.mesh_slips import ROOT, Slip, assert_found_alone, changed, faults_of

SERVICE = "services.colorteller"
APPLICATION = f"{SERVICE}.application"
ACCOUNT = "eu-central-1:111122223333"
SECRET = f"arn:aws:secretsmanager:{ACCOUNT}:secret:shop/db-AbCdEf"
PARAMETER = f"arn:aws:ssm:{ACCOUNT}:parameter/shop/level"
KEY = f"arn:aws:kms:{ACCOUNT}:key/0b0a1c9e-0000-4000-8000-000000000000"
ENVIRONMENT, SECRETS = f"{APPLICATION}.environment", f"{APPLICATION}.secrets"
VOLUMES = f"{APPLICATION}.volumes"
BOTH = {"container_path": "/srv", "tmpfs_mib": 1, "efs": {"file_system_id": "fs-0123456789abcdef0"}}

SLIPS = [
    Slip(ENVIRONMENT, {"PORT": "1"}, "PORT is set by meshcert", "Remove it", f"{ENVIRONMENT}.PORT"),
    Slip(ENVIRONMENT, {"MESHCERT_X": "1"}, "is set by meshcert", "Remove it", f"{ENVIRONMENT}.MESHCERT_X"),
    Slip(
        ENVIRONMENT,
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1"},
        "is set by ECS",
        "Remove it",
        f"{ENVIRONMENT}.AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    Slip(ENVIRONMENT, {"A B": "x"}, "not the name of a variable", "letters, digits", f"{ENVIRONMENT}.A B"),
    Slip(ENVIRONMENT, {"WORKERS": 4}, "expected text, found 4", "quotes", f"{ENVIRONMENT}.WORKERS"),
    Slip(ENVIRONMENT, {"LONG": "x" * 25_000}, "take 25,030 bytes", "Amazon S3", APPLICATION),
    Slip(f"{APPLICATION}.entry_point", "sh -c run", "expected a list", "[sh, -c, run]"),
    Slip(f"{APPLICATION}.command", [], "the list is empty", "[--workers, 4]"),
    Slip(f"{APPLICATION}.working_directory", "app", "'app' is not allowed", "^(/"),
    Slip(SECRETS, {"MESHCERT_X": SECRET}, "is set by meshcert", "Remove it", f"{SECRETS}.MESHCERT_X"),
    Slip(
        SECRETS,
        {"KEY": f"arn:aws:secretsmanager:{ACCOUNT}:secret:meshcert/color/identity/colorteller-AbCdEf"},
        "one of meshcert's own",
        "Leave certificates to Envoy",
        f"{SECRETS}.KEY",
    ),
    Slip(f"{APPLICATION}.user", "web server", "'web server' is not allowed", "It must"),
    Slip(f"{APPLICATION}.cpu", 512, "the task has 256 CPU units", "256 or less"),
    Slip(f"{APPLICATION}.memory_mib", 512, "of which Envoy needs 128", "384 or less"),
    Slip(f"{APPLICATION}.stop_timeout_s", 120, "120 is not allowed", "110"),
    Slip(VOLUMES, [{"container_path": "/"}], "'/' is not allowed", "It must", f"{VOLUMES}[0].container_path"),
    *(
        Slip(
            VOLUMES,
            [{"container_path": path}],
            "not the application's",
            "another folder",
            f"{VOLUMES}[0].container_path",
        )
        for path in ("/run/meshcert/x", "//proc", "/srv/../proc", "/srv/..", "/run//spiffe")
    ),
    Slip(
        VOLUMES,
        [{"container_path": "/tmp", "tmpfs_mib": 64}, {"container_path": "/tmp/"}],  # noqa: S108  in the container
        "volumes[0] is there already",
        "Remove one",
        f"{VOLUMES}[1].container_path",
    ),
    Slip(VOLUMES, [BOTH], "in memory and on a file system", "one of tmpfs_mib and efs", f"{VOLUMES}[0]"),
    Slip(
        VOLUMES,
        [{"container_path": "/srv", "read_only": True}],
        "nobody else writes there",
        "Remove it",
        f"{VOLUMES}[0].read_only",
    ),
    Slip(
        f"{APPLICATION}.health_check",
        {"command": ["/bin/check", "-q"]},
        "ECS runs CMD",
        "[CMD, PROGRAM",
        f"{APPLICATION}.health_check.command",
    ),
    Slip(
        f"{APPLICATION}.health_check",
        {"command": ["CMD", "/bin/check"], "timeout_s": 20},
        "longer than the 10 s",
        "10 or less",
        f"{APPLICATION}.health_check.timeout_s",
    ),
    Slip(f"{SERVICE}.maximum_percent", 110, "no deployment could begin", "Raise it"),
    Slip(f"{SERVICE}.tags", {"aws:x": "y"}, "AWS and meshcert have tags", "another name", f"{SERVICE}.tags.aws:x"),
    Slip(f"{SERVICE}.tags", {"team": "<b>"}, "AWS takes", "with these", f"{SERVICE}.tags.team"),
    Slip(f"{APPLICATION}.secret_keys", [KEY], "no secrets that they could encrypt", "Remove it"),
]


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.at}: {slip.problem}")
def test_each_slip_is_found_alone_with_its_place_and_its_remedy(slip: Slip) -> None:
    """One thing done wrong, one fault."""
    assert_found_alone(slip)


@pytest.mark.parametrize("switch", ["proxy_environment", "workload_api"])
def test_a_variable_that_a_switch_sets_is_refused_only_with_it(switch: str) -> None:
    """Without it, the application may have its own."""
    place = APPLICATION if switch == "proxy_environment" else SERVICE
    variable = "NO_PROXY" if switch == "proxy_environment" else "SPIFFE_ENDPOINT_SOCKET"
    mine = (ENVIRONMENT, {variable: "x"})

    assert not faults_of(changed(mine))
    problems = {fault.place: fault.problem for fault in faults_of(changed(mine, (f"{place}.{switch}", True)))}
    assert problems[f"{ENVIRONMENT}.{variable}"] == f"{variable} is set by {switch}"


@pytest.mark.parametrize(
    "text",
    [
        "hunter2-the-password-itself",
        f"arn:aws:secretsmanager:{ACCOUNT}:secret:shop/db",
        "shop/db",
        f"{SECRET}:password",
        f"{SECRET}::stage:1b0a1c9e-0000-4000-8000-000000000000",
        f"arn:aws:s3:::{ACCOUNT}",
        f"{PARAMETER}:3",
    ],
)
def test_what_is_no_whole_arn_is_refused_and_not_repeated(text: str) -> None:
    """It may be the secret itself. An ARN without its end would be a right to other secrets, too."""
    (fault,) = faults_of(changed((SECRETS, {"PASSWORD": text})))

    assert fault.place == f"{SECRETS}.PASSWORD"
    assert text not in f"{fault.problem} {fault.remedy}"


@pytest.mark.parametrize("behind", ["", ":password::", "::AWSPREVIOUS:", ":key:AWSCURRENT:", f":key::{'0' * 36}"])
def test_every_form_that_ecs_knows_names_the_secret(behind: str) -> None:
    """The right is to the secret as a whole: IAM knows no key of its JSON."""
    assert FetchedSecret.from_value(SECRET + behind) == ("secretsmanager", "eu-central-1", SECRET, "shop/db")
    assert FetchedSecret.from_value(PARAMETER) == ("ssm", "eu-central-1", PARAMETER, "shop/level")


@pytest.mark.parametrize(("value", "needs"), [(PARAMETER, True), (SECRET, False)])
def test_a_parameter_needs_a_way_to_systems_manager(value: str, *, needs: bool) -> None:
    """Fargate fetches it from the task's own network: there is an endpoint more, if nothing leads out."""
    mesh = read_mesh(changed((SECRETS, {"LEVEL": value}), ("network.egress", "endpoints"))).mesh

    assert mesh is not None
    assert mesh.fetches_parameters is needs


def test_a_key_is_named_by_its_arn_and_no_alias() -> None:
    """IAM does not match an alias."""
    alias = KEY.replace("key/", "alias/")
    (fault,) = faults_of(changed((SECRETS, {"DB": SECRET}), (f"{APPLICATION}.secret_keys", [KEY, alias])))

    assert (fault.place, "an alias" in fault.remedy) == (f"{APPLICATION}.secret_keys[1]", True)


def test_a_variable_stands_in_one_place() -> None:
    """ECS refuses the task definition otherwise."""
    (fault,) = faults_of(changed((SECRETS, {"DB": SECRET}), (ENVIRONMENT, {"DB": "x"})))

    assert (fault.place, fault.problem) == (f"{SECRETS}.DB", "DB is written under environment, too")


def test_a_scaler_counts_tasks_and_nobody_says_there_are_none() -> None:
    """The number serves costs and forecasts."""
    scaler = (f"{SERVICE}.scaler", True)

    assert not faults_of(changed(scaler))
    (fault,) = faults_of(changed(scaler, (f"{SERVICE}.desired_count", 0)))
    assert fault.place == f"{SERVICE}.desired_count"


def test_a_secret_in_clear_is_told_by_the_name_of_its_variable() -> None:
    """A finding: a deploy takes it. Where a secret is, is none."""
    variables = {"DB_PASSWORD": "x", "API_TOKEN": "x", "DB_SECRET_ARN": "arn", "TOKEN_URL": "x", "LOG_LEVEL": "info"}
    mesh = read_mesh(changed((ENVIRONMENT, variables))).mesh
    assert mesh

    told = {finding.place for finding in findings_of(mesh, ROOT) if finding.place.startswith(ENVIRONMENT)}

    assert told == {f"{ENVIRONMENT}.DB_PASSWORD", f"{ENVIRONMENT}.API_TOKEN"}


def test_the_user_of_an_application_may_ask_the_workload_api_if_it_is_to() -> None:
    """Else it would be refused at its socket, and nobody would know why."""
    changes = ((f"{SERVICE}.workload_api", True), (f"{APPLICATION}.user", "1000:1000"))

    assert f"{SERVICE}.workload_api_users" in {fault.place for fault in faults_of(changed(*changes))}


def test_a_deployment_can_begin_where_a_task_may_stop_first() -> None:
    """One of two, where there is room for no third."""
    changes = (
        (f"{SERVICE}.desired_count", 2),
        (f"{SERVICE}.maximum_percent", 100),
        (f"{SERVICE}.minimum_healthy_percent", 50),
    )

    assert not faults_of(changed(*changes))
    assert faults_of(changed(*changes, (f"{SERVICE}.minimum_healthy_percent", 60)))
