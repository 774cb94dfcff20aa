"""A task's share of CPU: a hard limit for all its containers together, where cgroups permit one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.aws.fargate.containers import cpu_quota
from local.aws.fargate.containers.container import Container, ContainerPlan
from local.aws.fargate.containers.cpu_quota import CpuQuota, QuotaNotPermittedError
from local.aws.fargate.containers.sandbox import Program
from local.running_aws import LocalAws
from tests.local.aws.hierarchies import eventually
from tests.local.aws.running_tasks import CLUSTER, RunningTask, build_image, container, register

if TYPE_CHECKING:
    from collections.abc import Iterator

# So little that even a busy machine would give a process more.
SHARE = 64
BUSY = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"
PERMITTED = not cpu_quota.refusal()


@pytest.fixture
def quota() -> Iterator[CpuQuota | None]:
    """A sixteenth of a core; None where this machine permits no quota."""
    if not PERMITTED:
        yield None
        return
    opened = cpu_quota.open_quota("test", SHARE)
    yield opened
    opened.remove()
    assert not opened.folder.exists()


def took(command: list[str]) -> float:
    """Seconds a command takes."""
    began = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - began


def test_a_sixteenth_of_a_core_takes_sixteen_times_as_long(quota: CpuQuota | None) -> None:
    """However idle the machine is; where there can be no quota, it is said why."""
    busy = [sys.executable, "-S", "-c", BUSY.format(0.2)]
    if quota is None:
        assert cpu_quota.refusal()
        return

    seconds = took(quota.joining(busy))

    # 6.25 ms in every 100 ms; the first period may have begun already.
    assert seconds >= 0.2 * 16 - 0.2
    assert quota.throttled > 10


def test_all_containers_and_their_health_checks_share_it(quota: CpuQuota | None) -> None:
    """A task has one share: what one container uses, the other does not get."""
    environment = {"PATH": os.environ["PATH"]}
    program = Program((sys.executable, "-S", "-c", BUSY.format(60)))
    containers = [
        Container(ContainerPlan(name, program, environment, lambda _: None, quota), lambda: None)
        for name in ("envoy", "application")
    ]
    before = time.monotonic()
    try:
        for container in containers:
            container.start()
        assert containers[0].run(["true"], 30)
        if quota is not None:
            used = eventually(
                lambda: _used_s(quota) > 0.2 and _used_s(quota), "a fifth of a second of CPU", within_s=60
            )
            assert used <= (time.monotonic() - before + 0.1) * SHARE / 1024 + 0.1
            members = (quota.folder / "cgroup.procs").read_text().split()
            assert len(members) >= 2
    finally:
        for container in containers:
            container.kill()
            assert container.wait(10)


def _used_s(quota: CpuQuota) -> float:
    """CPU time of the processes in the group, seconds."""
    ticks = 0
    for process in (quota.folder / "cgroup.procs").read_text().split():
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def test_a_group_that_cannot_be_made_is_a_reason_and_no_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For example a cgroup file system that is mounted read-only: the reason is the kernel's."""
    monkeypatch.setattr(cpu_quota, "own_group", lambda: tmp_path / "missing")

    with pytest.raises(QuotaNotPermittedError, match="No such file or directory"):
        cpu_quota.open_quota("test", SHARE)
    cpu_quota.refusal.cache_clear()
    try:
        assert "No such file" in cpu_quota.refusal()
    finally:
        cpu_quota.refusal.cache_clear()


def test_what_a_dead_process_left_behind_is_removed() -> None:
    """A local AWS that was killed could not; the next one does, and leaves alone what lives."""
    if not PERMITTED:
        assert cpu_quota.refusal()
        return
    living = cpu_quota.open_quota("living", SHARE)
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = living.folder.with_name(f"meshcert-task-{ended.pid}-left")
    left.mkdir()

    cpu_quota.refusal.cache_clear()
    assert cpu_quota.refusal() == ""

    assert not left.exists()
    assert living.folder.exists()
    living.remove()


def test_a_task_runs_within_its_units_and_leaves_no_group(tmp_path: Path) -> None:
    """256 units are 25 ms of every 100 ms; where there can be no quota, the local AWS says so and the task runs."""
    with LocalAws(tmp_path / "aws", images=tmp_path / "images", cpu_quota=True) as aws:
        build_image(aws, tmp_path / "context")
        task = RunningTask.start(aws, register(aws, "limited", container()))
        task.answers()
        groups, said = _groups_of(task), aws.cpu_shares()
        limits = [_limit(group) for group in groups]
        running = [(group / "cgroup.procs").read_text().split() for group in groups]
        task.ecs.stop_task(cluster=CLUSTER, task=task.arn)
        task.reaches(lastStatus="STOPPED")

        assert said.startswith("CPU: no task gets more than its units" if PERMITTED else "CPU: tasks get more")
        assert limits == ([["25000", "100000"]] if PERMITTED else [])
        assert all(running)
        eventually(lambda: not _groups_of(task), "the group to be removed")


def test_without_the_setting_no_task_is_limited(tmp_path: Path) -> None:
    """It is said as well."""
    with LocalAws(tmp_path / "aws", images=tmp_path / "images") as aws:
        build_image(aws, tmp_path / "context")
        task = RunningTask.start(aws, register(aws, "unlimited", container()))
        task.answers()

        assert _groups_of(task) == []
        assert aws.cpu_shares().endswith("(switched off)")


def _groups_of(task: RunningTask) -> list[Path]:
    """The cgroups that were made for a task."""
    return list(cpu_quota.own_group().glob(f"*-{task.arn.rpartition('/')[2]}")) if PERMITTED else []


def _limit(group: Path) -> list[str]:
    """Quota and period of a cgroup, in microseconds."""
    if (group / "cpu.max").exists():
        return (group / "cpu.max").read_text().split()
    return [(group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period")]
