#!/usr/bin/env python3
"""Disaggregated equals aggregated: every field of the API in both modes, whole answers and streams, bytes compared."""
import json

from harness import Server, run_case

TEXT = "The old lighthouse keeper looked out at the sea and"
FIELDS = {
    "greedy": {"temperature": 0},
    "seeded": {"temperature": 1.0, "seed": 3},
    "top_k": {"temperature": 1.2, "top_k": 5, "seed": 4},
    "top_p": {"temperature": 1.2, "top_p": 0.5, "seed": 4},
    "min_p": {"temperature": 1.5, "min_p": 0.2, "seed": 4},
    "repetition_penalty": {"temperature": 0, "repetition_penalty": 1.3},
    "presence_penalty": {"temperature": 0, "presence_penalty": 1.5},
    "frequency_penalty": {"temperature": 0, "frequency_penalty": 1.5},
    "logit_bias": {"temperature": 0, "logit_bias": {"260": -100, "253": 5}},
    "stop string": {"temperature": 0, "stop": ["the", ","], "max_tokens": 40},
    "stop string kept": {"temperature": 0, "stop": ["the"], "include_stop_str_in_output": True, "max_tokens": 40},
    "stop_token_ids": {"temperature": 0, "stop_token_ids": [28, 30], "max_tokens": 40},
    "min_tokens": {"temperature": 0, "stop_token_ids": [28, 30, 260], "min_tokens": 12, "max_tokens": 40},
    "ignore_eos": {"temperature": 0, "ignore_eos": True, "max_tokens": 48},
    "n": {"temperature": 1.0, "n": 3, "seed": 9},
    "n with a stop": {"temperature": 1.0, "n": 4, "seed": 2, "stop": ["."], "max_tokens": 40},
    "logprobs": {"temperature": 0, "logprobs": 5},
    "logprobs sampled": {"temperature": 1.0, "seed": 8, "logprobs": 20},
    "echo": {"temperature": 0, "echo": True},
    "echo with logprobs": {"temperature": 0, "echo": True, "logprobs": 3},
    "echo only": {"echo": True, "logprobs": 1, "max_tokens": 0},
    "one token": {"temperature": 0, "max_tokens": 1},
    "one token, several choices": {"temperature": 1.0, "n": 2, "seed": 6, "max_tokens": 1},
    "token ids": {"temperature": 0, "return_token_ids": True, "return_tokens_as_token_ids": True, "logprobs": 1},
    "several prompts": {"prompt": [TEXT, "Two and two are"], "temperature": 0, "n": 2},
    "ids as prompt": {"prompt": [504, 3575, 282, 4649, 314], "temperature": 0},
    "skip_special_tokens off": {"temperature": 0, "skip_special_tokens": False, "max_tokens": 40},
}
CHAT = {
    "chat": {"temperature": 0},
    "chat seeded": {"temperature": 0.9, "seed": 1, "n": 2},
    "chat logprobs": {"temperature": 0, "logprobs": True, "top_logprobs": 4},
    "chat max_completion_tokens": {"temperature": 0, "max_completion_tokens": 7, "max_tokens": None},
}
VARIABLE = ("id", "created")


def strip(value):
    if isinstance(value, dict):
        return {k: strip(v) for k, v in value.items() if k not in VARIABLE}
    return [strip(v) for v in value] if isinstance(value, list) else value


def bodies():
    for name, fields in FIELDS.items():
        yield name, {"prompt": TEXT, "max_tokens": 20, **fields}
    for name, fields in CHAT.items():
        yield name, {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is the sky blue?"}], "max_tokens": 20, **fields}


def collect(server):
    result = {}
    for name, body in bodies():
        result[name] = json.dumps(strip(server.complete(**body)), sort_keys=True)
        stream = server.stream(**body, stream_options={"include_usage": True}).run()
        assert stream.complete, (name, stream.raw[-300:])
        # Chunks of several choices may interleave differently; each choice's own chunks may not.
        by_choice = {}
        for event in stream.events:
            for choice in event["choices"] or [{"index": "usage", "usage": event["usage"]}]:
                by_choice.setdefault(str(choice["index"]), []).append(choice)
        result[name + ", streamed"] = json.dumps(strip(by_choice), sort_keys=True)
    return result


def every_field_gives_the_same_bytes_in_both_modes():
    with Server("--mixed", 1, "--prefill", 0, "--decode", 0) as server:
        mixed = collect(server)
    for flags in (["--hand-off", "pull"], ["--hand-off", "push_by_layer"]):
        with Server(*flags) as server:
            disaggregated = collect(server)
        for name in mixed:
            # The second of two equal requests finds its prompt in the prefix cache in both modes.
            assert mixed[name] == disaggregated[name], (flags, name, mixed[name], disaggregated[name])


def what_is_asked_for_is_what_comes():
    with Server() as server:
        got = {name: server.complete(**body) for name, body in bodies()}
    choice = {name: answer["choices"][0] for name, answer in got.items()}
    assert len(got["n"]["choices"]) == 3 and len({c["text"] for c in got["n"]["choices"]}) == 3
    assert [c["index"] for c in got["several prompts"]["choices"]] == [0, 1, 2, 3]
    assert "the" not in choice["stop string"]["text"] and choice["stop string"]["finish_reason"] == "stop"
    assert choice["stop string kept"]["text"].endswith("the")
    assert choice["stop_token_ids"]["finish_reason"] == "stop" and choice["stop_token_ids"]["stop_reason"] in (28, 30)
    assert got["min_tokens"]["usage"]["completion_tokens"] >= 12
    assert got["ignore_eos"]["usage"]["completion_tokens"] == 48 and choice["ignore_eos"]["finish_reason"] == "length"
    assert choice["echo"]["text"].startswith(TEXT) and choice["echo with logprobs"]["logprobs"]["token_logprobs"][0] is None
    scores = choice["echo with logprobs"]["logprobs"]
    assert len(scores["tokens"]) == got["echo with logprobs"]["usage"]["total_tokens"]
    assert choice["echo only"]["text"] == TEXT and len(choice["echo only"]["logprobs"]["tokens"]) == got["echo only"]["usage"]["prompt_tokens"]
    for chosen, top in zip(choice["logprobs"]["logprobs"]["token_logprobs"], choice["logprobs"]["logprobs"]["top_logprobs"]):
        assert chosen == max(top.values()), "greedy takes the most likely, printed from the same number"
    assert got["one token"]["usage"]["completion_tokens"] == 1
    assert got["chat max_completion_tokens"]["usage"]["completion_tokens"] <= 7
    assert choice["token ids"]["logprobs"]["tokens"][0] == f"token_id:{choice['token ids']['token_ids'][0]}"
    assert choice["greedy"]["text"] == choice["logprobs"]["text"]


if __name__ == "__main__":
    run_case([every_field_gives_the_same_bytes_in_both_modes, what_is_asked_for_is_what_comes])
