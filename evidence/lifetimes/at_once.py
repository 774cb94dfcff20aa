"""Two functions at once, and triggers that come twice, late and in any order, at an identity of AWS Private CA."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from evidence.lifetimes.crashes import role_of
from local.running_mesh import wait_until
from local.ticking import dispatch
from meshcert import naming
from meshcert.lifecycle.orders import RENEW

if TYPE_CHECKING:
    import random

    from evidence.lifetimes.experiment import Experiment
    from evidence.lifetimes.paying import PaidRotation, PaidRotations

HELD_S = 5.0
"""How long a call of the one who is overtaken takes: less than the ten seconds after which the SDK repeats it."""
_HELD_WITHIN_S, _DELIVERED_WITHIN_S = 30.0, 90.0
_LOST = [{"source": "aws.acm-pca", "mode": "lost"}]
_MIXED = [{"source": "*", "mode": "mixed"}]


class AtOnce:
    """
    Rotations that several functions begin at once.

    Args:
        experiment: The mesh.
        rotations: Of its identity.
        identity: The identity.
    """

    def __init__(self, experiment: Experiment, rotations: PaidRotations, identity: str) -> None:
        self._experiment = experiment
        self._rotations = rotations
        self._identity = identity
        self._functions = experiment.mesh.client("lambda")
        self._replaced: list[str] = []
        self._orders: list[dict[str, Any]] = []
        self.overtaken = 0
        """How often the second function was done before the first, as it was meant to be."""

    def overtake(self, at: int) -> PaidRotation:
        """
        A rotation that two export functions begin: one is overtaken by the other while one of its calls is under way.

        Args:
            at: Number of that call, from 1.
        """
        event = {"identity": self._identity, "replaces": self._rotations.certificate_arn}
        self._events(_LOST)
        held = {"kind": "latency", "role": role_of(self._experiment, "export"), "at": at, "n": 1}

        def order() -> None:
            with ThreadPoolExecutor(1) as pool:
                first = pool.submit(self._export, event)
                wait_until(lambda: first.done() or self._held(), "the first to be held", within_s=_HELD_WITHIN_S)
                self._export(event)
                self.overtaken += not first.done()
            dispatch(self._experiment.aws, self._experiment.name, "sweep")

        return self._rotations.rotate([{**held, "ms": HELD_S * 1000}], order)

    def shuffle(self, chance: random.Random) -> PaidRotation:
        """
        A rotation whose order comes twice to two functions, between orders and calls of before, while events are mixed.

        Args:
            chance: Decides the order of all of them.
        """
        order = self._order()
        replaced = self._rotations.certificate_arn
        self._events(_MIXED)

        def trigger(_number: int) -> None:
            records = [order, order, *self._orders[-2:]]
            for arn in chance.sample(self._replaced[-2:], len(self._replaced[-2:])):
                self._export({"identity": self._identity, "replaces": arn})
            self._deliver(chance.sample(records, len(records)))
            # The renewal function has made this call, and its answer was lost.
            self._export({"identity": self._identity, "replaces": replaced})

        def begin() -> None:
            for what in ("sweep", "tick") * 2:
                dispatch(self._experiment.aws, self._experiment.name, what)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(trigger, range(2)))

        rotation = self._rotations.rotate(order=begin)
        self._orders.append(order)
        self._replaced.append(replaced)
        return rotation

    def _export(self, event: dict[str, str]) -> dict[str, Any]:
        name = naming.function(self._experiment.name, "export")
        return self._answer(name, event)

    def _deliver(self, records: list[dict[str, Any]]) -> None:
        """Give messages to the renewal function as SQS does: those that it hands back come again."""
        name = naming.function(self._experiment.name, "renewal")

        def done() -> bool:
            answer = self._answer(name, {"Records": records})
            left = {each["itemIdentifier"] for each in answer.get("batchItemFailures", ())}
            records[:] = [record for record in records if record["messageId"] in left]
            return not records and "errorType" not in answer

        wait_until(done, "its messages to be taken", within_s=_DELIVERED_WITHIN_S, every_s=0.5)

    def _answer(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        answer = self._functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        return dict(json.loads(answer["Payload"].read()))

    def _order(self) -> dict[str, Any]:
        """An order, as SQS gives it to the renewal function."""
        aws, queue = self._experiment.aws, naming.queue(self._experiment.name, "orders")
        return {
            "messageId": str(uuid.uuid4()),
            "receiptHandle": "none",
            "body": json.dumps({"order": RENEW, "identity": self._identity, "reason": "comes more than once"}),
            "attributes": {"SenderId": "an operator"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{aws.region}:{aws.account}:{queue}",
            "awsRegion": aws.region,
        }

    def _events(self, modes: list[dict[str, str]]) -> None:
        self._experiment.aws.control("PUT", "/_local/events/modes", modes)

    def _held(self) -> bool:
        return bool(self._experiment.aws.control("GET", "/_local/faults")["hits"])
