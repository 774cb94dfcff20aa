"""Ways to open a cell, each by a line of a policy: what a check of isolation has to see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.meshcert.mesh.cells.yelb import BACKEND, FRONTEND, SHARED

if TYPE_CHECKING:
    from collections.abc import Callable

    Stacks = dict[str, dict[str, Any]]

OTHER, OWN = {"AWS": f"arn:aws:iam::{FRONTEND}:root"}, {"Ref": "AWS::AccountId"}
UI = f"arn:aws:iam::{FRONTEND}:role/meshcert-yelb-eu-west-1-ui"
OPERATOR = f"arn:aws:iam::{BACKEND}:role/meshcert-yelb-eu-west-1-operator"
EXPORT = OPERATOR.replace("operator", "export")


@dataclass(frozen=True)
class Widening:
    """
    A change of templates.

    Args:
        what: In words.
        change: Makes it, in the templates of all cells by stack name.
        seen: What the findings say of it; each in one of them.
    """

    what: str
    change: Callable[[Stacks], None]
    seen: tuple[str, ...] = field(default=())


def _properties(stacks: Stacks, stack: str, beginning: str, kind: str) -> dict[str, Any]:
    (found,) = (
        resource["Properties"]
        for name, resource in stacks[stack]["Resources"].items()
        if name.startswith(beginning) and resource["Type"].endswith(f"::{kind}")
    )
    properties: dict[str, Any] = found
    return properties


def _allow(action: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def _role_gains(stack: str, role: str, *statements: dict[str, Any]) -> Callable[[Stacks], None]:
    def change(stacks: Stacks) -> None:
        properties = _properties(stacks, stack, role, "Role")
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        properties.setdefault("Policies", []).append({"PolicyName": "more", "PolicyDocument": document})

    return change


def _policy_gains(
    stack: str, beginning: str, kind: str, of: str, *statements: dict[str, Any]
) -> Callable[[Stacks], None]:
    def change(stacks: Stacks) -> None:
        document = _properties(stacks, stack, beginning, kind)
        for step in of.split("."):
            document = document.setdefault(step, {})
        document.setdefault("Statement", []).extend(statements)

    return change


def _trusts(stack: str, role: str, **statement: Any) -> Callable[[Stacks], None]:
    gained = {"Effect": "Allow", "Action": "sts:AssumeRole"} | statement
    return _policy_gains(stack, role, "Role", "AssumeRolePolicyDocument", gained)


def _made(stack: str, name: str, kind: str, **properties: Any) -> Callable[[Stacks], None]:
    def change(stacks: Stacks) -> None:
        stacks[stack]["Resources"][name] = {"Type": kind, "Properties": properties}

    return change


def _callable_by(principal: str) -> Callable[[Stacks], None]:
    return _made(
        RENEWAL,
        "Callable",
        "AWS::Lambda::Permission",
        Action="lambda:InvokeFunction",
        FunctionName={"Fn::GetAtt": ["RenewalFunction40543F47", "Arn"]},
        Principal=principal,
    )


def _unconditional(stack: str, beginning: str, kind: str, of: str) -> Callable[[Stacks], None]:
    def change(stacks: Stacks) -> None:
        for statement in _properties(stacks, stack, beginning, kind)[of]["Statement"]:
            if statement["Effect"] == "Allow":
                statement.pop("Condition", None)

    return change


def _all(*changes: Callable[[Stacks], None]) -> Callable[[Stacks], None]:
    def change(stacks: Stacks) -> None:
        for each in changes:
            each(stacks)

    return change


def _read_permission(stacks: Stacks) -> None:
    template = _properties(stacks, "yelb-shared-pki", "innersharesRead", "Permission")["PolicyTemplate"]
    template["Action"].append("acm-pca:UpdateCertificateAuthority")


def _denies_itself_nothing(stacks: Stacks) -> None:
    (policy,) = _properties(stacks, SERVICES, "RemoteDiscovery", "Role")["Policies"]
    document = policy["PolicyDocument"]
    document["Statement"] = [each for each in document["Statement"] if each["Effect"] == "Allow"]


def of_queue(name: str) -> tuple[str, str, str, str]:
    """Where a queue's policy is."""
    return RENEWAL, name, "QueuePolicy", "PolicyDocument"


IDENTITIES, SERVICES, RENEWAL = (f"yelb-backend-{stack}" for stack in ("identities", "services", "renewal"))
FRONT = "yelb-frontend-services"
SECRET = "secret:meshcert/yelb/identity/*"
OF_SECRET = (IDENTITIES, "IdentityappserverSecret", "ResourcePolicy", "ResourcePolicy")
OF_KEY = (IDENTITIES, "Key", "Key", "KeyPolicy")
DISCOVERY = "meshcert-yelb-eu-west-1-cells.discovery"
CHAIN = " > ".join(f"meshcert-yelb-eu-west-1-{role}" for role in ("ui of frontend", "operator", "export"))

WIDENINGS = (
    Widening(
        "the role for discovery without its denial, and a key for everybody of its account",
        _all(
            _denies_itself_nothing,
            _policy_gains(
                *OF_KEY,
                _allow("kms:Decrypt", Principal={"AWS": "*"}, Condition={"StringEquals": {"kms:CallerAccount": OWN}}),
            ),
        ),
        (f"meshcert-yelb-eu-west-1-ui of frontend > {DISCOVERY} reaches Key", "kms:decrypt"),
    ),
    Widening(
        "a role for discovery that trusts the whole account of its callers",
        _trusts(SERVICES, "RemoteDiscovery", Principal=OTHER),
        ("meshcert-yelb-eu-west-1-gateway of frontend reaches RemoteDiscovery",),
    ),
    Widening(
        "a task's role without an account in an ARN",
        _role_gains(
            FRONT, "uiTaskRole", _allow("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:*:*:{SECRET}")
        ),
        ("-ui of frontend reaches IdentityappserverSecret", "secretsmanager:getsecretvalue, says its own policy"),
    ),
    Widening(
        "a function's role on everything",
        _role_gains("yelb-frontend-identities", "VerifyRole", _allow("dynamodb:Get*")),
        ("-verify of frontend reaches Table", "dynamodb:get*"),
    ),
    Widening(
        "a role with all but some actions",
        _role_gains(FRONT, "uiTaskRole", {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
        ("-ui of frontend reaches Key", "-ui of frontend reaches LooksQueue"),
    ),
    Widening(
        "a role on all but some resources",
        _role_gains(FRONT, "uiTaskRole", {"Effect": "Allow", "Action": "sqs:*", "NotResource": "arn:aws:sqs:*:*:else"}),
        ("-ui of frontend reaches OrdersQueue",),
    ),
    Widening(
        "a role on parameters of any account",
        _role_gains(FRONT, "ExecutionRole", _allow("ssm:GetParameters", "arn:aws:ssm:*:*:parameter/meshcert/*")),
        ("-execution of frontend reaches IdentityappserverTerms", "ssm:getparameters, says its own policy"),
    ),
    Widening(
        "the policy of an attached service",
        _policy_gains(
            SERVICES,
            "postgresTaskPolicy",
            "ManagedPolicy",
            "PolicyDocument",
            _allow("sqs:ReceiveMessage", "arn:aws:sqs:*"),
        ),
        ("-postgres.holder of backend reaches OrdersQueue", "of frontend: sqs:receivemessage, says its own policy"),
    ),
    Widening(
        "a secret's policy for another account",
        _policy_gains(*OF_SECRET, _allow("secretsmanager:GetSecretValue", Principal=OTHER)),
        ("administrator of frontend reaches IdentityappserverSecret", "says the policy of IdentityappserverSecret"),
    ),
    Widening(
        "a secret's policy for a role of another account, whose own policy allows it, too",
        _all(
            _policy_gains(*OF_SECRET, _allow("secretsmanager:GetSecretValue", Principal={"AWS": UI})),
            _role_gains(FRONT, "uiTaskRole", _allow("secretsmanager:*")),
        ),
        (
            "-ui of frontend reaches IdentityappserverSecret",
            "administrator of frontend reaches IdentityappserverSecret",
        ),
    ),
    Widening(
        "a queue's policy for everybody",
        _policy_gains(*of_queue("OrdersQueuePolicy"), _allow("sqs:SendMessage", Principal="*")),
        ("administrator of shared reaches OrdersQueue", "administrator of frontend reaches OrdersQueue"),
    ),
    Widening(
        "a queue that any account's rules may send to",
        _unconditional(*of_queue("LooksQueuePolicy")),
        ("services of AWS for it of frontend reaches LooksQueue",),
    ),
    Widening(
        "a topic that any account's alarms may publish to",
        _unconditional(RENEWAL, "AlarmsTopicPolicy", "TopicPolicy", "PolicyDocument"),
        ("services of AWS for it of shared reaches AlarmsTopic",),
    ),
    Widening(
        "a key for whoever comes by Secrets Manager",
        _policy_gains(
            *OF_KEY,
            _allow(
                "kms:Decrypt",
                Principal={"AWS": "*"},
                Condition={"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}},
            ),
        ),
        ("administrator of frontend reaches Key961B73FD of backend: kms:decrypt",),
    ),
    Widening(
        "a key for all but one",
        _policy_gains(*OF_KEY, _allow("kms:Decrypt", NotPrincipal={"AWS": f"arn:aws:iam::{SHARED}:root"})),
        ("administrator of frontend reaches Key961B73FD of backend",),
    ),
    Widening(
        "a table's policy",
        _policy_gains(
            IDENTITIES,
            "Acknowledgements",
            "Table",
            "ResourcePolicy.PolicyDocument",
            _allow("dynamodb:GetItem", Principal=OTHER),
        ),
        ("administrator of frontend reaches Acknowledgements13C09CFE of backend: dynamodb:getitem",),
    ),
    Widening(
        "a bucket's policy for another account",
        _policy_gains(
            IDENTITIES,
            "OwnBundleBucket",
            "BucketPolicy",
            "PolicyDocument",
            _allow("s3:GetObject", "arn:aws:s3:::meshcert-yelb-bundle-*", Principal=OTHER),
        ),
        ("administrator of frontend reaches OwnBundleBucket", "s3:getobject"),
    ),
    Widening(
        "a function that another account may call",
        _callable_by(FRONTEND),
        ("administrator of frontend reaches RenewalFunction", "lambda:invokefunction"),
    ),
    Widening(
        "a function that any account's schedules may call",
        _callable_by("events.amazonaws.com"),
        ("services of AWS for it of frontend reaches RenewalFunction",),
    ),
    Widening(
        "operators of any account",
        _trusts(RENEWAL, "Operator", Principal={"AWS": "*"}),
        ("administrator of shared reaches Operator", "-operator of backend may lambda:invokefunction"),
    ),
    Widening(
        "operators of any account with a tag, which everybody gives to themselves",
        _trusts(
            RENEWAL,
            "Operator",
            Principal={"AWS": "*"},
            Condition={"StringEquals": {"aws:PrincipalTag/team": "operations"}},
        ),
        ("administrator of frontend reaches Operator",),
    ),
    Widening(
        "a role of tasks that ECS takes for any account",
        _unconditional(SERVICES, "appserverTaskRole", "Role", "AssumeRolePolicyDocument"),
        ("services of AWS for it of frontend > meshcert-yelb-eu-west-1-appserver", "reaches IdentityappserverSecret"),
    ),
    Widening(
        "a role of schedules that Scheduler takes for any account",
        _unconditional(RENEWAL, "ClockRole", "Role", "AssumeRolePolicyDocument"),
        ("services of AWS for it of shared reaches ClockRole",),
    ),
    Widening(
        "a role of another account's tasks",
        _trusts(IDENTITIES, "VerifyRole", Principal={"AWS": UI}),
        ("administrator of frontend > meshcert-yelb-eu-west-1-verify", "reaches IdentityappserverSecret"),
    ),
    Widening(
        "a chain: a task assumes the operator role of another cell, which assumes the role that exports",
        _all(
            _role_gains(FRONT, "uiTaskRole", _allow("sts:AssumeRole", OPERATOR)),
            _trusts(RENEWAL, "Operator", Principal={"AWS": UI}),
            _role_gains(RENEWAL, "Operator", _allow("sts:AssumeRole", EXPORT)),
            _trusts(IDENTITIES, "ExportRole", Principal={"AWS": OPERATOR}),
        ),
        (f"{CHAIN} reaches IdentityappserverSecret", f"{CHAIN} reaches Key961B73FD of backend"),
    ),
    Widening(
        "a chain: an operator whose code a function runs",
        _role_gains(RENEWAL, "Operator", _allow("lambda:UpdateFunctionCode", "arn:aws:lambda:*:*:function:*")),
        ("-operator becomes meshcert-yelb-eu-west-1-export",),
    ),
    Widening(
        "a chain: a role that changes roles",
        _role_gains(RENEWAL, "RenewalRole", _allow("iam:PutRolePolicy", "arn:aws:iam::*:role/meshcert-*")),
        ("-renewal becomes meshcert-yelb-eu-west-1-export", "-renewal of backend reaches ExportRole"),
    ),
    Widening(
        "a role whose trust names another of its cell",
        _trusts(IDENTITIES, "ExportRole", Principal={"AWS": OPERATOR}),
        ("-operator becomes meshcert-yelb-eu-west-1-export",),
    ),
    Widening(
        "a CA whose share lets it be changed",
        _read_permission,
        ("administrator of backend reaches innerRoot", "acm-pca:updatecertificateauthority"),
    ),
    Widening(
        "a policy where nobody looks for one",
        _made(IDENTITIES, "Bus", "AWS::Events::EventBusPolicy", Statement=_allow("events:PutEvents", Principal="*")),
        ("nobody here knows AWS::Events::EventBusPolicy",),
    ),
)

IN_NAMESPACE = (
    Widening(
        "a task that registers wherever its account may",
        _role_gains(FRONT, "uiTaskRole", _allow("servicediscovery:RegisterInstance")),
        ("-ui of frontend reaches appserverService", "of backend: servicediscovery:registerinstance"),
    ),
    Widening(
        "a function that takes tasks out of any service of the namespace's owner",
        _role_gains(
            RENEWAL,
            "RenewalRole",
            _allow("servicediscovery:Deregister*", f"arn:aws:servicediscovery:*:{SHARED}:service/*"),
        ),
        ("-renewal of backend reaches uiService", "of frontend: servicediscovery:deregister"),
    ),
)
"""The same where cells register in one namespace."""

NARROW = (
    Widening(
        "another right of the role for discovery, which it denies itself",
        _role_gains(SERVICES, "RemoteDiscovery", _allow("secretsmanager:GetSecretValue")),
    ),
    Widening(
        "a key for everybody of this account",
        _policy_gains(
            *OF_KEY,
            _allow("kms:Decrypt", Principal={"AWS": "*"}, Condition={"StringEquals": {"kms:CallerAccount": OWN}}),
        ),
    ),
    Widening(
        "a role on its own account's secrets",
        _role_gains(FRONT, "uiTaskRole", _allow("secretsmanager:*", f"arn:aws:secretsmanager:*:{FRONTEND}:*")),
    ),
)
"""Changes that open no cell to another: a check that cried at them would be switched off one day."""
