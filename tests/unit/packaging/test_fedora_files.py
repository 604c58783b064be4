"""What Fedora's tools read: Packit's configuration, the announcement for Avahi, and the man pages."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest
import yaml

from vllama import __version__
from vllama.config.schema import Config, Settings

ROOT = Path(__file__).parents[3]


def test_packit_finds_the_spec_and_the_version_and_packs_what_the_spec_unpacks(tmp_path: Path):
    packit = yaml.safe_load((ROOT / ".packit.yaml").read_text())
    spec = (ROOT / packit["specfile_path"]).read_text()
    (version,) = packit["actions"]["get-current-version"]
    done = subprocess.run(version, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__
    assert f"Version:        {__version__}\n" in spec
    assert "Source0:        %{name}-%{version}.tar.gz" in spec
    (tmp_path / "packaging" / "rpm").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    git = tmp_path / "bin" / "git"  # of the archive only the name matters here
    git.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n: >"$2"\n')
    git.chmod(0o755)
    environ = {"PATH": f"{git.parent}:{os.environ['PATH']}", "PACKIT_PROJECT_VERSION": "1.2.3"}
    for command in packit["actions"]["create-archive"]:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == "packaging/rpm/vllama-1.2.3.tar.gz"
    for job in packit["jobs"]:
        assert [target.rpartition("-")[0] for target in job["targets"]] == ["fedora-43", "fedora-44", "fedora-45"]


def test_avahi_announces_the_port_of_the_shipped_configuration():
    group = ET.parse(ROOT / "packaging" / "avahi" / "vllama.service").getroot()
    assert group.findtext("service/type") == "_ollama._tcp"
    assert group.findtext("service/port") == str(Config().server.port)


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    file = ROOT / "packaging" / "man" / "pages.py"
    spec = importlib.util.spec_from_file_location("man_pages", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_the_configuration_writes_times_and_sizes_as_people_do(pages: ModuleType):
    text = pages.page("vllama.yaml.5")
    assert '.BR keep_alive " (default: 5m)"' in text
    assert '.BR max_body " (default: 64MiB)"' in text
    assert '.BR level " (default: info)"' in text


def test_each_setting_is_described_once_and_the_shipped_profiles_are_a_table(pages: ModuleType):
    text = pages.page("vllama.yaml.5")
    for name in Settings.model_fields:
        assert len(re.findall(rf"^\.BR {name} \" \(", text, re.MULTILINE)) == 1, name
    assert text.startswith("'\\\" t\n"), "man runs tbl for it"
    assert "medium\t16\tT{\nmax_num_seqs: 64, gpu_memory_utilization: 0.9, kv_cache_dtype: fp8\nT}\n" in text
    assert "small\tevery\tT{\nmax_num_seqs: 512, max_model_len: 8192\nT}\n" in text


@pytest.mark.parametrize("name", ["vllama.1", "vllama.yaml.5", "vllama.service.8"])
def test_every_page_has_examples_and_no_option_without_a_word(pages: ModuleType, name: str):
    text = pages.page(name)
    assert "\n.SH EXAMPLES\n" in text
    assert "Show this message and exit" not in text
    assert not re.search(r"@[A-Z]+@", text)
