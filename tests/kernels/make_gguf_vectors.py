#!/usr/bin/env python3
"""Writes gguf_vectors.h: rows of random bytes in each quantised type and what the PyPI package `gguf` reads in them.

    pip install gguf==0.19.0 && python3 tests/kernels/make_gguf_vectors.py > tests/kernels/gguf_vectors.h
"""
import numpy
from gguf import GGMLQuantizationType as Type
from gguf import quants

COLUMNS = 256
TYPES = [Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q4_K, Type.Q5_K, Type.Q6_K]
# Bytes of a block, values of a block, offsets of the halves in it.
SHAPES = {Type.Q8_0: (34, 32, [0]), Type.Q4_0: (18, 32, [0]), Type.Q4_1: (20, 32, [0, 2]), Type.Q4_K: (144, 256, [0, 2]),
          Type.Q5_K: (176, 256, [0, 2]), Type.Q6_K: (210, 256, [208])}


def literal(data):
    text = data.hex()
    return "\n".join(f'     "{text[at:at + 116]}"' for at in range(0, len(text), 116))


def main():
    random = numpy.random.default_rng(1)
    print("// Rows in the files' layouts and what the PyPI package `gguf` 0.19.0 reads in them, both as bytes in hexadecimal (values are")
    print("// little-endian floats). Made by make_gguf_vectors.py.")
    print("#pragma once\n\n#include \"kernels/quant.h\"\n\nnamespace baton::kernels {\n")
    print("struct GgufVector {\n  WeightType type;\n  const char* row;\n  const char* values;\n};\n")
    print("inline constexpr GgufVector kGgufVectors[] = {")
    for kind in TYPES:
        size, values, halves = SHAPES[kind]
        row = random.integers(0, 256, (COLUMNS // values, size), dtype=numpy.uint8)
        for at in halves:
            scales = random.normal(0.0, 0.05, COLUMNS // values).astype("<f2")
            row[:, at:at + 2] = scales.view(numpy.uint8).reshape(-1, 2)
        row = row.reshape(1, -1)
        decoded = quants.dequantize(row, kind).astype("<f4")
        assert decoded.shape == (1, COLUMNS)
        print(f"    {{WeightType::{kind.name.lower()},\n{literal(row.tobytes())},\n{literal(decoded.tobytes())}}},")
    print("};\n\n}  // namespace baton::kernels")


if __name__ == "__main__":
    main()
