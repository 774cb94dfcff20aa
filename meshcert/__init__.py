"""
Private-CA certificates inside Envoy proxies on Amazon ECS.

This package is plain Python and is copied into the Lambda bundle and into the Envoy image. ``aws_cdk`` and Powertools
never appear here, boto3 only in :mod:`meshcert.aws`, pydantic only in :mod:`meshcert.mesh`. The modules that the Envoy
image imports (:mod:`~meshcert.material.document`, :mod:`~meshcert.errors`, :mod:`~meshcert.material`,
:mod:`~meshcert.proxy` and :mod:`meshcert.envoy`) need only the standard library.
"""

VERSION = "0.2.0"
"""The version of all of it: functions, image, stacks and command line are released together."""
