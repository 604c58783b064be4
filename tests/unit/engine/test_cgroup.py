from __future__ import annotations

from vllama.engine.cgroup import EngineGroup, _delegated, make_group, own_group


def test_a_group_that_nobody_delegated_to_us_is_left_alone(tmp_path):
    own = tmp_path / "cgroup"
    own.write_text("0::/user.slice/session.scope\n")
    (tmp_path / "user.slice/session.scope").mkdir(parents=True)
    assert _delegated(own, tmp_path) is None


def test_without_control_groups_there_is_no_group(tmp_path):
    assert _delegated(tmp_path / "none", tmp_path) is None


def test_outside_of_a_service_engines_get_no_group():
    assert make_group("engine") is None


def test_a_group_counts_as_empty_when_it_is_gone(tmp_path):
    group = EngineGroup(tmp_path / "gone")
    group.kill()
    group.remove()
    assert not group.populated


def test_a_group_with_somebody_in_it_is_populated(tmp_path):
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert EngineGroup(tmp_path).populated


def test_what_the_kernel_killed_for_lack_of_memory_is_counted(tmp_path):
    assert EngineGroup(tmp_path).oom_kills == 0
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 2\noom_kill 3\noom_group_kill 0\n")
    assert EngineGroup(tmp_path).oom_kills == 3


def test_engines_without_a_group_are_counted_where_the_daemon_is(tmp_path):
    own = tmp_path / "cgroup"
    own.write_text("1:name=systemd:/x\n0::/user.slice\n")
    group = own_group(own, tmp_path)
    assert group is not None
    assert group.path == tmp_path / "user.slice"
    assert own_group(tmp_path / "none", tmp_path) is None
