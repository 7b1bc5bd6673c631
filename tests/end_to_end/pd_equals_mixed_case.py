#!/usr/bin/env python3
"""Disaggregated equals aggregated: every field of the API in both modes, whole answers and streams, bytes compared; and each field
does what it is there for.
"""
import json
import math

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
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is the sky blue?"}]
        yield name, {"messages": messages, "max_tokens": 20, **fields}


def collect(server):
    result = {}
    for name, body in bodies():
        result[name] = json.dumps(strip(server.complete(**body)), sort_keys=True)
        stream = server.stream(**body, stream_options={"include_usage": True}).whole()
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
    assert choice["echo only"]["text"] == TEXT
    assert len(choice["echo only"]["logprobs"]["tokens"]) == got["echo only"]["usage"]["prompt_tokens"]
    for chosen, top in zip(choice["logprobs"]["logprobs"]["token_logprobs"], choice["logprobs"]["logprobs"]["top_logprobs"]):
        assert chosen == max(top.values()), "greedy takes the most likely, printed from the same number"
    assert got["one token"]["usage"]["completion_tokens"] == 1
    assert got["chat max_completion_tokens"]["usage"]["completion_tokens"] == 7
    assert choice["token ids"]["logprobs"]["tokens"][0] == f"token_id:{choice['token ids']['token_ids'][0]}"
    assert choice["greedy"]["text"] == choice["logprobs"]["text"]


class Sampled:
    """Forty tokens, and at each place the log-probabilities that the model gave the twenty likeliest, before any field changed them."""

    def __init__(self, server, **fields):
        body = {"prompt": TEXT, "max_tokens": 40, "ignore_eos": True, "temperature": 0, "logprobs": 20, "return_token_ids": True,
                "return_tokens_as_token_ids": True, **fields}
        choice = server.complete(**body)["choices"][0]
        self.tokens = choice["token_ids"]
        self.top = [{int(name.split(":")[1]): value for name, value in top.items()} for top in choice["logprobs"]["top_logprobs"]]
        assert len(self.tokens) == len(self.top) == 40

    def all(self, holds):
        """holds(token, top, tokens before it) at every place."""
        return all(holds(token, top, self.tokens[:i]) for i, (token, top) in enumerate(zip(self.tokens, self.top)))


def likeliest(top, change=lambda token: 0):
    return max(top, key=lambda token: (top[token] + change(token), -token))


def logit_bias_and_penalties_change_the_logits_as_defined():
    with Server() as server:
        greedy = Sampled(server)
        assert greedy.all(lambda token, top, _: token == likeliest(top))
        repeated = [t for i, t in enumerate(greedy.tokens) if t in greedy.tokens[:i]]
        assert repeated, "nothing for a penalty to change"

        banned = greedy.tokens[0]
        without = Sampled(server, logit_bias={str(banned): -100})
        assert banned not in without.tokens
        assert without.all(lambda token, top, _: token == likeliest(top, lambda t: -100 * (t == banned)))
        assert set(Sampled(server, logit_bias={str(banned): 100}).tokens) == {banned}

        for presence, frequency in ((1.5, 0), (0, 1.5), (0.5, 0.7)):
            got = Sampled(server, presence_penalty=presence, frequency_penalty=frequency)
            assert got.tokens != greedy.tokens
            assert got.all(lambda token, top, before: token == likeliest(
                top, lambda t: -presence * (t in before) - frequency * before.count(t))), (presence, frequency)

        # Divides what is positive and multiplies what is not: at 100 nothing of the prompt or the output comes again.
        prompt = server.call("POST", "/tokenize", {"prompt": TEXT})[1]["tokens"]
        never_again = Sampled(server, repetition_penalty=100)
        assert never_again.all(lambda token, _, before: token not in before and token not in prompt)
        assert Sampled(server, repetition_penalty=1.0).tokens == greedy.tokens
        mild = Sampled(server, repetition_penalty=1.3).tokens
        assert len(set(mild)) > len(set(greedy.tokens)), (mild, greedy.tokens)


def temperature_seed_and_the_cuts_choose_as_defined():
    def among(k):
        return lambda token, top, _: token in sorted(top, key=lambda t: (-top[t], t))[:k]

    def in_nucleus(p):
        return lambda token, top, _: token in top and sum(math.exp(v) for v in top.values() if v > top[token]) < p

    def likely_enough(share, temperature):
        return lambda token, top, _: token in top and math.exp((top[token] - max(top.values())) / temperature) >= share * 0.9999

    with Server() as server:
        greedy = Sampled(server)
        free = Sampled(server, temperature=1.0, seed=4)
        assert Sampled(server, temperature=1.0, seed=4).tokens == free.tokens
        assert Sampled(server, temperature=1.0, seed=5).tokens != free.tokens
        assert Sampled(server, temperature=0.001, seed=4).tokens == greedy.tokens != free.tokens
        hot = Sampled(server, temperature=1.5, seed=4)
        assert sum(not among(1)(*at, None) for at in zip(hot.tokens, hot.top)) > sum(
            not among(1)(*at, None) for at in zip(free.tokens, free.top)), "the hotter, the less likely"

        assert Sampled(server, temperature=1.5, seed=4, top_k=1).tokens == greedy.tokens
        for fields, holds in (({"temperature": 1.5, "top_k": 5}, among(5)), ({"temperature": 1.0, "top_p": 0.5}, in_nucleus(0.5)),
                              ({"temperature": 1.5, "min_p": 0.2}, likely_enough(0.2, 1.5))):
            cut = Sampled(server, seed=4, **fields)
            assert cut.all(holds), fields
            assert cut.tokens != greedy.tokens, "something is left to draw from"
            assert not Sampled(server, seed=4, temperature=fields["temperature"]).all(holds), f"{fields} would hold without the cut"


if __name__ == "__main__":
    run_case([every_field_gives_the_same_bytes_in_both_modes, what_is_asked_for_is_what_comes,
              logit_bias_and_penalties_change_the_logits_as_defined, temperature_seed_and_the_cuts_choose_as_defined])
