"""``gguf_file.py SOURCE.gguf KIND INTO`` writes a model as GGUF in F16 or Q8_0, of the very weights that vLLM gets.

The source has 4 bits. The model of ``make smollm2`` and this file both hold these weights, rounded to bfloat16.
Metadata, tokenizer and chat template are copied. Run by the engine's interpreter, with ``gguf`` on PYTHONPATH.
"""

from __future__ import annotations

import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize, quantize

_FILE_TYPE = {"F16": 1, "Q8_0": 7}
"""As ``general.file_type`` says it (llama.cpp's LLAMA_FTYPE)."""
_NOT_COPIED = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version")


def bfloat16(values: np.ndarray) -> np.ndarray:
    """The nearest bfloat16 of each number, ties to even, as float32."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)


def convert(source: str, kind: str, into: str) -> None:
    """Some seconds."""
    reader = GGUFReader(source)
    writer = GGUFWriter(into, reader.fields["general.architecture"].contents())
    writer.add_file_type(_FILE_TYPE[kind])
    writer.add_quantization_version(2)
    for field in reader.fields.values():
        if not field.name.startswith(_NOT_COPIED):
            sub = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=sub)
    for tensor in reader.tensors:
        values = bfloat16(dequantize(tensor.data, tensor.tensor_type))
        wanted = (
            GGMLQuantizationType[kind] if values.ndim > 1 else GGMLQuantizationType.F32
        )  # norms stay, as everywhere
        writer.add_tensor(tensor.name, quantize(values, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    convert(*sys.argv[1:])
