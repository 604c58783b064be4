from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from vllama.config.keys import KeyRing, make_key, write_keys
from vllama.observe.upkeep import Upkeep


async def text_of(upkeep: Upkeep) -> str:
    registry = CollectorRegistry()
    registry.register(upkeep)
    await upkeep.look()
    return generate_latest(registry).decode()


async def test_the_disk_of_a_directory_is_measured_and_one_that_does_not_exist_is_left_out(tmp_path: Path):
    text = await text_of(Upkeep({"state": tmp_path, "cache": tmp_path / "none"}, lambda: KeyRing(()), lambda: 512))
    assert 'vllama_disk_free_bytes{directory="state"}' in text
    assert 'vllama_disk_size_bytes{directory="state"}' in text
    assert "cache" not in text
    assert "vllama_requests_waiting_limit 512.0" in text


async def test_a_file_of_keys_that_is_broken_is_counted_until_it_can_be_read_again(tmp_path: Path):
    file = tmp_path / "keys"
    ring = KeyRing((file,))
    upkeep = Upkeep({}, lambda: ring, lambda: 1)
    assert "vllama_keys_files_broken 0.0" in await text_of(upkeep)
    file.write_text("no key\n")
    assert "vllama_keys_files_broken 1.0" in await text_of(upkeep)
    write_keys(file, [make_key("laptop", "use", "2026-11-30")[0]])
    assert "vllama_keys_files_broken 0.0" in await text_of(upkeep)
