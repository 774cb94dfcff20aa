"""Whoever signed the request that is being served, for what a service does on the caller's behalf."""

from __future__ import annotations

import contextvars

from ministack.core import iam_evaluator
from ministack.core.responses import get_region

_key = contextvars.ContextVar("meshcert_caller_key", default="")


def remember(access_key_id: str) -> None:
    """Keep who signed, as long as the request is being served."""
    _key.set(access_key_id)


def may(action: str, arn: str) -> bool:
    """Whether the caller's own policies allow something; the services themselves, which sign nothing, may."""
    service = action.partition(":")[0]
    return not _key.get() or iam_evaluator.enforce(_key.get(), action, service, get_region(), arn) is None
