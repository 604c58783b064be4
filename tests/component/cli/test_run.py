"""``vllama run``: one question, or a chat in a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.component.cli.conftest import Vllama
from tests.component.cli.terminal import CTRL_D, Terminal
from tests.fakes.service import SHOW, Service, answer, say

Open = Callable[..., Terminal]


def contents(body: dict[str, object]) -> list[str]:
    messages = body["messages"]
    assert isinstance(messages, list)
    return [message["content"] for message in messages]


# one question


def test_a_prompt_is_answered_on_stdout(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("Good", " day")]
    done = vllama("run", "mini", "say", "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Good day\n", "")
    assert service.bodies("/api/generate") == [{"model": "mini", "prompt": "say hello", "stream": True}]


def test_piped_text_stands_before_the_prompt(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("ok")]
    vllama("run", "mini", "Shorten this.", stdin="A long story.\n")
    assert service.bodies("/api/generate")[0]["prompt"] == "A long story. Shorten this."


def test_flags_become_fields_of_the_request(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("{}")]
    vllama("run", "mini", "--format", "json", "--keepalive", "-1", "--system", "Be brief.", "--think=high", "hi")
    body = service.bodies("/api/generate")[0]
    assert body["format"] == "json"
    assert (body["keep_alive"], body["system"], body["think"]) == ("-1s", "Be brief.", "high")


def test_think_without_a_level_does_not_eat_the_prompt(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("ok")]
    vllama("run", "mini", "--think", "why?")
    body = service.bodies("/api/generate")[0]
    assert (body["think"], body["prompt"]) == (True, "why?")


def test_a_schema_may_stand_in_a_file(vllama: Vllama, service: Service, tmp_path: Path) -> None:
    service.chats = [answer("{}")]
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    vllama("run", "mini", "hi", "--format", str(tmp_path / "schema.json"))
    assert service.bodies("/api/generate")[0]["format"] == schema


def test_a_wrong_format_is_reported(vllama: Vllama) -> None:
    done = vllama("run", "mini", "hi", "--format", "xml")
    assert done.returncode == 1
    assert "neither json nor a JSON schema" in done.stderr


def test_thinking_is_shown_apart_from_the_answer(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("Seven.", thinking="3 plus 4.")]
    assert vllama("run", "mini", "hi").stdout == "Thinking...\n3 plus 4.\n...done thinking.\n\nSeven.\n"


def test_thinking_can_be_hidden(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("Seven.", thinking="3 plus 4.")]
    assert vllama("run", "mini", "hi", "--hidethinking").stdout == "Seven.\n"


def test_verbose_reports_counts_and_rates_on_stderr(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("Good")]
    done = vllama("run", "mini", "hi", "--verbose")
    assert done.stdout == "Good\n"
    assert done.stderr.split("\n")[1:-1] == [
        "total duration:          412.870113ms",
        "load duration:           38.11254ms",
        "prompt eval count:       19 token(s)",
        "prompt eval duration:    200ms",
        "prompt eval rate:        95.00 tokens/s",
        "eval count:              4 token(s)",
        "eval duration:           80ms",
        "eval rate:               50.00 tokens/s",
    ]


def test_json_gives_the_whole_answer(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("Good", " day")]
    done = json.loads(vllama("run", "mini", "hi", "--json").stdout)
    assert (done["response"], done["eval_count"]) == ("Good day", 4)


def test_what_a_model_writes_cannot_drive_the_terminal(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("safe\x1b]0;owned\x07", "\x9b2J\n")]
    assert vllama("run", "mini", "hi").stdout == "safe]0;owned2J\n"


def test_an_error_in_mid_stream_is_reported_after_what_came(vllama: Vllama, service: Service) -> None:
    service.chats = [[say("Once"), {"error": "an error was encountered while running the model: out of memory"}]]
    done = vllama("run", "mini", "hi")
    assert (done.returncode, done.stdout) == (1, "Once\n")
    assert done.stderr == "Error: an error was encountered while running the model: out of memory\n"


def test_an_unknown_model_is_reported_in_ollamas_words(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/show"] = (404, {"error": "model 'foo:latest' not found"})
    service.pulls = [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}]
    done = vllama("run", "foo", "hi")
    assert done.returncode == 1
    assert done.stderr == "pulling manifest\nError: pull model manifest: file does not exist\n"


def test_a_model_that_is_not_here_is_pulled_first(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/show"] = (404, {"error": "model 'foo:latest' not found"})
    digest = "sha256:" + "ab" * 32
    line = {"status": "pulling abababababab", "digest": digest, "total": 3_000_000}
    service.pulls = [line, {**line, "completed": 3_000_000}, {"status": "success"}]
    service.chats = [answer("Hello")]
    done = vllama("run", "foo", "hi")
    assert (done.returncode, done.stdout) == (0, "Hello\n")
    assert service.bodies("/api/pull") == [{"model": "foo"}]
    assert done.stderr == "pulling abababababab: 0 B of 3 MB\npulling abababababab: 3 MB of 3 MB\n"


def test_no_prompt_and_no_terminal_is_an_error(vllama: Vllama) -> None:
    done = vllama("run", "mini")
    assert done.returncode == 1
    assert "there is no prompt" in done.stderr


def test_an_embedding_model_gives_a_vector(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/show"] = (200, {**SHOW, "capabilities": ["embedding"]})
    service.fixed["/api/embed"] = (200, {"model": "vec", "embeddings": [[0.6, -0.8]]})
    assert vllama("run", "vec", "some text").stdout == "[0.6,-0.8]\n"


def test_a_terminal_shows_that_the_model_is_loaded_first(terminal: Callable[..., Terminal], service: Service) -> None:
    service.chats = [answer("Good")]
    service.loadable.clear()
    screen = terminal("run", "mini", "hi")
    screen.see("loading mini")
    service.loadable.set()
    screen.see("Good\n")
    assert screen.leave() == 0
    assert service.bodies("/api/chat") == [{"model": "mini", "messages": [], "stream": False}]


def test_a_terminal_shows_how_far_the_load_is(terminal: Callable[..., Terminal], service: Service) -> None:
    reported = {"name": "mini:latest", "phase": "starting", "waiting": 1, "stage": "loading weights 62 %"}
    service.fixed["/vllama/engines"] = (200, {"engines": [reported]})
    service.chats = [answer("Good")]
    service.loadable.clear()
    screen = terminal("run", "mini", "hi")
    screen.see("loading mini: loading weights 62 %")
    service.loadable.set()
    screen.see("Good\n")
    assert screen.leave() == 0


def test_text_that_the_locale_cannot_spell_does_not_break_the_answer(vllama: Vllama, service: Service) -> None:
    service.chats = [answer("caf\u00e9 \u2603")]
    assert vllama("run", "mini", "hi", PYTHONIOENCODING="ascii").stdout == "caf? ?\n"


# a chat


def chat(terminal: Open, *arguments: str, **more: str) -> Terminal:
    screen = terminal("run", "mini", *arguments, **more)
    screen.see(">>> ")
    return screen


def test_a_chat_loads_the_model_first_and_remembers_what_was_said(terminal: Open, service: Service) -> None:
    service.chats = [answer("Hello", " Kim."), answer("Kim.")]
    screen = chat(terminal)
    screen.type("I am Kim\n")
    screen.see("Hello Kim.")
    screen.see(">>> ")
    screen.type("Who am I?\n")
    screen.see("Kim.")
    screen.see(">>> ")
    screen.type("/bye\n")
    assert screen.leave() == 0
    load, *turns = service.bodies("/api/chat")
    assert load == {"model": "mini", "messages": [], "stream": False}
    assert contents(turns[1]) == ["I am Kim", "Hello Kim.", "Who am I?"]


def test_thinking_is_dimmed(terminal: Open, service: Service) -> None:
    service.chats = [answer("Seven.", thinking="3 plus 4.")]
    screen = chat(terminal)
    screen.type("3+4\n")
    screen.see("...done thinking.\n\nSeven.")
    assert "\x1b[2m3 plus 4.\x1b[0m" in screen.raw
    assert "\x1b[2mSeven" not in screen.raw
    screen.see(">>> ")
    screen.type(CTRL_D)
    assert screen.leave() == 0


def test_ctrl_c_stops_the_answer_and_not_the_program(terminal: Open, service: Service) -> None:
    service.chats = [[say("Once upon")], answer("Yes.")]
    screen = chat(terminal)
    screen.type("Tell me a story\n")
    screen.see("Once upon")
    screen.interrupt()
    screen.see(">>> ")
    assert service.left.wait(10), "the service was not told that nobody listens"
    screen.type("Still there?\n")
    screen.see("Yes.")
    assert contents(service.bodies("/api/chat")[-1]) == ["Tell me a story", "Once upon", "Still there?"]
    screen.see(">>> ")
    screen.type(CTRL_D)
    assert screen.leave() == 0


def test_ctrl_c_at_the_prompt_says_how_to_leave(terminal: Open) -> None:
    screen = chat(terminal)
    screen.type("half a thou")
    screen.see("half a thou")
    screen.interrupt()
    screen.see("Use Ctrl-D or /bye to leave.")
    screen.see(">>> ")
    screen.type(CTRL_D)
    assert screen.leave() == 0


def test_triple_quotes_make_one_message_of_several_lines(terminal: Open, service: Service) -> None:
    service.chats = [answer("ok")]
    screen = chat(terminal)
    screen.type('"""one\n')
    screen.see("... ")
    screen.type('two"""\n')
    screen.see("ok")
    assert contents(service.bodies("/api/chat")[-1]) == ["one\ntwo"]


def test_an_error_leaves_the_chat_open(terminal: Open, service: Service) -> None:
    service.chats = [[{"error": "server busy, please try again.  maximum pending requests exceeded"}], answer("Yes.")]
    screen = chat(terminal)
    screen.type("hi\n")
    screen.see("Error: server busy")
    screen.see(">>> ")
    screen.type("and now?\n")
    screen.see("Yes.")
    assert contents(service.bodies("/api/chat")[-1]) == ["and now?"]


def test_settings_change_the_next_request(terminal: Open, service: Service) -> None:
    service.chats = [answer("ok")]
    screen = chat(terminal)
    for line, reply in (
        ("/set system You are a pirate.", "Set system message."),
        ("/set parameter temperature 0.2", "Set parameter temperature to 0.2"),
        ("/set nothink", "Set 'nothink' mode."),
        ("/set format json", "Set format to JSON mode."),
        ("/set verbose", "Set 'verbose' mode."),
    ):
        screen.type(line + "\n")
        screen.see(reply)
    screen.see(">>> ")
    screen.type("hi\n")
    screen.see("eval rate:")
    assert service.bodies("/api/chat")[-1] == {
        "model": "mini",
        "options": {"temperature": 0.2},
        "think": False,
        "format": "json",
        "messages": [{"role": "system", "content": "You are a pirate."}, {"role": "user", "content": "hi"}],
        "stream": True,
    }


def test_another_model_can_be_loaded(terminal: Open, service: Service) -> None:
    service.chats = [answer("one"), answer("two")]
    screen = chat(terminal)
    screen.type("a\n")
    screen.see("one")
    screen.see(">>> ")
    service.loadable.clear()
    screen.type("/load other\n")
    screen.see("loading other")
    service.loadable.set()
    screen.see(">>> ")
    screen.type("b\n")
    screen.see("two")
    last = service.bodies("/api/chat")[-1]
    assert (last["model"], contents(last)) == ("other", ["b"])


def test_save_makes_a_model_of_what_was_set_and_said(terminal: Open, service: Service) -> None:
    service.chats = [answer("Ahoy.", thinking="A pirate says so.")]
    service.fixed["/api/create"] = (200, [{"status": "writing manifest"}, {"status": "success"}])
    screen = chat(terminal)
    for line, reply in (
        ("/set system You are a pirate.", "Set system message."),
        ("/set parameter seed 7", "Set parameter seed to 7"),
        ("hello", "Ahoy."),
        ("/save pirate", "Created new model 'pirate'"),
    ):
        screen.type(f"{line}\n")
        screen.see(reply)
        screen.see(">>> ")
    (body,) = service.bodies("/api/create")
    assert body == {
        "model": "pirate",
        "from": "mini",
        "system": "You are a pirate.",
        "parameters": {"seed": 7},
        "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Ahoy."}],
    }


def test_clear_forgets_what_was_said(terminal: Open, service: Service) -> None:
    service.chats = [answer("one"), answer("two")]
    screen = chat(terminal)
    for line, reply in (("a", "one"), ("/clear", "Cleared session context"), ("b", "two")):
        screen.type(line + "\n")
        screen.see(reply)
        screen.see(">>> ")
    assert contents(service.bodies("/api/chat")[-1]) == ["b"]


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("/?", "/bye"),
        ("/? set", "/set parameter NAME VALUE"),
        ("/? shortcuts", "Delete the word before the cursor"),
        ("/set parameter num_ctx 100000", "num_ctx to 100000. It has no effect: a model has the context"),
        ("/save", "Error: /save needs a name"),
        ("/show info", "architecture        qwen3"),
        ("/show system", "Answer briefly."),
        ("/set parameter warmth 1", "Error: unknown parameter 'warmth'"),
        ("/set wings", "Error: unknown setting 'wings'"),
        ("/fly", "Error: unknown command '/fly'"),
        ("/?shortcuts", "Error: unknown command '/?shortcuts'"),
    ],
)
def test_slash_commands_answer(terminal: Open, line: str, reply: str) -> None:
    screen = chat(terminal)
    screen.type(line + "\n")
    screen.see(reply)
    screen.see(">>> ")
    screen.type("/bye\n")
    assert screen.leave() == 0


def test_a_path_at_the_beginning_is_no_command(terminal: Open, service: Service) -> None:
    service.chats = [answer("Let me see.")]
    screen = chat(terminal)
    screen.type("/etc/fstab is wrong, why?\n")
    screen.see("Let me see.")


def test_what_was_typed_is_there_the_next_time(terminal: Open, service: Service, tmp_path: Path) -> None:
    service.chats = [answer("ok"), answer("ok again")]
    screen = chat(terminal)
    screen.type("remember me\n")
    screen.see("ok")
    screen.see(">>> ")
    screen.type("/bye\n")
    assert screen.leave() == 0
    history = tmp_path / ".local/state/vllama/history"
    assert history.stat().st_mode & 0o777 == 0o600
    screen = chat(terminal)
    screen.type("\x1b[A\x1b[A\n")  # up, past /bye
    screen.see("ok again")
    assert contents(service.bodies("/api/chat")[-1]) == ["remember me"]


def test_what_was_typed_outlives_a_terminal_that_is_closed(terminal: Open, service: Service, tmp_path: Path) -> None:
    service.chats = [answer("ok")]
    screen = chat(terminal)
    screen.type("remember me\n")
    screen.see("ok")
    screen.process.kill()
    screen.process.wait()
    assert "remember me" in (tmp_path / ".local/state/vllama/history").read_text()


def test_history_can_be_switched_off(terminal: Open, tmp_path: Path) -> None:
    screen = chat(terminal, OLLAMA_NOHISTORY="1")
    screen.type("/bye\n")
    assert screen.leave() == 0
    assert not (tmp_path / ".local").exists()
