from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from vllama.cli.catalog import command


def test_names_come_with_parameters_and_the_size_of_the_download(tmp_path: Path) -> None:
    folder = tmp_path / "models.d"
    folder.mkdir()
    huge = "huge: {billions: 9000000, bf16: acme/huge, int4: acme/huge-int4}"
    tags = f"{{{huge}, latest: {{billions: 8.03, bf16: acme/mini, fp8: acme/mini-fp8}}, odd: {{bf16: acme/odd}}}}"
    (folder / "own.yaml").write_text(f"acme-mini: {{kind: chat, licence: acme, tags: {tags}}}\n")
    config = tmp_path / "vllama.yaml"
    config.write_text(f"paths: {{catalog: {folder}}}\n")
    done = CliRunner().invoke(command, ["list", "acme", "--config", str(config)])
    assert done.output.splitlines() == [
        "NAME                PARAMS    DOWNLOAD    BITS      KIND    REPOSITORY",
        "acme-mini:huge      9e+06B    5400 TB     4 (16)    chat    acme/huge-int4",
        "acme-mini:latest    8.03B     16 GB       16 (8)    chat    acme/mini",
        "acme-mini:odd       -         -           16        chat    acme/odd",
    ]


def test_the_shipped_names_fit_a_usual_terminal() -> None:
    lines = CliRunner().invoke(command, ["list"]).output.splitlines()
    assert max(map(len, lines)) <= 150
