#!/usr/bin/env python3
"""Writes tokenizer_rows.jsonl: small tokenizer.json files of many shapes, and the tokens that the PyPI package `tokenizers` finds.

    pip install tokenizers==0.23.3 && python3 tests/runtime/text/make_tokenizer_rows.py > tests/runtime/text/tokenizer_rows.jsonl

An optional argument is the number of random texts for each tokenizer.
"""
import json
import random
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

BLANK = "\u2581"
WORDS = ["the", "there", "he", "other", "an", "and", "hand", "a", "at", "that"]
PARTS = [*WORDS, " ", "  ", "   ", "\n", "\t", " \n ", BLANK, "\u00e9", "e\u0301", "\u65e5", "\u3000", "7",
         "<s>", "</s>", "<t>", "<wide>", "[x]", "<", ">"]
FIXED = ["", " ", "  ", "the", " the", "  the", "the hand", "the  hand", BLANK + "the", "<s>the", "<s> the", "the<s>the", " <s>the",
         "the</s>", "the </s>and", "a<t>b", "a <t>b", "<t><t>", "  <wide>  <wide> ", "the\n\u3000<wide>\tand", "<s><wide> and", "[x] [x]",
         "e\u0301<t>", "\u00e9\u65e5", "the\nthe", "<t> ", " <t>"]


def merges_of(pieces):
    """As a conversion from SentencePiece writes them: every cut of a piece into two pieces, the best piece first."""
    known = set(pieces)
    return [(p[:i], p[i:]) for p in pieces for i in range(1, len(p)) if p[:i] in known and p[i:] in known]


def sentencepiece(normalizer, pre_tokenizer, merges=None, byte_fallback=True):
    letters = [BLANK, *sorted(set("".join(WORDS))), "<", ">", "s", "\u00e9", "\n"]
    longer = [BLANK + "t", "he", BLANK + "a", "an", BLANK + "the", "th", BLANK * 2, "nd", "and", BLANK + "and", "at", "the", BLANK * 4,
              "there"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *letters, *longer]
    merges = merges_of(letters + longer) if merges is None else merges
    tokenizer = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, merges, unk_token="<unk>", byte_fallback=byte_fallback))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    strip = [decoders.Strip(" ", 1, 0)] if normalizer or getattr(pre_tokenizer, "prepend_scheme", "never") != "never" else []
    tokenizer.decoder = decoders.Sequence([decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return tokenizer


def byte_level(normalizer, prefix):
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("\u0120", "the"), ("a", "n"), ("an", "d"), ("\u0120", "a"), ("\u0120", "\u0120"),
              ("\u00c3", "\u00a9")]
    pieces = ["<s>", "</s>", *letters, *(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def with_added(tokenizer, normalized):
    tokenizer.add_special_tokens([AddedToken("<s>", normalized=False), AddedToken("</s>", normalized=normalized)])
    tokenizer.add_tokens([AddedToken("<t>", normalized=normalized), AddedToken("<wide>", lstrip=True, rstrip=True, normalized=normalized),
                          AddedToken("[x]", lstrip=True, normalized=False), AddedToken("e\u0301<", normalized=normalized)])
    return tokenizer


def tokenizers():
    llama = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
    few = [("t", "h"), ("th", "e"), (BLANK, "the"), ("a", "n"), ("an", "d"), (BLANK, "a"), ("h", "e")]
    for normalized in (False, True):
        yield f"Llama 2 {normalized}", with_added(sentencepiece(llama, None), normalized)
        for scheme in ("never", "first", "always"):
            for split in (False, True):
                metaspace = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
                yield f"Metaspace {scheme} {split} {normalized}", with_added(sentencepiece(None, metaspace), normalized)
        yield f"ByteLevel {normalized}", with_added(byte_level(None, False), normalized)
        yield f"ByteLevel with NFC {normalized}", with_added(byte_level(normalizers.NFC(), False), normalized)
        yield f"ByteLevel prefix {normalized}", with_added(byte_level(None, True), normalized)
    yield "few merges", with_added(sentencepiece(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=True), few), False)
    yield "no bytes", with_added(sentencepiece(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), None, False), False)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    draw = random.Random(1)
    for name, tokenizer in tokenizers():
        stated = json.loads(tokenizer.to_str())
        print(json.dumps({"name": name, "vocabulary": tokenizer.get_vocab_size(), "tokenizer": stated}, separators=(",", ":")))
        for text in FIXED + ["".join(draw.choices(PARTS, k=draw.randint(1, 12))) for _ in range(count)]:
            for special in (True, False):
                tokenizer.encode_special_tokens = not special
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                print(json.dumps({"text": text, "special": special, "ids": ids}, separators=(",", ":")))


main()
