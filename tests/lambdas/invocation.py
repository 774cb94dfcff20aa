"""A handler called as Lambda calls it, and everything that it writes."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from types import ModuleType

    import pytest

ACCOUNT, REGION = "111122223333", "eu-west-1"


@dataclass
class Context:
    """What Lambda hands over beside the event."""

    function_name: str = "meshcert-color-export"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:meshcert-color-export"
    aws_request_id: str = "request-y"
    log_stream_name: str = "stream-x"
    left_ms: Callable[[], int] = lambda: 120_000

    def get_remaining_time_in_millis(self) -> int:
        """Time until Lambda ends the run."""
        return self.left_ms()


class Invocations:
    """
    A handler on ports in memory.

    Args:
        handler: The handler's module.
        parts: What its ``build`` gives.
        monkeypatch: Takes everything back.
        capsys: Where metrics are printed.
    """

    def __init__(
        self,
        handler: ModuleType,
        parts: Callable[[], Any],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.context = Context()
        self._handler = handler
        self._capsys = capsys
        self._printed = ""
        self._log = io.StringIO()
        for logger in (logging.getLogger(handler.SERVICE), logging.getLogger("meshcert")):
            for output in (each for each in logger.handlers if isinstance(each, logging.StreamHandler)):
                monkeypatch.setattr(output, "stream", self._log)
        monkeypatch.setattr(handler, "build", parts)
        monkeypatch.setattr(handler.metrics, "default_dimensions", {"mesh": "color"})
        handler.metrics.clear_metrics()

    def invoke(self, event: Any) -> Any:
        """As Lambda does."""
        return self._handler.lambda_handler(event, self.context)

    def output(self) -> str:
        """Everything written so far: log lines and metrics."""
        self._printed += self._capsys.readouterr().out
        return self._log.getvalue() + self._printed

    def emitted(self) -> list[dict[str, Any]]:
        """The metric documents written so far."""
        return [json.loads(line) for line in self.output().splitlines() if line.startswith('{"_aws"')]

    def metrics(self) -> list[str]:
        """The names of the metrics written so far; each is of the mesh and of nothing else."""
        names = []
        for document in self.emitted():
            (declared,) = document["_aws"]["CloudWatchMetrics"]
            assert (declared["Namespace"], declared["Dimensions"]) == ("meshcert", [["mesh"]])
            assert document["mesh"] == "color"
            names += [metric["Name"] for metric in declared["Metrics"]]
        return names


def batch(
    queue: str, bodies: Sequence[str], sender: str = "AROAEXAMPLE:operator", sent: dt.datetime | None = None
) -> dict[str, Any]:
    """Messages as Lambda's event source mapping hands them over; their ids are m0, m1, ..."""
    when = {"SentTimestamp": str(round(sent.timestamp() * 1000))} if sent else {}
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "receipt",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1", "SenderId": sender, **when},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
                "awsRegion": REGION,
            }
            for number, body in enumerate(bodies)
        ]
    }


def failed(response: dict[str, Any]) -> list[str]:
    """The ids of the messages that come again."""
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
