"""
Logical ids and outputs that are a name with something behind it, and nothing else.

CloudFormation takes letters and digits alone, so the CDK leaves hyphens out. To what stands deeper in a stack it
appends a hash of the whole name (AWS CDK API reference, ``Names.uniqueId``), to what stands at its top none. There
``a-b`` and ``ab`` have one id, and a deployed mesh's ids do not change.
"""

from __future__ import annotations


def logical_id(construct_id: str) -> str:
    """What CloudFormation takes of the id of something at the top of a stack."""
    return "".join(letter for letter in construct_id if letter.isascii() and letter.isalnum())


def address_output(service: str) -> str:
    """Id of the output with the address of a gateway's load balancer."""
    return f"{service}Address"


def routes_id(service: str) -> str:
    """Id of the resource that writes a proxy's route table."""
    return f"{service}-routes"


def root_output(hierarchy: str) -> str:
    """Id of the output with the ARN of a made hierarchy's root CA."""
    return f"{hierarchy}RootCa"


def shared_output(hierarchy: str) -> str:
    """Id of the output with the ARN of the CA that other cells issue from."""
    return f"{hierarchy}SharedCa"


def certificate_output(hierarchy: str, role: str) -> str:
    """Id of the output with the ARN of a CA's certificate; the role is ``Root`` or ``Issuing``."""
    return f"{hierarchy}{role}CertificateArn"
