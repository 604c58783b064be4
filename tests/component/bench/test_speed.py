"""``vllama bench`` as it is typed, against servers of both APIs."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.component.bench.conftest import Bench
from tests.fakes.benched import Benched, closing_after, serving_ollama
from tests.fakes.model_dir import TINYCHAT
from tests.fakes.running import RunningEngine

SMALL = ("--clients", "1,3", "--rounds", "2", "--tokens", "20")


async def test_both_apis_are_measured_next_to_each_other(
    bench: Bench, ollama: Benched, openai: Benched, tmp_path: Path
) -> None:
    kept = tmp_path / "all.json"
    done = await bench("mini", "--host", ollama.url, "--vs", f"vllm={openai.url}", *SMALL, "--json", kept)
    assert done.returncode == 0, done.stderr
    reported = json.loads(kept.read_bytes())
    assert [(row["target"], row["clients"]) for row in reported["figures"]["rows"]] == [
        *(("vllama", 1), ("vllm", 1)),
        *(("vllama", 3), ("vllm", 3)),
    ]
    samples = [sample for leg in reported["legs"] for sample in leg["samples"]]
    assert {sample["tokens_out"] for sample in samples} == {5}
    assert all(len(sample["gaps"]) == 4 and 0 < sample["first"] <= sample["total"] for sample in samples)
    assert {row["target"] for row in reported["figures"]["ratios"]} == {"vllm"}
    assert all(leg["cpu"] >= 0 for leg in reported["legs"])
    assert reported["memory"]["vllama"]["processes"] > 10_000_000


async def test_all_are_asked_the_same_words_and_nothing_twice(bench: Bench, ollama: Benched, openai: Benched) -> None:
    done = await bench("mini", "--host", ollama.url, "--vs", f"vllm={openai.url}", *SMALL, "--prompts", "mixed")
    assert done.returncode == 0, done.stderr
    asked = [[server.prompt(body).strip() for _, body in server.asked][2:] for server in (ollama, openai)]
    assert len(asked[0]) == 3 + 2 * (8 + 8) + 4  # warming up, the legs, and before each one that does not count
    words = [sorted(sorted(text.replace(".", "").split()) for text in texts) for texts in asked]
    assert words[0] == words[1]
    assert len({*asked[0], *asked[1]}) == len(asked[0]) * 2
    assert {len(text.split()) for text in asked[0]} == {50, 200, 500}


async def test_people_get_tables_and_see_what_is_compared(bench: Bench, ollama: Benched, openai: Benched) -> None:
    done = await bench("--host", ollama.url, "--name", "mine", "--vs", f"theirs={openai.url}", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "REQ/S" in done.stdout
    assert "OVER MINE" in done.stdout
    assert "mine: Ollama 0.33.0, mini:latest, 1.7B, BF16, context 4096" in done.stderr
    assert "theirs: vLLM, mini, context 4096 (not reported: parameters, bits, version)" in done.stderr
    assert "round 2 of 2" in done.stderr


async def test_unlike_things_are_refused_until_it_is_said_that_they_are_meant(bench: Bench, ollama: Benched) -> None:
    async with serving_ollama(bits="Q4_K_M") as other:
        words = ("mini", "--host", ollama.url, "--vs", f"four={other.url}", *SMALL)
        refused = await bench(*words)
        assert refused.returncode == 1
        assert "vllama and four: bits BF16 and Q4_K_M" in refused.stderr
        assert "--unlike" in refused.stderr
        done = await bench(*words, "--unlike")
    assert done.returncode == 0, done.stderr
    assert "not the same: vllama and four: bits BF16 and Q4_K_M" in done.stderr


@pytest.mark.parametrize(("one_at_a_time", "status", "word"), [(False, 0, "met"), (True, 1, "missed")])
async def test_the_gate_is_for_computing_requests_together(
    bench: Bench, one_at_a_time: bool, status: int, word: str
) -> None:
    async with serving_ollama(one_at_a_time=one_at_a_time, pause=0.05, words=3) as server:
        done = await bench("--host", server.url, "--gate", "--clients", "1", "--rounds", "1", "--requests", "1")
    assert done.returncode == status, done.stderr
    assert f"{word} " in done.stdout
    assert "requests/s at 16 clients" in done.stdout


async def test_curves_and_a_page_are_drawn_now_and_later(bench: Bench, ollama: Benched, tmp_path: Path) -> None:
    kept, curves, page = tmp_path / "all.json", tmp_path / "curves.png", tmp_path / "page.html"
    done = await bench("--host", ollama.url, *SMALL, "--json", kept, "--plot", curves, "--html", page)
    assert done.returncode == 0, done.stderr
    image = Image.open(BytesIO(curves.read_bytes()))
    assert image.format == "PNG"
    assert image.convert("L").getextrema()[0] < 128
    again = await bench("report", kept, "--plot", tmp_path / "again.svg", "--html", tmp_path / "again.html")
    assert again.stdout == done.stdout
    assert (tmp_path / "again.svg").read_text().startswith("<svg")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


@pytest.mark.parametrize("route", ["chat", "generate"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_every_call_can_be_measured(bench: Bench, openai: Benched, route: str, streamed: bool) -> None:
    options = [] if streamed else ["--no-stream"]
    done = await bench("--host", openai.url, "--route", route, *options, *SMALL, "--length", "fixed", "--system", "30")
    assert done.returncode == 0, done.stderr
    path, body = openai.asked[-1]
    assert path == {"chat": "/v1/chat/completions", "generate": "/v1/completions"}[route]
    assert body["stream"] is streamed
    assert body["ignore_eos"] is True
    row = done.stdout.split("TTFT P50")[1].splitlines()[1].split()
    assert ("-" in row) is not streamed  # a TTFT that nobody saw is not made up


async def test_failed_requests_are_reported_and_counted(bench: Bench) -> None:
    async with serving_ollama(failing=True) as server:
        done = await bench("--host", server.url, *SMALL)
    assert done.returncode == 1
    assert "32 x vllama: 500: out of order" in done.stderr  # those that count


async def test_a_server_that_closes_kept_connections_fails_no_request(bench: Bench, tmp_path: Path) -> None:
    """Each connection answers three requests, and is closed when the fourth has come."""
    kept = tmp_path / "all.json"
    async with serving_ollama() as server, closing_after(server.url, 3) as front:
        done = await bench("--host", front.url, *SMALL, "--json", kept)
    assert done.returncode == 0, done.stderr
    samples = [sample for leg in json.loads(kept.read_bytes())["legs"] for sample in leg["samples"]]
    assert {sample["error"] for sample in samples} == {""}
    assert front.closed > 10


async def test_a_server_that_closes_new_connections_fails_every_request(bench: Bench) -> None:
    async with serving_ollama() as server, closing_after(server.url, 0) as front:
        done = await bench("--host", front.url, *SMALL)
    assert done.returncode == 1
    assert "what answers there is not an HTTP server" in done.stderr


@pytest.mark.parametrize(
    ("how", "reported"),
    [
        ({"failing": True, "from_the_start": True}, "vllama can't be measured: 500: out of order"),
        ({"unfinished": True}, "the answer ended without its last part"),
        ({"broken": True}, "it closed the connection in the middle of an answer"),
        ({"pause": 60.0}, "it sent nothing for 0.5 s"),
    ],
)
async def test_a_server_that_answers_badly_is_named_with_what_it_does(
    bench: Bench, how: dict[str, Any], reported: str
) -> None:
    async with serving_ollama(**how) as server:
        done = await bench("--host", server.url, *SMALL, "--timeout", "0.5")
    assert done.returncode == 1
    assert reported in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_server_of_something_else_is_named_with_its_status(bench: Bench) -> None:
    async with serving_ollama(elsewhere=True) as server:
        done = await bench("mini", "--host", server.url)
    assert done.returncode == 1
    assert "can't be measured: GET /v1/models was answered with status 404" in done.stderr
    assert "It must have Ollama's or OpenAI's API" in done.stderr


async def test_an_engine_on_a_unix_socket_is_measured(bench: Bench, tmp_path: Path) -> None:
    async with RunningEngine(tmp_path, TINYCHAT) as engine:
        done = await bench("--host", f"unix:{engine.socket}", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "vLLM 0.32.0" in done.stderr
    assert "BF16" in done.stderr  # from the model's own files


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("--host", "127.0.0.1:1"), "no server answers"),
        (("nosuch", "--host", "OLLAMA"), "model 'nosuch' not found"),
        (("--host", "OLLAMA", "--vs", "http://127.0.0.1:1"), "does not name a target"),
        (("--host", "OLLAMA", "--vs", "a=ftp://x"), "'ftp://x' is not an address"),
        (("--host", "OLLAMA", "--vs", "a=localhost:1"), "'localhost:1' is not an address"),
        (("--host", "OLLAMA", "--vs", "a=http://h:x"), "'http://h:x' is not an address"),
        (("--host", "OLLAMA", "--vs", "a=unix:"), "'unix:' is not an address"),
        (("--host", "OLLAMA", "--vs", "a=unix:/nowhere"), "a at unix:/nowhere can't be measured: no server answers"),
        (("--host", "OLLAMA", "--vs", "a=http://h:1/v1"), "has a path; give only the server's address"),
        (("--host", "OLLAMA", "--vs", "a=http://127.0.0.1:1"), "no server answers (Connect"),
        (("--host", "OLLAMA", "--vs", "a=http://no.such.invalid"), "a at http://no.such.invalid can't be measured"),
        (("--host", "OLLAMA", "--timeout", "0"), "--timeout"),
        (("--host", "OLLAMA", "--vs", "vllama=http://127.0.0.1:1"), "two targets are named 'vllama'"),
        (("--host", "OLLAMA", "--vs-model", "a=b"), "'a' is not a target"),
        (("--host", "OLLAMA", "--clients", "1,x"), "not a list of numbers"),
        (("--host", "OLLAMA", "--prompts", "huge"), "one of short, medium, long, mixed"),
        (("--host", "OLLAMA", "--plot", "curves.jpg"), "must end in .svg or .png"),
        (("--host", "OLLAMA", "--json", "/nowhere/at/all.json"), "not a directory that you may write to"),
        (("report", "/nowhere.json"), "can't read"),
        (("report", "pyproject.toml"), "not a measurement"),
    ],
)
async def test_what_can_not_be_measured_is_reported(
    bench: Bench, ollama: Benched, words: tuple[str, ...], reported: str
) -> None:
    done = await bench(*(ollama.url if word == "OLLAMA" else word for word in words))
    assert done.returncode in {1, 2}
    assert reported in done.stderr
    assert "Traceback" not in done.stderr


async def test_prefix_caching_is_seen(bench: Bench, openai: Benched) -> None:
    done = await bench("prefix", "--host", openai.url, "--system", "100", "--clients", "1,2", "--rounds", "2", "--json")
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    assert [row["ratio"]["clients"] for row in reported["rows"]] == [1, 2]
    assert all(row["ratio"]["first"]["median"] < 0.8 for row in reported["rows"])
    assert all(row["repeated"]["tokens_in"] == row["fresh"]["tokens_in"] for row in reported["rows"])
    cached = {leg["target"]: {sample["cached"] for sample in leg["samples"]} for leg in reported["legs"]}
    assert cached == {"repeated": {100}, "fresh": {0}}
