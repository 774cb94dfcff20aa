"""The rows of the table of bundle fetches: what is remembered of each foreign trust domain's bundle endpoint."""

from __future__ import annotations

TRUST_DOMAIN = "trust_domain"
"""The partition key: name of the foreign trust domain."""
SINCE, LOOKED_AT, FETCHED_AT = "since", "looked_at", "fetched_at"
"""First look, last look, and the last one that gave a bundle that is believed; seconds since 1970."""
REFRESH_HINT_S = "refresh_hint_s"
SEQUENCE = "sequence"
"""``spiffe_sequence`` of the last bundle that is believed; missing if it has none."""
VERSION = "version"
"""The version of the domain's secret that held it."""
PROBLEM = "problem"
"""Name of the error of the last look; empty if it went well."""
