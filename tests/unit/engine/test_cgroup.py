from __future__ import annotations

from vllama.engine.cgroup import EngineGroup, _delegated, make_group


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
