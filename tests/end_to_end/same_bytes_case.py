#!/usr/bin/env python3
"""The same bytes from every cluster: mixed, disaggregated by pull and by push, with two of each."""
from harness import KV_BYTES_PER_TOKEN, Server, run_case, wait_for

PROMPTS = [
    {"prompt": "The capital of France is", "max_tokens": 24, "temperature": 0},
    {"prompt": "Once upon a time, in a town by the sea,", "max_tokens": 40, "temperature": 0.9, "seed": 11},
    {"messages": [{"role": "user", "content": "Name three colours."}], "max_tokens": 32, "temperature": 0.7, "top_p": 0.9, "seed": 5},
    {"prompt": "word " * 700 + "and then", "max_tokens": 16, "temperature": 0},
]


def answers(server):
    result = []
    for prompt in PROMPTS:
        stream = server.stream(return_token_ids=True, logprobs=(True if "messages" in prompt else 2), **prompt).whole()
        scores = [c["logprobs"] for e in stream.events for c in e["choices"] if c.get("logprobs")]
        result.append((stream.text(), stream.tokens(), stream.finish(), scores))
    return result


def every_cluster_streams_the_same_bytes():
    clusters = {
        "one mixed": ["--mixed", 1, "--prefill", 0, "--decode", 0],
        "1P+1D pull": ["--prefill", 1, "--decode", 1, "--hand-off", "pull"],
        "1P+1D push by layer": ["--prefill", 1, "--decode", 1, "--hand-off", "push_by_layer"],
        "2P+2D": ["--prefill", 2, "--decode", 2],
        "block size 64": ["--block-size", 64],
        "two threads": ["--threads", 2],
        "the shortest first": ["--queue-order", "srpt", "--routing", "prefix_aware", "--admission", "deadline"],
        "by layer, in levels": ["--queue-order", "mlfq", "--hand-off", "push_by_layer", "--admission", "early_rejection",
                                 "--slo-itl-ms", 60000],
    }
    first = None
    for name, flags in clusters.items():
        with Server(*flags) as server:
            got = answers(server)
            wait_for(server.idle, 5, f"{name}: nothing left in use")
        if first is None:
            first = got
            assert all(text for text, _, _, _ in got), got
        for prompt, want, have in zip(PROMPTS, first, got):
            assert want == have, (name, prompt, want, have)


def an_undisturbed_run_moves_exactly_the_prompts_kv_and_recomputes_nothing():
    for hand_off in ("pull", "push_by_layer"):
        with Server("--hand-off", hand_off) as server:
            prompt_tokens = 0
            for i, prompt in enumerate(PROMPTS):
                prompt_tokens += server.complete(**prompt, user=str(i))["usage"]["prompt_tokens"]
            wait_for(server.idle, 5, "nothing left in use")
            received = server.metric("baton:kv_bytes_received_total", transport="ucx")
            assert received == prompt_tokens * KV_BYTES_PER_TOKEN, (hand_off, received, prompt_tokens)
            assert server.metric("baton:recomputed_tokens_total") == 0
            assert server.metric("baton:kv_blocks_rejected_total") == 0
            assert server.metric("baton:kv_blocks_verified_total") > 0
            assert server.metric("baton:recoveries_total") == 0


def concurrent_streams_have_the_bytes_they_have_alone():
    with Server() as server:
        bodies = [{"prompt": f"Number {i}: the", "max_tokens": 24, "temperature": 0.8, "seed": i} for i in range(16)]
        alone = [server.stream(**body).whole().text() for body in bodies]
        streams = [server.stream(**body) for body in bodies]
        together = [stream.whole().text() for stream in streams]
        assert alone == together
        wait_for(server.idle, 5, "nothing left in use")


def a_small_pool_preempts_and_still_streams_the_same_bytes():
    bodies = [{"prompt": f"Item {i} of the long list is about", "max_tokens": 120, "temperature": 0, "ignore_eos": True} for i in range(6)]
    with Server("--kv-blocks", 400) as server:
        want = [server.stream(**body).whole().text() for body in bodies]
    with Server("--kv-blocks", 24, "--max-model-len", 256) as server:
        streams = [server.stream(**body) for body in bodies]
        got = [stream.whole().text() for stream in streams]
        preempted = server.metric("vllm:num_preemptions_total")
        wait_for(server.idle, 5, "nothing left in use")
    assert got == want
    assert preempted > 0, "the pool was not small enough to show anything"


if __name__ == "__main__":
    run_case([every_cluster_streams_the_same_bytes, an_undisturbed_run_moves_exactly_the_prompts_kv_and_recomputes_nothing,
              concurrent_streams_have_the_bytes_they_have_alone, a_small_pool_preempts_and_still_streams_the_same_bytes])
