"""A small client for the running service, speaking Ollama's own API: every verb also works against a real Ollama.

http.client's exceptions end here.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import click

from vllama import __version__
from vllama.cli import credential
from vllama.cli.credential import Credential
from vllama.config.address import Address, check_address, read_address
from vllama.config.environment import shell
from vllama.errors import BadRequest, VllamaError

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 60.0
"""For answers that need no model; a generation takes as long as it takes."""
_QUOTED_BYTES: Final = 200
_CHUNK: Final = 1 << 20
_ELSEWHERE: Final = "If it listens on another port: export OLLAMA_HOST=127.0.0.1:PORT"
_HOW_TO_START: Final = f"Start it with: sudo systemctl start vllama   (or in a terminal: vllama serve)\n{_ELSEWHERE}"
_HOW_IN_A_CHECKOUT: Final = f"Start it with: make run\n{_ELSEWHERE}"
_WHOSE: Final = "Is another service listening there? Set --host or VLLAMA_HOST to vLLama's address."
_OLLAMAS_PAGES: Final = (b"404 page not found", b"405 method not allowed")
"""Texts with which Ollama and vLLama answer requests for which they have no route."""

F = TypeVar("F", bound=Callable[..., Any])


class Unreachable(VllamaError):
    """Nobody answers at the service's address."""

    code = "unreachable"
    status = 503


class Refused(VllamaError):
    """The service answered with an error; ``http_status`` is its own."""

    code = "refused"


class Broken(VllamaError):
    """The connection ended, or an answer was not one of the Ollama API."""

    code = "broken"
    status = 502


def host_option(command: F) -> F:
    """The ``--host`` of every verb that talks to the service."""
    return click.option(
        "--host",
        metavar="ADDRESS",
        default="",
        help="Service to talk to [default: VLLAMA_HOST, else OLLAMA_HOST, else 127.0.0.1:11434].",
    )(command)


def service_options(command: F) -> F:
    """``--host``, and ``--key-file`` for the key that is sent."""
    option = click.option(
        "--key-file",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=credential.remember,
        help="File with the API key [default: VLLAMA_API_KEY].",
    )
    return host_option(option(command))


class Remote:
    """One service. ``host`` is what ``--host`` said, empty for the environment's."""

    def __init__(
        self, host: str = "", *, answer_seconds: float = _ANSWER_SECONDS, key: Credential | None = None
    ) -> None:
        """``answer_seconds``: how long an answer that needs no model may take. ``key``: None for the command's own."""
        self.address: Address = service_address(host).reachable
        self.key = credential.sent_by(click.get_current_context(silent=True)) if key is None else key
        self._answer_seconds = answer_seconds

    def get(self, path: str, needs: str) -> dict[str, Any]:
        """GET ``path``: its JSON object, which has the key ``needs``. Raises Unreachable, Refused, Broken."""
        with self._exchange("GET", path, None, self._answer_seconds) as answer:
            return _object(answer.read(), needs)

    def read(self, path: str) -> str:
        """GET ``path``: its text, whatever it is. Raises Unreachable, Refused, Broken."""
        with self._exchange("GET", path, None, self._answer_seconds) as answer:
            return answer.read().decode("utf-8", "replace")

    def post(self, path: str, body: Mapping[str, Any], needs: str, *, patient: bool = False) -> dict[str, Any]:
        """POST ``body``, else as ``get``; ``patient`` waits without end (a model may have to load)."""
        with self._exchange("POST", path, body, None if patient else self._answer_seconds) as answer:
            return _object(answer.read(), needs)

    def has(self, path: str, *, method: str = "GET") -> bool:
        """Whether ``path`` is answered with success; its body does not matter."""
        try:
            with self._exchange(method, path, None, self._answer_seconds):
                return True
        except (Unreachable, Refused, Broken):
            return False

    def upload(self, path: str, file: BinaryIO, size: int, sent: Callable[[int], None]) -> None:
        """POST the bytes of a file, ``size`` of them; ``sent`` is called with the number sent so far."""

        def chunks() -> Iterator[bytes]:
            done = 0
            while data := file.read(_CHUNK):
                yield data
                done += len(data)
                sent(done)

        with self._exchange("POST", path, chunks(), None, length=size) as answer:
            answer.read()

    def send(self, path: str, body: Mapping[str, Any], *, method: str = "POST") -> None:
        """Ask for something that is answered with success and nothing else."""
        with self._exchange(method, path, body, self._answer_seconds) as answer:
            answer.read()

    def stream(self, path: str, body: Mapping[str, Any]) -> Generator[dict[str, Any]]:
        """POST ``body`` and yield the objects of the NDJSON answer up to the one with ``done``.

        Closing the iterator early closes the connection, by which the service ends the generation. An error line
        raises Refused, an end without ``done`` Broken.
        """
        with self._exchange("POST", path, body, None) as answer:
            for line in answer:
                chunk = _object(line)
                if "error" in chunk:
                    raise Refused(str(chunk["error"]), status=answer.status)
                yield chunk
                if chunk.get("done"):
                    return
        raise Broken("the connection was closed before the answer was complete")

    def follow(self, path: str, body: Mapping[str, Any]) -> Generator[dict[str, Any]]:
        """POST ``body`` and yield the lines of long work up to ``success``; else as ``stream``."""
        with self._exchange("POST", path, body, None) as answer:
            for line in answer:
                report = _object(line)
                if "error" in report:
                    raise Refused(str(report["error"]), status=answer.status)
                yield report
                if report.get("status") == "success":
                    return
        raise Broken("the connection was closed before the work was done")

    @contextmanager
    def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Iterator[bytes] | None,
        timeout: float | None,
        *,
        length: int = 0,
    ) -> Iterator[http.client.HTTPResponse]:
        """``body``: a JSON object, or ``length`` bytes piece by piece."""
        connection = self._connect()
        try:
            with self._border():
                if connection.sock is not None:
                    connection.sock.settimeout(timeout)
                headers = {"User-Agent": f"vllama/{__version__}", "Accept": "application/json, application/x-ndjson"}
                if self.key.key:
                    headers["Authorization"] = f"Bearer {self.key.key}"
                data: bytes | Iterator[bytes] | None = None
                if isinstance(body, Mapping):
                    data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
                    headers["Content-Type"] = "application/json"
                elif body is not None:
                    data = body
                    headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
                connection.request(method, self.address.path + path, data, headers)
                answer = connection.getresponse()
                if answer.status >= 300:
                    raise self._refusal(answer)
                yield answer
        finally:
            connection.close()

    def _refusal(self, answer: http.client.HTTPResponse) -> VllamaError:
        """What an answer with an error means; another kind of server's is not repeated."""
        body = answer.read()
        try:
            decoded = json.loads(body)
        except ValueError:
            decoded = None
        message = decoded.get("error") if isinstance(decoded, dict) else None
        if isinstance(message, str) and answer.status == http.client.UNAUTHORIZED:
            return self._no_entry()
        if isinstance(message, str):
            return Refused(message, status=answer.status)
        if b"HTTPS" in body and answer.status == http.client.BAD_REQUEST:
            return Broken(f"{self.address.url} speaks https", hint=f"Try {replace(self.address, scheme='https').url}")
        if self.address.path:
            bare = replace(self.address, path="").url
            return Broken(f"{self.address.url} has no Ollama API ({answer.status})", hint=f"Try {bare}")
        if body.strip() in _OLLAMAS_PAGES:
            return Refused(f"{self.address.url} does not know this request ({answer.status})", status=answer.status)
        kind = answer.headers.get("Server", "")
        named = f" ({kind[:_QUOTED_BYTES]})" if kind.isprintable() and kind else ""
        words = f"{self.address.url} is neither vLLama nor Ollama{named}: it answered {answer.status}"
        return Broken(words, hint=_WHOSE)

    def _no_entry(self) -> Refused:
        """The service wants a key, or knows none like ours."""
        if not self.key.key:
            return Refused(f"{self.address.url} needs an API key", hint=credential.HOW, status=http.client.UNAUTHORIZED)
        return Refused(
            f"{self.address.url} does not know the API key of {self.key.origin}",
            hint="It was revoked, or is another service's: 'vllama keys list' on the server lists the valid ones.",
            status=http.client.UNAUTHORIZED,
        )

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self.address.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.address.host, self.address.port, timeout=_CONNECT_SECONDS)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            hint = "Use http, or a certificate that this machine trusts (SSL_CERT_FILE names a file of them)."
            raise Unreachable(f"the certificate of {self.address.url} is not trusted", hint=hint) from error
        except ssl.SSLError as error:
            plain = replace(self.address, scheme="http").url
            raise Unreachable(f"{self.address.url} does not speak https", hint=f"Try {plain}") from error
        except OSError as error:
            raise Unreachable(
                f"could not connect to vllama at {self.address.url} ({_reason(error)}), is it running?",
                hint=_how_to_start() if self.address.is_local else "",
            ) from error
        return connection

    @contextmanager
    def _border(self) -> Iterator[None]:
        """http.client's world ends here."""
        try:
            yield
        except TimeoutError as error:
            raise Broken(f"{self.address.url} did not answer in time") from error
        except http.client.BadStatusLine as error:
            raise Broken(f"{self.address.url} does not speak HTTP", hint=_WHOSE) from error
        except (http.client.HTTPException, OSError) as error:
            raise Broken(f"the connection to {self.address.url} broke: {_reason(error)}") from error


def service_address(host: str) -> Address:
    """``host``, else the environment's. Raises BadRequest; Ollama's variable is read as leniently as Ollama does."""
    given, name = (host, "--host") if host else (shell().host, "VLLAMA_HOST")
    if host or shell().strict_host:
        if given.isdecimal():
            raise BadRequest(f"{name} is not an address: {given!r} is only a number", hint=f"Did you mean :{given}?")
        try:
            check_address(given)
        except ValueError as error:
            hint = "Forms: host, host:port, :port, [v6]:port, http://host:port/path"
            raise BadRequest(f"{name} is not an address: {error}", hint=hint) from error
    return read_address(given)


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).lower()


def _object(body: bytes, needs: str = "") -> dict[str, Any]:
    try:
        decoded = json.loads(body)
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict) or (needs and needs not in decoded):
        raise Broken(
            f"unexpected answer: {body[:_QUOTED_BYTES].decode('utf-8', 'replace')!r}",
            hint=_WHOSE,
        )
    return decoded


def _how_to_start() -> str:
    return _HOW_IN_A_CHECKOUT if shell().checkout else _HOW_TO_START
