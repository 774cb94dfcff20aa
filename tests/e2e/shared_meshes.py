"""Which files share a mesh that is deployed once, each in an order in which none spoils it for the next."""

from __future__ import annotations

ON_THE_DEMO = (
    "test_demo.py",
    "test_redeploy.py",
    "test_rights.py",
    # These try what is denied, so they come after those who look for denials.
    "test_rights_of_the_lifecycle.py",
    "test_rights_of_tasks_and_operators.py",
    # Breaks what the others need.
    "test_lifecycle.py",
)
"""The README's demo, once it has been played."""
ON_A_FRESH_MESH = (
    "test_verify_aws_on_local_aws.py",
    "test_stories.py",
    # Breaks what the others need.
    "test_verify_aws_finds_faults.py",
)
"""A mesh that has just been deployed: nothing has been renewed there yet."""
ON_PRIVATE_CA = (
    "test_private_ca.py",
    "test_rights_of_issuing.py",
    # Tries what is denied, so it comes after those who look for denials.
    "test_ways_to_a_name.py",
    # Breaks what the others need.
    "test_revoked_short_life.py",
)
"""A mesh whose certificates AWS Private CA issues, once a whole life has passed in it."""
