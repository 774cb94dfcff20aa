"""A local AWS starts beside others, says what is missing, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.aws.config import Config
from local.running_aws import ROOT, LocalAws, LocalAwsFailed
from tests.local.aws.hierarchies import eventually
from tests.local.aws.stacks import deploy

if TYPE_CHECKING:
    from collections.abc import Callable

# A shell starts its background jobs with SIGINT ignored, and children inherit that: Ctrl-C is switched on again.
_STARTER = """
import signal, sys, time
from pathlib import Path
from local.running_aws import LocalAws
signal.signal(signal.SIGINT, signal.default_int_handler)
with LocalAws(Path(sys.argv[1])) as aws:
    print(aws._process.pid, aws.config.host, flush=True)
    time.sleep(600)
"""


def started(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that holds a local AWS in ``folder``, and the local AWS's own process id."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _STARTER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    return holder, int(holder.stdout.readline().split()[0])


def is_gone(pid: int) -> Callable[[], bool]:
    """Whether a process has ended; a zombie has."""
    status = Path(f"/proc/{pid}/status")

    def look() -> bool:
        try:
            return "\nState:\tZ" in status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    return look


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_it_ends_and_cleans_up_when_its_holder_ends(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, a termination, a kill: the local AWS is gone soon after, and so is all it wrote but the log."""
    holder, pid = started(tmp_path / "aws")

    holder.send_signal(number)
    holder.communicate(timeout=20)

    eventually(is_gone(pid), "the end of the local AWS", within_s=20)
    eventually(
        lambda: [path.name for path in (tmp_path / "aws").iterdir()] == ["local-aws.log"], "an empty folder", within_s=5
    )


def test_it_ends_and_cleans_up_on_a_signal_of_its_own(tmp_path: Path) -> None:
    """Whoever signals it directly gets the same clean end, with status 0."""
    with LocalAws(tmp_path / "aws") as aws:
        process = aws._process
        assert process is not None

        process.terminate()

        assert process.wait(20) == 0
        assert not aws.config.directory.exists()


def test_functions_end_with_it(tmp_path: Path) -> None:
    """A warm function is a process of its own; it does not survive."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    code = {"ZipFile": "import os\ndef handler(event, context): return os.getpid()"}
    function = {"Runtime": "python3.13", "Handler": "index.handler", "Role": {"Fn::GetAtt": ["Role", "Arn"]}}
    with LocalAws(tmp_path / "aws") as aws:
        deploy(
            aws,
            "stack",
            {
                "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}},
                "Function": {
                    "Type": "AWS::Lambda::Function",
                    "Properties": {**function, "FunctionName": "pid", "Code": code},
                },
            },
        )
        pid = int(aws.client("lambda").invoke(FunctionName="pid")["Payload"].read())
        assert not is_gone(pid)()

    assert is_gone(pid)()


def test_two_run_side_by_side_and_know_nothing_of_each_other(tmp_path: Path) -> None:
    """Each has its own network, and its own state."""
    with LocalAws(tmp_path / "one") as one, LocalAws(tmp_path / "two") as two:
        one.client("secretsmanager").create_secret(Name="secret", SecretString="x")

        assert one.config.network != two.config.network
        assert two.client("secretsmanager").list_secrets()["SecretList"] == []


def test_a_hook_that_is_gone_stops_the_start_with_its_name(tmp_path: Path) -> None:
    """A MiniStack that changed is noticed at once, not by a fix without effect."""
    config = Config(
        directory=tmp_path / "state",
        images=tmp_path,
        bundles=tmp_path / "bundles",
        host="127.63.0.1",
        port=4566,
        dns_port=10053,
        account="111122223333",
        region="eu-west-1",
        function_python=Path(sys.executable),
    )
    sabotage = (
        "import runpy; from ministack.services import secretsmanager; del secretsmanager._put_secret_value; "
        "runpy.run_module('local.aws', run_name='__main__')"
    )
    python = os.environ.get("MESHCERT_LOCAL_PYTHON") or str(ROOT / "build" / "venv-local" / "bin" / "python")

    ended = subprocess.run(
        [python, "-c", sabotage],
        cwd=ROOT,
        input=config.to_json() + "\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode != 0
    assert "ministack.services.secretsmanager has no '_put_secret_value' any more" in ended.stderr
    assert "1.5.33" in ended.stderr


def test_a_start_that_fails_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter without MiniStack: the message points to the log, which says the cause."""
    monkeypatch.setenv("MESHCERT_LOCAL_PYTHON", sys.executable)

    with pytest.raises(LocalAwsFailed, match="its log is") as error, LocalAws(tmp_path / "aws"):
        pass

    assert "No module named" in error.value.log_path.read_text()
