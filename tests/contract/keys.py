"""What a key means: how much a difference in it matters, and how its value is to be compared."""

from __future__ import annotations

import re

ORDER = "ABC"
MISSING = object()

# what a missing or an additional key means, where it is not A (missing) or B (additional)
MISSING_CLASS = {
    "context": "B",
    "tensors": "C",
    "license": "B",
    "template": "B",
    "parameters": "B",
    "modelfile": "B",
    "system": "B",
    "projector_info": "C",
    "messages": "B",
    "remote_model": "C",
    "remote_host": "C",
    "requires": "C",
    "context_length": "B",
    "embedding_length": "B",
    "renderer": "C",
    "parser": "C",
    "_debug_info": "C",
}
EXTRA_CLASS = dict.fromkeys(
    (
        "prompt_eval_cached_count",
        "tensors",
        "license",
        "projector_info",
        "renderer",
        "parser",
        "requires",
        "context_length",
        "embedding_length",
        "prompt_tokens_details",
        "completion_tokens_details",
        "signature",
        "stop_sequence",
        "reasoning_content",
    ),
    "C",
)
EXTRA_CLASS |= {"error": "A"}
TEXT_KEYS = {
    "response",
    "content",
    "thinking",
    "reasoning",
    "text",
    "delta",
    "partial_json",
    "encrypted_content",
    "token",
}
THOUGHT_KEYS = {"thinking", "reasoning", "encrypted_content"}
ID_KEYS = {"id", "call_id", "item_id", "request_id", "tool_use_id"}
SIZE_KEYS = {"size", "size_vram", "total", "completed"}
PROMPT_COUNTS = {"prompt_eval_count", "prompt_tokens", "input_tokens"}
ANSWER_COUNTS = {"eval_count", "completion_tokens", "output_tokens", "total_tokens"}
OPAQUE_KEYS = {"template", "rendered_template", "signin_url", "projector_info", "tensors", "user_id"}
DETAIL_KEYS = {"format", "quantization_level", "parent_model", "parameter_size"}
FIXED_KEYS = {
    "object",
    "model",
    "role",
    "type",
    "done",
    "done_reason",
    "finish_reason",
    "stop_reason",
    "index",
}  # compared in every chunk
INFO_MUST = ("general.architecture", "general.parameter_count")
INFO_READ = (
    "general.basename",
    "general.file_type",
    "general.quantization_version",
    "tokenizer.ggml.model",
    ".block_count",
    ".attention.head_count",
    ".attention.head_count_kv",
    ".attention.key_length",
    ".attention.value_length",
    ".feed_forward_length",
    ".vocab_size",
    ".rope.freq_base",
    ".pooling_type",
)
RFC3339 = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$")
CORS = "access-control-"
