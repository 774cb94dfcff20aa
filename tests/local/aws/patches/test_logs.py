"""CloudWatch Logs: what functions print arrives, patterns filter, and rights are asked for as AWS does."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.bundles import new_function
from tests.local.aws.refusals import ClientError, code_of, is_allowed
from tests.local.aws.roles import new_role

if TYPE_CHECKING:
    from local.running_aws import LocalAws

LINES = [
    json.dumps({"identity": "teller", "step": "export", "took": 1.5, "ok": True, "who": {"role": "renewal"}}),
    json.dumps({"identity": "colorteller", "step": "publish", "took": 12, "ok": False, "error": None}),
    json.dumps({"identity": "gateway", "step": "export", "hosts": ["a", "b"]}),
    "ERROR plain text about a teller",
    "warning plain text",
]


def write(aws: LocalAws, lines: list[str], group: str = "/meshcert/audit") -> None:
    """A group with one stream of these lines."""
    logs = aws.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    events = [{"timestamp": int(time.time() * 1000) + at, "message": line} for at, line in enumerate(lines)]
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)


def find(aws: LocalAws, pattern: str, group: str = "/meshcert/audit") -> list[str]:
    """The messages that match."""
    found = aws.client("logs").filter_log_events(logGroupName=group, filterPattern=pattern)
    return [event["message"] for event in found["events"]]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("plain text", [3, 4]),
        ("error", [1]),
        ("ERROR", [3]),
        ('"text about"', [3]),
        ("plain -ERROR", [4]),
        ("?ERROR ?warning", [3, 4]),
        ('{ $.identity = "teller" }', [0]),
        ('{ $.identity = "*teller" }', [0, 1]),
        ('{ $.identity != "teller" }', [1, 2]),
        ("{ $.identity = teller }", [0]),
        ("{ $.took > 1.5 }", [1]),
        ("{ $.took >= 1.5 }", [0, 1]),
        ("{ $.took = 12 }", [1]),
        ('{ $.who.role = "renewal" }', [0]),
        ('{ $.hosts[1] = "b" }', [2]),
        ("{ $.error IS NULL }", [1]),
        ("{ $.ok IS TRUE }", [0]),
        ("{ $.took NOT EXISTS }", [2]),
        ('{ $.step = "export" && $.identity = "gateway" }', [2]),
        ('{ $.identity = "gateway" || $.step = "export" && $.took < 2 }', [0, 2]),
        ('{ ($.identity = "gateway" || $.step = "export") && $.took < 2 }', [0]),
    ],
)
def test_a_pattern_finds_what_aws_finds(aws: LocalAws, pattern: str, expected: list[int]) -> None:
    """Terms are case-sensitive; JSON conditions see JSON lines only."""
    aws.reset()
    write(aws, LINES)

    assert find(aws, pattern) == [LINES[at] for at in expected]


@pytest.mark.parametrize("pattern", ['{ $.a = "x"', "{ $.a ~ 3 }", "{ a = 3 }", "{ $.a > x }", "[a, b]"])
def test_a_pattern_that_is_not_understood_is_refused(fresh_aws: LocalAws, pattern: str) -> None:
    """Never taken for one that matches everything."""
    write(fresh_aws, LINES)

    with pytest.raises(ClientError) as error:
        find(fresh_aws, pattern)

    assert code_of(error) == "InvalidParameterException"


def test_a_functions_lines_land_in_the_group_it_names(fresh_aws: LocalAws) -> None:
    """Between Lambda's own START and REPORT."""
    code = "def handler(event, context): print('the ' + 'line')"
    new_function(fresh_aws, "speaker", code, NOTHING, LoggingConfig={"LogGroup": "/meshcert/color/speaker"})

    fresh_aws.client("lambda").invoke(FunctionName="speaker", Payload=b"{}")

    words = [line.split()[0] for line in find(fresh_aws, "", "/meshcert/color/speaker")]
    assert words == ["START", "the", "END", "REPORT"]


def test_a_crashed_function_leaves_the_lines_it_wrote(fresh_aws: LocalAws) -> None:
    """What was printed before the end is kept."""
    code = "import os\ndef handler(event, context):\n    print('last words', flush=True)\n    os._exit(1)\n"
    new_function(fresh_aws, "speaker", code, NOTHING)

    fresh_aws.client("lambda").invoke(FunctionName="speaker", Payload=b"{}")

    assert find(fresh_aws, '"last words"', "/aws/lambda/speaker") == ["last words"]


def test_rights_on_a_group_need_the_colon_and_the_star(fresh_aws: LocalAws) -> None:
    """``log-group:NAME:*`` lets a role read and write that group; the bare ARN lets it do neither, as on AWS."""
    write(fresh_aws, LINES)
    write(fresh_aws, LINES, "/other")
    group = f"arn:aws:logs:{fresh_aws.region}:{fresh_aws.account}:log-group:/meshcert/audit"
    starred, bare = (new_role(fresh_aws, name, _all_logs(arn)) for name, arn in (("a", f"{group}:*"), ("b", group)))

    seen = [_may(fresh_aws, role, name) for role in (starred, bare) for name in ("/meshcert/audit", "/other")]

    assert seen == [[True] * 4, [False] * 4, [False] * 4, [False] * 4]


def test_a_role_may_write_one_stream_only(fresh_aws: LocalAws) -> None:
    """PutLogEvents is asked for on the stream."""
    write(fresh_aws, LINES)
    stream = f"arn:aws:logs:{fresh_aws.region}:{fresh_aws.account}:log-group:/meshcert/audit:log-stream:one"
    logs = fresh_aws.client_as(new_role(fresh_aws, "writer", _all_logs(stream)), "logs")
    events = [{"timestamp": int(time.time() * 1000), "message": "x"}]

    seen = [
        is_allowed(logs.put_log_events, logGroupName="/meshcert/audit", logStreamName="one", logEvents=events),
        is_allowed(logs.create_log_stream, logGroupName="/meshcert/audit", logStreamName="two"),
    ]

    assert seen == [True, False]


NOTHING = [{"Effect": "Deny", "Action": "*", "Resource": "*"}]


def _all_logs(resource: str) -> list[dict[str, Any]]:
    return [{"Effect": "Allow", "Action": "logs:*", "Resource": resource}]


def _may(aws: LocalAws, role: str, group: str) -> list[bool]:
    """Whether a role may read a group, make a stream in it, write to it and read one stream."""
    logs = aws.client_as(role, "logs")
    events = [{"timestamp": int(time.time() * 1000), "message": "x"}]
    stream = f"of-{role.rsplit('/', 1)[-1]}"
    aws.client("logs").create_log_stream(logGroupName=group, logStreamName=stream)
    return [
        is_allowed(logs.filter_log_events, logGroupName=group),
        is_allowed(logs.create_log_stream, logGroupName=group, logStreamName=f"{stream}-own"),
        is_allowed(logs.put_log_events, logGroupName=group, logStreamName=stream, logEvents=events),
        is_allowed(logs.get_log_events, logGroupName=group, logStreamName=stream),
    ]


def test_a_prefix_finds_the_lines_of_its_streams_and_no_prefix_those_of_all(aws: LocalAws) -> None:
    """As the services of a mesh share a group: one may begin with another's name."""
    logs, group = aws.client("logs"), "/meshcert/shared"
    logs.create_log_group(logGroupName=group)
    for stream in ("teller/envoy/1", "teller-2/envoy/1"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": stream}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])

    def found(**streams: str) -> list[str]:
        return sorted(event["message"] for event in logs.filter_log_events(logGroupName=group, **streams)["events"])

    assert found(logStreamNamePrefix="teller/") == ["teller/envoy/1"]
    assert found(logStreamNamePrefix="teller-3/") == []
    assert found() == ["teller-2/envoy/1", "teller/envoy/1"]
