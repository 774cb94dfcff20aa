"""
An entry point as one writes it with boto3: fetch two secrets, write PEM files, become Envoy. Nothing is checked.

``python with_boto3.py KEYS IDENTITY TRUST ENVOY [ARGUMENT ...]``: a folder, two secrets, and Envoy's command line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import boto3


def main(keys: Path, identity: str, trust: str, envoy: list[str]) -> None:
    """Fetch, write, and go on as Envoy."""
    client = boto3.client("secretsmanager")
    material = json.loads(client.get_secret_value(SecretId=identity)["SecretString"])
    bundle = json.loads(client.get_secret_value(SecretId=trust)["SecretString"])
    os.umask(0o077)
    for name, text in {
        "certificate_chain.pem": material["Certificate"] + material["CertificateChain"],
        "private_key.pem": material["PrivateKey"],
        "passphrase": material["Passphrase"],
        "trust_bundle.pem": bundle["TrustBundle"],
    }.items():
        (keys / name).write_text(text)
    os.execv(envoy[0], envoy)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
