"""Settings that the task definition only names: fetched once, kept, checked wherever they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.answer_reading import HttpAnswer
from entrypoint.aws.endpoint import Endpoint
from entrypoint.aws.retrying import ProcessClock
from entrypoint.container.drain import Drain
from entrypoint.settings import Settings
from entrypoint.stored_settings import fetch_settings
from evidence.fixtures.proxies import teller
from meshcert.documents.stored_settings import SUFFIX, stored_settings
from meshcert.errors import AwsRefused, AwsUnavailable, SettingsInvalid, StoredSettingsUnusable

if TYPE_CHECKING:
    from pathlib import Path

TEXT = teller(awaits_application=True).to_json()
CONTENT, DIGEST = stored_settings(TEXT)
KEY = f"{DIGEST}{SUFFIX}"
BUCKET = "cdk-hnb659fds-assets-111122223333-eu-west-1"
REFUSED = HttpAnswer(403, b"<Error><Code>AccessDenied</Code></Error>", "")
BUSY = HttpAnswer(503, b"<Error><Code>SlowDown</Code></Error>", "")


class Storage:
    """Amazon S3 with an answer after the other; the last one stays."""

    def __init__(self, *answers: HttpAnswer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Endpoint, str]] = []

    def connect(self, endpoint: Endpoint) -> Any:
        """A connection, which is this itself."""
        self.endpoint = endpoint
        return self

    def get(self, path: str, headers: list[tuple[str, str]], timeout_s: float) -> HttpAnswer:
        """The next answer."""
        del headers, timeout_s
        self.asked.append((self.endpoint, path))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> ProcessClock:
        """As the code under test takes it."""
        return ProcessClock(lambda: self.now, self._sleep, lambda: 1.0, lambda: self.now)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


def _environ(folder: Path, **more: str) -> dict[str, str]:
    return {
        "MESHCERT_PROXY_FROM": f"s3://{BUCKET}/{KEY}",
        "MESHCERT_MATERIAL_DIR": str(folder),
        "AWS_REGION": "eu-west-1",
        **more,
    }


def _fetch(environ: dict[str, str], storage: Storage, time: Time | None = None) -> str:
    session: Any = None  # the connection is ours
    return fetch_settings(environ, 0.0, session, (time or Time()).clock(), storage.connect)


def test_they_are_fetched_from_the_regions_own_endpoint_and_are_the_settings(tmp_path: Path) -> None:
    """As if they stood in the environment."""
    storage = Storage(HttpAnswer(200, CONTENT, ""))

    text = _fetch(_environ(tmp_path), storage)

    assert storage.asked == [(Endpoint(f"{BUCKET}.s3.eu-west-1.amazonaws.com", 443, tls=True), f"/{KEY}")]
    assert Settings.from_environ(_environ(tmp_path), text).proxy.to_json() == TEXT


def test_a_watcher_that_is_replaced_and_a_container_that_stops_need_no_storage(tmp_path: Path) -> None:
    """They are kept, for this user alone; the container then knows its application."""
    environ, gone = _environ(tmp_path), Storage(REFUSED)
    first = _fetch(environ, Storage(HttpAnswer(200, CONTENT, "")))

    assert _fetch(environ, gone) == first
    assert gone.asked == []
    (kept,) = tmp_path.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert vars(Drain.of_envoy(environ))["_application_port"] == teller().application_port


def test_what_was_kept_is_believed_by_its_sha_256_alone(tmp_path: Path) -> None:
    """What somebody has put there is fetched again."""
    environ = _environ(tmp_path)
    _fetch(environ, Storage(HttpAnswer(200, CONTENT, "")))
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(stored_settings(teller(application_port=1).to_json())[0])

    assert _fetch(environ, Storage(HttpAnswer(200, CONTENT, ""))) == TEXT
    assert kept.read_bytes() == CONTENT


def test_a_storage_that_fails_is_asked_again(tmp_path: Path) -> None:
    """A role that is new may be refused at first, too."""
    assert _fetch(_environ(tmp_path), Storage(BUSY, REFUSED, HttpAnswer(200, CONTENT, ""))) == TEXT


@pytest.mark.parametrize(
    ("answer", "error", "after_s"),
    [
        (BUSY, AwsUnavailable, range(26, 31)),
        (REFUSED, AwsRefused, range(11, 16)),
        (HttpAnswer(200, b"another", ""), StoredSettingsUnusable, range(1)),
    ],
)
def test_a_storage_that_goes_on_failing_ends_the_start(
    tmp_path: Path, answer: HttpAnswer, error: type[Exception], after_s: range
) -> None:
    """At the start deadline; after the grace of a new role; at once if it is not what was named."""
    time = Time()

    with pytest.raises(error, match=KEY):
        _fetch(_environ(tmp_path, MESHCERT_START_DEADLINE_S="30"), Storage(answer), time)

    assert int(time.now) in after_s
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "place", "problem"),
    [
        ({"MESHCERT_PROXY_FROM": "s3://bucket/settings.json"}, "MESHCERT_PROXY_FROM", "it is not s3://BUCKET"),
        ({"AWS_REGION": ""}, "MESHCERT_PROXY_FROM", "because of the other faults"),
        ({"MESHCERT_PROXY": TEXT}, "MESHCERT_PROXY", "MESHCERT_PROXY_FROM is set too"),
    ],
)
def test_a_wrong_environment_is_told_with_its_other_faults(
    tmp_path: Path, changes: dict[str, str], place: str, problem: str
) -> None:
    """And nothing is fetched that nobody could use."""
    environ, storage = _environ(tmp_path) | changes, Storage(HttpAnswer(200, CONTENT, ""))

    with pytest.raises(SettingsInvalid) as ended:
        Settings.from_environ(environ, _fetch(environ, storage))

    told = {fault.place: fault.problem for fault in ended.value.faults}
    assert problem in told[place]
    assert ("AWS_REGION" in told) == (not environ["AWS_REGION"])


def test_faults_of_the_settings_name_where_they_come_from(tmp_path: Path) -> None:
    """Nobody has to look for them in the task definition."""
    text = teller(poll_interval_s=0).to_json()

    with pytest.raises(SettingsInvalid, match=r"MESHCERT_PROXY_FROM\.poll_interval_s"):
        Settings.from_environ(_environ(tmp_path), text)


def test_a_full_material_folder_is_told(tmp_path: Path) -> None:
    """Settings that cannot be kept would be missing when the container stops."""
    environ = _environ(tmp_path / "missing")

    with pytest.raises(SettingsInvalid, match="cannot be written"):
        _fetch(environ, Storage(HttpAnswer(200, CONTENT, "")))
