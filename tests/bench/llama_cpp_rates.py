"""llama.cpp's rates on one thread, tokens per second of CPU time: prefill of a prompt, decode of one stream, decode of several streams
in a batch. Prints one JSON object. Run by against_llama_cpp.sh; needs the PyPI package llama-cpp-python."""
import ctypes
import json
import sys
import time

import llama_cpp

model_path, prompt_tokens, steps, streams = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
llama_cpp.llama_backend_init()
quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
model = llama_cpp.llama_model_load_from_file(model_path.encode(), llama_cpp.llama_model_default_params())
vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))


def context(n_seq):
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = (prompt_tokens + steps + 64) * n_seq
    params.n_batch = params.n_ubatch = 512
    params.n_seq_max = n_seq
    params.n_threads = params.n_threads_batch = 1
    return llama_cpp.llama_init_from_model(model, params)


def decode(ctx, rows):
    """rows: (token, position, sequence, logits?)"""
    batch = llama_cpp.llama_batch_init(len(rows), 0, 1)
    batch.n_tokens = len(rows)
    for i, (token, position, sequence, logits) in enumerate(rows):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, logits
        batch.seq_id[i][0] = sequence
    start = time.process_time()
    if llama_cpp.llama_decode(ctx, batch) != 0:
        sys.exit("llama_decode failed")
    spent = time.process_time() - start
    llama_cpp.llama_batch_free(batch)
    return spent


def id_at(i):
    return 1000 + (i * 7919) % (min(vocabulary, 40000) - 1000)


result = {}
ctx = context(1)
decode(ctx, [(id_at(i), i, 0, i == prompt_tokens - 1) for i in range(prompt_tokens)])                      # warm
llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(ctx), True)
result["prefill"] = prompt_tokens / decode(ctx, [(id_at(i), i, 0, i == prompt_tokens - 1) for i in range(prompt_tokens)])
llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(ctx), True)
decode(ctx, [(id_at(i), i, 0, i == 31) for i in range(32)])
result["decode_1"] = steps / sum(decode(ctx, [(id_at(s), 32 + s, 0, True)]) for s in range(steps))
llama_cpp.llama_free(ctx)
ctx = context(streams)
for q in range(streams):
    decode(ctx, [(id_at(i + q), i, q, i == 31) for i in range(32)])
result["decode_n"] = steps * streams / sum(decode(ctx, [(id_at(s + q), 32 + s, q, True) for q in range(streams)]) for s in range(steps))
llama_cpp.llama_free(ctx)
print(json.dumps(result))
