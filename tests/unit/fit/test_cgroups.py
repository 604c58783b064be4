"""The limits that the control groups around us set."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllama.fit.cgroups import group_limits, limits_begin


def test_the_tightest_cgroup_around_us_counts(tmp_path: Path):
    inner = tmp_path / "system.slice" / "vllama.service"
    inner.mkdir(parents=True)
    (tmp_path / "system.slice" / "memory.max").write_text("8000\n")
    (tmp_path / "system.slice" / "memory.current").write_text("5000\n")
    (tmp_path / "system.slice" / "memory.stat").write_text("anon 1\ninactive_file 1000\n")
    (tmp_path / "system.slice" / "cpu.max").write_text("250000 100000\n")
    (inner / "memory.max").write_text("max\n")
    (inner / "cpu.max").write_text("max 100000\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/system.slice/vllama.service\n")
    limits = group_limits(membership, tmp_path)
    assert (limits.memory, limits.used, limits.cpus) == (8000, 4000, 2.5)


def test_the_daemons_own_limit_does_not_count_for_engines(tmp_path: Path):
    own = tmp_path / "vllama.service" / "frontend"
    own.mkdir(parents=True)
    (own / "memory.max").write_text("2000\n")
    (own.parent / "memory.max").write_text("8000\n")
    (tmp_path / "cgroup").write_text("0::/vllama.service/frontend\n")
    assert group_limits(tmp_path / "cgroup", tmp_path, lambda _: own.parent).memory == 8000


@pytest.mark.parametrize("membership", ["", "1:name=x:/\n", "0::/../../etc\n", "0::/gone\n"])
def test_strange_cgroups_set_no_limits(tmp_path: Path, membership: str):
    (tmp_path / "cgroup").write_text(membership)
    limits = group_limits(tmp_path / "cgroup", tmp_path)
    assert (limits.memory, limits.cpus) == (None, None)


def test_limits_begin_at_the_service_where_ours_is_a_part_of_it(tmp_path: Path):
    service = tmp_path / "vllama.service"
    assert limits_begin(service / "frontend", service.__eq__) == service
    assert limits_begin(service, service.__eq__) == service
