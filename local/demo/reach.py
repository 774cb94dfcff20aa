"""How each service of a mesh is reached, and how to look at what runs: lines for a shell that stay true."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from local.demo.questions import question_for
from meshcert import naming
from meshcert.contract.container import ADMIN_PORT
from meshcert.mesh import proxy_settings
from meshcert.mesh.edges.pairs import lets_in, pairs_of
from meshcert.proxy import TlsMode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.demo.questions import Question
    from local.running_mesh import RunningMesh
    from meshcert.mesh import Mesh
    from meshcert.proxy import Listener

# AWS CLI version 1 reads AWS_DEFAULT_REGION, version 2 both.
ENVIRONMENT = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION")


def ways_to(mesh: Mesh) -> Iterator[tuple[str, str]]:
    """Each service's listeners, and who reaches them by which way."""
    pairs = [pair for pair in pairs_of(mesh) if pair.declared]
    for service in mesh.services:
        for listener in proxy_settings(mesh, service).listeners:
            mode = "" if listener.tls.mode is TlsMode.STRICT else f", {listener.tls.mode}"
            place = f"{service}:{listener.port} ({listener.protocol}{mode})"
            if mesh.services[service].virtual_gateway and lets_in(mesh, listener, None):
                yield place, f"anybody, {_url(mesh, service, listener)}"
            for pair in pairs:
                if (pair.callee.service, pair.callee.listener) == (service, listener):
                    question = question_for(mesh, pair)
                    how = f", {_asked_at(mesh, question)}" if question else ", by no route"
                    outside = ", a client outside the mesh," if pair.caller.outside else ""
                    yield place, f"{pair.caller.name}{outside} over {pair.manner}{how}"
        if not any(pair.callee.service == service for pair in pairs) and mesh.services[service].virtual_node:
            yield service, "nobody: no backend names it"


def commands(mesh: Mesh, running: RunningMesh, roots: Path) -> dict[str, str]:
    """
    Lines for a shell, each by what it is for.

    None has the address of a task: tasks are replaced, and the first line finds those of now.

    Args:
        roots: File for the roots that clients of the gateways need; written here.
    """
    cluster, service = mesh.cluster_name, next(iter(mesh.services))
    accounts = {each.cell: mesh.cells[each.cell].account for each in mesh.services.values() if each.cell}
    environment = running.aws.environment(accounts.get(mesh.services[service].cell, ""))
    secret = naming.identity_secret(mesh.name, next(iter(mesh.identities)))
    found = {
        "Point the AWS CLI (version 1 or 2) and meshcert at the local AWS": "export "
        + " ".join(f"{name}={environment[name]}" for name in ENVIRONMENT),
        **{
            f"Look at cell {cell} from then on": f"export AWS_ACCESS_KEY_ID={account}"
            for cell, account in accounts.items()
        },
        "What each task serves, and what is published": f".venv/bin/meshcert --mesh {mesh.name} status",
        "The addresses of a service's tasks, as they are now": (
            f"tasks() {{ aws ecs describe-tasks --cluster {cluster} --output text --query "
            "'tasks[].attachments[].details[?name==`privateIPv4Address`].value[]' --tasks "
            f'$(aws ecs list-tasks --cluster {cluster} --service-name "$1" --query taskArns --output text); }}'
        ),
        "The certificates that Envoys hold": (
            f"for task in $(tasks {service}); do curl http://$task:{ADMIN_PORT}/certs; done"
        ),
        "The versions of a secret": f"aws secretsmanager describe-secret --secret-id {secret}",
    }
    needed: dict[str, str] = {}
    for question in _questions(mesh):
        if question.tls:
            hierarchy = mesh.identities[question.listener.tls.identity].hierarchy
            needed[hierarchy] = running.trust_bundle(hierarchy).certificates
    roots.write_text("".join(needed.values()))
    questions = _questions(mesh)
    for identity in dict.fromkeys(question.identity for question in questions if question.identity):
        secret = naming.identity_secret(mesh.name, identity)
        read = f"aws secretsmanager get-secret-value --secret-id {secret} --query SecretString --output text | jq -r"
        file = f"{roots.parent / identity}.pem"
        found[f"Fetch the certificate of {identity}; curl asks for the passphrase"] = (
            f"(umask 077; {read} '.Certificate, .CertificateChain, .PrivateKey' > {file}); {read} .Passphrase"
        )
    for question in questions:
        if question.host:
            asked = f"Ask {_asked_at(mesh, question)}"
            found[f"{asked}, as the application of {question.service} does"] = _application_line(question)
            continue
        found[f"Ask {question.service}:{question.listener.port}{question.path}"] = _curl(mesh, running, question, roots)
    return found


def _questions(mesh: Mesh) -> list[Question]:
    """One for each way in and path; those for which a client needs a certificate last."""
    asked = (question_for(mesh, pair) for pair in pairs_of(mesh) if pair.declared)
    different = {
        (each.service, each.listener.port, each.identity, each.host, each.request): each for each in asked if each
    }
    return sorted(different.values(), key=lambda each: each.identity or "")


def _curl(mesh: Mesh, running: RunningMesh, question: Question, roots: Path) -> str:
    host, port = _host(mesh, question.service, question.listener), question.listener.port
    address = f"$(tasks {question.service} | head -1)"
    if mesh.services[question.service].load_balancer:
        address = running.gateway_address(question.service)
    words = ["curl", f"--resolve {host}:{port}:{address}"]
    if question.tls:
        words.append(f"--cacert {roots}")
    if question.http2:
        words.append("--http2" if question.tls else "--http2-prior-knowledge")
    if question.identity:
        words.append(f"--cert {roots.parent / question.identity}.pem")
    return " ".join([*words, *_request_words(question), shlex.quote(_asked_at(mesh, question))])


def _application_line(question: Question) -> str:
    """A line that asks a task's Envoy as its application does."""
    address, port = f"$(tasks {question.service} | head -1)", question.listener.port
    if question.listener.protocol == "tcp":
        return f"nc {address} {port}"
    words = ["curl", f"--connect-to ::{address}:{port}"]
    if question.http2:
        words.append("--http2-prior-knowledge")
    return " ".join([*words, *_request_words(question), shlex.quote(f"http://{question.host}{question.path}")])


def _request_words(question: Question) -> Iterator[str]:
    """Words for curl that make the request one that the routes on its way take."""
    if question.grpc:
        yield "--include --output - -H content-type:application/grpc -H te:trailers"
        yield "--data-binary @<(printf '\\0\\0\\0\\0\\0')"
    elif question.request.method != "GET":
        yield f"-X {question.request.method}"
    for name, value in question.request.headers:
        yield f"-H {shlex.quote(f'{name}: {value}')}"


def _asked_at(mesh: Mesh, question: Question) -> str:
    if question.listener.protocol == "tcp":
        return f"127.0.0.1:{question.listener.port}"
    if question.host:
        headers = "".join(f", {name}: {value}" for name, value in question.request.headers)
        return f"http://{question.host}{question.path} at 127.0.0.1:{question.listener.port}{headers}"
    return _url(mesh, question.service, question.listener) + question.path


def _url(mesh: Mesh, service: str, listener: Listener) -> str:
    scheme = "http" if listener.tls.mode is TlsMode.DISABLED else "https"
    return f"{scheme}://{_host(mesh, service, listener)}:{listener.port}"


def _host(mesh: Mesh, service: str, listener: Listener) -> str:
    if listener.tls.mode is TlsMode.DISABLED:
        return f"{service}.{mesh.namespace}"
    return str(mesh.identities[listener.tls.identity].names[0])
