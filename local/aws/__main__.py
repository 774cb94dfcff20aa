"""
``python -m local.aws``: one local AWS, configured by a line of JSON on standard input.

MiniStack reads its settings from the environment when it is imported, and functions and tasks inherit what is there. So
the environment is built from the configuration first, from nothing, and only then is the server imported.

Ends on SIGTERM, SIGINT, or when standard input closes: whoever started it is gone then.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING

from local.aws.config import Config

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE")


def environment(config: Config, inherited: Mapping[str, str]) -> dict[str, str]:
    """
    The whole environment of the local AWS and of everything it starts.

    Args:
        config: Where it listens and writes.
        inherited: The environment it was started in; only what says where programs are and how text is encoded is kept.
    """
    scratch = str(config.directory / "tmp")
    return {
        **{name: inherited[name] for name in _KEPT if name in inherited},
        "HOME": scratch,
        "TMPDIR": scratch,
        "AUTH": "true",
        "BIND_HOST": config.host,
        "GATEWAY_PORT": str(config.port),
        "MINISTACK_HOST": config.host,
        "MINISTACK_ACCOUNT_ID": config.account,
        "MINISTACK_REGION": config.region,
        "AWS_ENDPOINT_URL": config.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "S3_DATA_DIR": str(config.directory / "s3"),
        "STATE_DIR": str(config.directory / "state"),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        # A Docker daemon on the developer's machine is none of our business: MiniStack would sweep its containers.
        "DOCKER_HOST": f"unix://{config.directory}/no-docker.sock",
        "LOG_LEVEL": "INFO",
    }


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    line = sys.stdin.readline()
    if not line.strip():
        sys.stderr.write("python -m local.aws reads its configuration, one line of JSON, from standard input\n")
        return 2
    config = Config.from_json(line)
    (config.directory / "tmp").mkdir(parents=True, exist_ok=True)
    variables = environment(config, dict(os.environ))
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = variables["TMPDIR"]

    from local.aws import server  # noqa: PLC0415 - MiniStack reads the environment made above when it is imported

    return server.run(config)


if __name__ == "__main__":
    raise SystemExit(main())
