"""
The table ``acknowledgements``: each task reports in a row of its own what its Envoy serves.

Times are seconds since 1970, UTC.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

SERVICE = "service"
"""The partition key: name of the task's service in the mesh file."""
TASK = "task"
"""The sort key: the task's ARN."""
SCHEMA = "schema"
AT = "at"
"""When the row was written."""
EXPIRES = "expires"
"""When DynamoDB may delete the row."""
SECRETS = "secrets"
"""A map of the fields below for each identity, by its name."""
ROUTES = "routes"
"""A map of version, refused version and error for the task's route table; missing without one, and in rows of earlier
versions."""
LISTENERS = "listeners"
"""A map of the three counts below for each PERMISSIVE listener, by its port; missing without one, and in rows of
earlier versions."""

SETTINGS = "settings"
"""The version of the settings that the task has read from their row; missing where they stand in its task definition,
and in rows of earlier versions."""

FILES = "files"
"""A map of version, end, refused version and error for each source of the user's in files, by its SDS name; missing
without one, and in rows of earlier versions."""

VERSION = "version"
"""The version that Envoy serves."""
SERIAL_NUMBER = "serial"
"""Serial number of the certificate that Envoy shows for it, lower-case hex."""
NOT_AFTER = "not_after"
"""End of that certificate's validity."""
REFUSED = "refused"
"""The version that the task refused to take over."""
REFUSED_BY = "refused_by"
"""The upstream hosts that refused that version when the task tried it: ``NAME@ADDRESS``, joined by a space; missing in
rows of earlier versions, and empty if the task refuses it by its own judgement."""
ERROR = "error"
"""Why it was refused, or what else is wrong."""

OVER_TLS = "tls"
"""Requests over TLS since Envoy has started; of a ``tcp`` listener, connections."""
IN_PLAIN_TEXT = "plain"
"""The same in plain text."""
LAST_IN_PLAIN_TEXT = "plain_at"
"""The latest time at which the last of those can have come; 0 if there is none."""

REFUSED_BY_UPSTREAM = "trial: "
"""``ERROR`` begins so if upstreams refused the version."""
REFUSED_BY_AWS = "fetch: AwsRefused: "
"""``ERROR`` has this, before the call and AWS's error code, if AWS refuses the task what it fetches."""
DENIED = ": AccessDenied"
"""Such a code begins so where the task's role lacks the right."""
