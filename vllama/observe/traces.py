"""Sends a span for each request and its parts to a receiver of OTLP over HTTP (the extra ``traces``).

Spans are made when a request has ended, and sent in a thread of the OpenTelemetry SDK, from a queue with an end: a
receiver that does not answer costs spans and nothing else.
"""

from __future__ import annotations

import importlib
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from vllama import __version__
from vllama.disk import Reads
from vllama.observe.seldom import Seldom
from vllama.observe.spent import Spent
from vllama.observe.trace import Trace, read_trace

PATH: Final = "/v1/traces"
_SEND_SECONDS: Final = 5.0
_FLUSH_SECONDS: Final = 3.0
_EVERY_MS: Final = 1000
_LOG: Final = logging.getLogger("vllama")
_SDK: Final = "opentelemetry"


class Traces(Collector):
    """One in a service; belongs to its event loop, except where it is said."""

    def __init__(self) -> None:
        self._address = ""
        self._sender: _Sender | None = None
        self._reads = Reads()
        self._old = 0, 0

    @property
    def on(self) -> bool:
        """Whether spans are sent."""
        return self._sender is not None

    def begin(self, parent: str, state: str) -> Trace | None:
        """The place of a request in its trace, by the client's headers; a new trace where they name none.

        None if nothing is traced. Without a receiver the client's own place is passed on.
        """
        given = read_trace(parent, state) if parent else None
        if self._sender is None:
            return given
        span = secrets.token_hex(8)
        return Trace(secrets.token_hex(16), span) if given is None else given.below(span)

    def take(self, spent: Spent) -> None:
        """A request has ended; subscribes to ``Books``. Only those that reached a model are sent."""
        if self._sender is not None and spent.trace is not None and spent.trace.sampled and spent.model:
            self._sender.send(spent, spent.trace)

    async def follow(self, address: str | None) -> None:
        """Send to this receiver from now on (``http://host:4318``); None: to nobody."""
        if (address or "") == self._address:
            return
        await self.close()
        self._address = address or ""
        if not address:
            return
        try:
            self._sender = await self._reads.done("sdk", lambda: _Sender(address.rstrip("/") + PATH), 30)
        except ImportError:
            _LOG.error("observe.otlp needs Python packages that are missing: pip install 'vllama[traces]'")

    async def close(self) -> None:
        """Send what is left, for a moment."""
        sender, self._sender, self._address = self._sender, None, ""
        if sender is not None:
            try:
                await self._reads.done("close", sender.close, _FLUSH_SECONDS)
            except TimeoutError:
                _LOG.debug("the last spans could not be sent")
            self._old = self._old[0] + sender.sent, self._old[1] + sender.lost

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        sent, lost = self._old
        if self._sender is not None:
            sent, lost = sent + self._sender.sent, lost + self._sender.lost
        if self._sender is not None or sent or lost:
            family = CounterMetricFamily("vllama_spans", "Spans of traces, sent or lost.", labels=("result",))
            family.add_metric(("sent",), sent)
            family.add_metric(("lost",), lost)
            yield family


class _Sender:
    """The SDK's side. Making and closing it blocks."""

    def __init__(self, address: str) -> None:
        """Raises ImportError without the SDK."""
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        http = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        resource = importlib.import_module("opentelemetry.sdk.resources").Resource
        # it says more, and more often, than anybody wants to read
        logging.getLogger(_SDK).setLevel(logging.CRITICAL + 1)
        self._api: Any = importlib.import_module("opentelemetry.trace")
        self._span: Callable[..., Any] = sdk.ReadableSpan
        self._resource = resource.create({"service.name": "vllama", "service.version": __version__})
        self._exporter = http.OTLPSpanExporter(endpoint=address, timeout=_SEND_SECONDS)
        self._done = export.SpanExportResult.SUCCESS
        self._queue = export.BatchSpanProcessor(self, schedule_delay_millis=_EVERY_MS)
        self._seldom = Seldom(_LOG, pause=3600)
        self._where = address
        self.sent = self.lost = 0

    def send(self, spent: Spent, trace: Trace) -> None:
        """Put the spans of a request into the queue."""
        begin = spent.began
        end = begin + spent.seconds
        about = {
            "http.route": spent.route,
            "http.response.status_code": spent.status,
            "gen_ai.request.model": spent.model,
            "gen_ai.usage.input_tokens": spent.prompt_tokens,
            "gen_ai.usage.output_tokens": spent.generated_tokens,
            "vllama.request_id": spent.request_id,
            "vllama.outcome": spent.outcome,
        }
        self._put("request", trace, begin, end, about)
        leased = end if spent.waiting is None else begin + spent.waiting
        first = end if spent.first_token is None else begin + spent.first_token
        parts = {"waiting": (begin, leased), "prefill": (leased, first), "decode": (first, end)}
        for name, (since, until) in parts.items():
            if until > since:
                self._put(name, trace.below(secrets.token_hex(8)), since, until)

    def _put(self, name: str, trace: Trace, begin: float, end: float, about: Mapping[str, Any] | None = None) -> None:
        kinds, parent = self._api.SpanKind, trace.parent_id
        self._queue.on_end(
            self._span(
                name=name,
                context=self._context(trace.trace_id, trace.span_id),
                parent=self._context(trace.trace_id, parent) if parent else None,
                resource=self._resource,
                attributes=about,
                kind=kinds.INTERNAL if about is None else kinds.SERVER,
                start_time=int(begin * 1e9),
                end_time=int(end * 1e9),
            )
        )

    def _context(self, trace_id: str, span_id: str) -> Any:
        flags = self._api.TraceFlags(self._api.TraceFlags.SAMPLED)
        return self._api.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)

    def close(self) -> None:
        """Send what is in the queue, and end the thread."""
        self._queue.shutdown()

    # --- the SDK's interface of an exporter, called in its thread

    def export(self, spans: Any) -> Any:
        """Send these, and count them."""
        result = self._exporter.export(spans)
        if result == self._done:
            self.sent += len(spans)
        else:
            self.lost += len(spans)
            self._seldom.warn("lost", "spans can't be sent to %s and are lost (see vllama_spans_total)", self._where)
        return result

    def shutdown(self) -> None:
        """Nothing more will come."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """There is no second queue."""
        return True
