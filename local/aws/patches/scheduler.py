"""
EventBridge Scheduler: the schedule's role, context attributes, limits, and dead letters.

MiniStack 1.5.33 delivers without any role, knows no context attributes, checks neither the role nor the retry policy
when a schedule is made, drops what a target refuses, and its CloudFormation type drops fields. It looks for due
schedules every ten seconds.

AWS assumes the schedule's role, fills in ``<aws.scheduler...>``, and puts what a target refuses into the dead-letter
queue (EventBridge Scheduler user guide, "Setting up", "Adding context attributes", "Configuring a dead-letter queue").
Here everything refused ends there at once: transient errors, and so retries, do not exist.

It can go when a schedule whose role may not send to its queue fills its dead-letter queue, and CreateSchedule is
refused for a role that does not trust Scheduler.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack.core import arn as arns
from ministack.core import responses
from ministack.services import eventbridge, lambda_svc, scheduler
from ministack.services.cloudformation import provisioners

from local.aws import control, hooks, messages
from local.aws.iam import service_roles
from local.aws.resource_type import Created, Properties, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_SERVICE = "scheduler.amazonaws.com"
_LOOK_EVERY_S = 1
_OK = 200
_RIGHTS = {"sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}
_LIMITS = {"MaximumEventAgeInSeconds": (60, 86_400), "MaximumRetryAttempts": (0, 185)}
_FIELDS = (
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "FlexibleTimeWindow",
    "Target",
    "GroupName",
    "State",
    "Description",
    "StartDate",
    "EndDate",
    "KmsKeyArn",
    "ActionAfterCompletion",
)

Schedule = dict[str, Any]


class _Clock:
    """
    Stands in for the module ``time`` in MiniStack's scheduler, and can be put forward.

    There is one for all accounts, because MiniStack asks it once and then looks at every account's schedules.
    """

    ahead_s = 0.0

    def time(self) -> float:
        """Seconds since the epoch, and as many more as it was put forward."""
        return time.time() + self.ahead_s

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@dataclass(frozen=True)
class _Refused(Exception):
    """Why a target was not reached: ``code`` and ``message`` as the dead letter names them."""

    code: str
    message: str


_clock = _Clock()


def install() -> None:
    """Deliver schedules in their role, check them when they are made, and look for due ones every second."""
    for name in ("_schedules", "_schedule_last_fired", "_group_arn", "_error", "_delete_schedule", "_tick_schedules"):
        hooks.require(scheduler, name)
    hooks.replace(scheduler, "_SCHEDULE_TICK_INTERVAL", _LOOK_EVERY_S)
    hooks.replace(scheduler, "time", _clock)
    hooks.wrap(scheduler, "_create_schedule", _checked_create)
    hooks.wrap(scheduler, "_update_schedule", _checked)
    hooks.wrap(eventbridge, "_invoke_target", _invoke_target)
    hooks.require(provisioners, "_physical_name")
    ResourceType(
        "AWS::Scheduler::Schedule",
        create=_provision,
        update=_change,
        delete=_remove,
    ).register()
    control.route("/_local/scheduler/advance", _advance)
    control.at_reset(_forget_all)


def _advance(value: Any) -> dict[str, Any]:
    """Put Scheduler's clock forward by ``seconds`` and fire what is due then, each schedule once."""
    _clock.ahead_s += float(value["seconds"])
    scheduler._tick_schedules()
    return {"ahead_s": _clock.ahead_s}


def _forget_all() -> None:
    _clock.ahead_s = 0.0
    scheduler._schedule_last_fired.clear()


def _checked_create(inner: Callable[..., Any]) -> Callable[..., Any]:
    """A new schedule has never fired, though another of its name may have."""
    checked = _checked(inner)

    def create(name: str, body: Schedule) -> Any:
        answer = checked(name, body)
        if answer[0] == _OK:
            key = (responses.get_account_id(), responses.get_region(), f"{body.get('GroupName', 'default')}/{name}")
            scheduler._schedule_last_fired.pop(key, None)
        return answer

    return create


def _checked(inner: Callable[..., Any]) -> Callable[..., Any]:
    def call(name: str, body: Schedule) -> Any:
        message = _fault(body)
        return scheduler._error(400, "ValidationException", message) if message else inner(name, body)

    return call


def _fault(body: Schedule) -> str:
    """AWS's reason to refuse a schedule; empty if there is none, or if MiniStack refuses it itself."""
    target, window = body.get("Target") or {}, body.get("FlexibleTimeWindow") or {}
    if not target.get("Arn") or not target.get("RoleArn") or not window:
        return ""
    faults = [
        f"RetryPolicy.{field} is {value}, not between {low} and {high}."
        for field, (low, high) in _LIMITS.items()
        if (value := (target.get("RetryPolicy") or {}).get(field)) is not None and not low <= int(value) <= high
    ]
    if window.get("Mode") not in {"OFF", "FLEXIBLE"}:
        faults.append(f"FlexibleTimeWindow.Mode is {window.get('Mode')!r}, neither OFF nor FLEXIBLE.")
    elif (window["Mode"] == "OFF") == bool(window.get("MaximumWindowInMinutes")):
        faults.append("MaximumWindowInMinutes must be given with Mode FLEXIBLE, and only then.")
    if str((target.get("DeadLetterConfig") or {}).get("Arn")).endswith(".fifo"):
        faults.append("A FIFO queue cannot be a schedule's dead-letter queue.")
    if not service_roles.trusts(target["RoleArn"], _SERVICE, _keys(body)):
        faults.append("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
    return faults[0] if faults else ""


def _keys(body: Schedule) -> dict[str, str]:
    """Scheduler assumes a role for a group of schedules (user guide, "Confused deputy prevention")."""
    group = scheduler._group_arn(body.get("GroupName") or "default")
    return {"aws:SourceArn": str(group), "aws:SourceAccount": responses.get_account_id()}


def _invoke_target(inner: Callable[..., None]) -> Callable[..., None]:
    def invoke(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        if ":scheduler:" in rule.get("Arn", ""):
            _deliver(rule, event)
        else:
            inner(target, event, rule, view)

    return invoke


def _deliver(schedule: Schedule, event: dict[str, Any]) -> None:
    target = schedule["Target"]
    context = {
        "schedule-arn": schedule["Arn"],
        "scheduled-time": f"{datetime.fromtimestamp(float(event['Time']), UTC):%FT%TZ}",
        "execution-id": uuid.uuid4().hex[:16],
        "attempt-number": "1",
    }
    payload = str(target.get("Input") or json.dumps(eventbridge._pattern_event_view(event).event_with_detail()))
    for name, value in context.items():
        payload = payload.replace(f"<aws.scheduler.{name}>", value)
    try:
        _send(schedule, target["Arn"], payload)
    except _Refused as refused:
        logger.warning("schedule %s: target %s: %s", schedule["Name"], target["Arn"], refused.message)
        _bury(schedule, payload, context, refused)


def _send(schedule: Schedule, target_arn: str, payload: str) -> None:
    """
    Give the payload to the target, in the schedule's role.

    Raises:
        _Refused: If the role may not, or there is no such target.
    """
    try:
        service = arns.parse_arn(target_arn).service
    except arns.ArnParseError as error:
        raise _Refused("ValidationException", f"{target_arn!r} is not an ARN") from error
    if service not in _RIGHTS:
        raise _Refused("ValidationException", f"the local Scheduler has no targets of {service}")
    session = (schedule["Target"]["RoleArn"], _session_name(schedule), _SERVICE)
    keys = _keys(schedule)
    try:
        service_roles.require_rights(session, [(_RIGHTS[service], target_arn)], keys)
    except service_roles.Denied as denied:
        raise _Refused("AccessDeniedException", denied.message) from denied
    if service == "sqs":
        role = session[0].rpartition("/")[2]
        sender = service_roles.user_id_of(f"arn:aws:sts::{session[0].split(':')[4]}:assumed-role/{role}/{session[1]}")
        if not messages.deliver(target_arn, payload, {}, sender=sender):
            raise _Refused("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
        return
    function, config, _ = lambda_svc._get_func_record_for_ref(target_arn)
    if not function or not config:
        raise _Refused("ResourceNotFoundException", f"Function not found: {target_arn}")
    record = lambda_svc._execution_record_for_config(function, config)
    lambda_svc.invoke_async_with_retry(record, json.loads(payload))


def _bury(schedule: Schedule, payload: str, context: dict[str, str], refused: _Refused) -> None:
    """Put the payload into the dead-letter queue, for which the schedule's role needs the right as well."""
    arn = (schedule["Target"].get("DeadLetterConfig") or {}).get("Arn")
    if not arn:
        return
    session = (schedule["Target"]["RoleArn"], _session_name(schedule), _SERVICE)
    try:
        keys = _keys(schedule)
        service_roles.require_rights(session, [("sqs:SendMessage", arn)], keys)
    except service_roles.Denied as denied:
        logger.warning("schedule %s: dead letter lost: %s", schedule["Name"], denied)
        return
    attributes = {
        "SCHEDULE_ARN": schedule["Arn"],
        "TARGET_ARN": schedule["Target"]["Arn"],
        "SCHEDULED_TIME": context["scheduled-time"],
        "EXECUTION_ID": context["execution-id"],
        "ERROR_CODE": refused.code,
        "ERROR_MESSAGE": refused.message,
        "EXHAUSTED_RETRY_CONDITION": "NonRetryableError",
        "RETRY_ATTEMPTS": "0",
        "IS_PAYLOAD_TRUNCATED": "false",
    }
    messages.deliver(arn, payload, attributes)


def _session_name(schedule: Schedule) -> str:
    return f"{schedule['GroupName']}-{schedule['Name']}"[:64]


def _provision(logical_id: str, properties: Properties, stack: str) -> Created:
    name = properties.get("Name") or provisioners._physical_name(stack, logical_id, max_len=64)
    return _provisioned(name, properties, scheduler._create_schedule)


def _change(name: str, _old: Properties, new: Properties, _stack: str) -> Created:
    return _provisioned(name, new, scheduler._update_schedule)


def _provisioned(name: str, properties: Properties, call: Callable[..., Any]) -> Created:
    """
    Create or update through the API, which MiniStack's own type does not: it drops fields and hides refusals.

    Raises:
        ValueError: What the API refused.
    """
    body = {field: properties[field] for field in _FIELDS if properties.get(field) is not None}
    status, _, answer = call(name, body)
    if status != _OK:
        raise ValueError(json.loads(answer)["Message"])
    return name, {"Arn": json.loads(answer)["ScheduleArn"]}


def _remove(name: str, properties: Properties) -> None:
    scheduler._delete_schedule(name, {"groupName": properties.get("GroupName", "default")})
