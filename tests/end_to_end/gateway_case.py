#!/usr/bin/env python3
"""A gateway dies: its clients' connections drop, its requests are cancelled on every instance, another gateway's clients notice nothing,
and once it is back it serves the same bytes.
"""
import json
import os
import signal
import time

from harness import Gateway, Server, free_port, run_case, stopped, wait_for

SILENCE_S = 2.5                # of the control plane, after which a node is taken for dead (ARCHITECTURE.md)
AT_ONCE_S = 0.5
CHUNK = 64                     # tokens of a prompt in one step, so that steps are short: one that runs keeps its blocks until it is done
LASTING = {"prompt": "Tell me a long story about", "max_tokens": 1500, "ignore_eos": True, "temperature": 0}
LONG = {"prompt": "river and " * 1500, "max_tokens": 100, "ignore_eos": True, "temperature": 0}
SHORT = {"prompt": "The capital of France is", "max_tokens": 24, "temperature": 0.8, "seed": 3}


class TwoGateways(Server):
    """Two gateways in front of one prefill and one decode instance; `self.first` is for killing, `self.second` looks on."""

    def __init__(self):
        def local():
            return f"127.0.0.1:{free_port()}"
        self.gateways = [{"name": f"gateway{i}", "role": "gateway", "control": local(), "http": local()} for i in (0, 1)]
        others = [{"name": name, "role": name, "control": local()} for name in ("scheduler", "prefill", "decode")]
        super().__init__(config={"nodes": self.gateways + others, "instances": {"chunk_tokens": CHUNK}})

    def __enter__(self):
        super().__enter__()
        self.first, self.second = (Gateway("127.0.0.1", int(g["http"].rsplit(":", 1)[1])) for g in self.gateways)
        for gateway in (self.first, self.second):
            wait_for(lambda: serves(gateway), 60, "both gateways see every instance")
        return self


def serves(gateway):
    try:
        return gateway.ready()
    except ConnectionError:
        return False


def held(gateway):
    """What the instances have of requests, whoever asked."""
    keys = ("running", "waiting", "blocks_used", "blocks_leased")
    return {n["name"]: {key: n[key] for key in keys if n[key]} for n in gateway.nodes() if n["role"] in ("prefill", "decode")}


def step_seconds(gateway):
    """At most, of a step with a chunk of LONG: the last ones take longer than the mean, for their context."""
    start = time.monotonic()
    prompt_tokens = gateway.complete(prompt="ocean or " * 1500, max_tokens=1)["usage"]["prompt_tokens"]
    return 3 * (time.monotonic() - start) / (prompt_tokens / CHUNK)


def two_kinds_of_requests(gateway):
    """One that decodes and one whose prompt is being read."""
    decoding = gateway.stream(**LASTING)
    assert decoding.next_token()
    reading = gateway.connect()
    reading.request("POST", "/v1/completions", json.dumps(LONG), {"Content-Type": "application/json"})
    wait_for(lambda: all(held(gateway).values()), 20, "both instances have a request")
    return decoding, reading


def a_killed_gateways_requests_are_cancelled_everywhere_at_once_and_it_comes_back_with_the_same_bytes():
    with TwoGateways() as server:
        want = server.first.complete(**SHORT)["choices"]
        step_s = step_seconds(server.first)
        decoding, reading = two_kinds_of_requests(server.first)
        victim = server.first.node("gateway0")
        os.kill(victim["pid"], signal.SIGKILL)
        killed = time.monotonic()
        wait_for(lambda: not any(held(server.second).values()), AT_ONCE_S + step_s,
                 "every instance is rid of the dead gateway's requests")
        print(f"free after {time.monotonic() - killed:.2f} s; a step takes up to {step_s:.2f} s")
        assert decoding.run().error, "a client's connection dropped"
        try:
            reading.getresponse()
        except ConnectionError:            # which http.client.RemoteDisconnected is too
            pass
        else:
            raise AssertionError("a request without an answer was answered by a dead gateway")
        assert server.second.complete(**SHORT)["choices"] == want
        wait_for(lambda: serves(server.first), 60, "the gateway is back")
        assert server.first.node("gateway0")["incarnation"] > victim["incarnation"]
        assert server.first.complete(**SHORT)["choices"] == want
        assert server.second.metric("baton:recoveries_total") == 0


def a_frozen_gateways_requests_are_cancelled_everywhere_when_it_has_been_silent_too_long():
    with TwoGateways() as server:
        step_s = step_seconds(server.first)
        clients = two_kinds_of_requests(server.first)          # who hold their connections
        with stopped(server.first.node("gateway0")):
            start = time.monotonic()
            wait_for(lambda: not any(held(server.second).values()), SILENCE_S + AT_ONCE_S + step_s,
                     "every instance is rid of its requests")
            print(f"free after {time.monotonic() - start:.2f} s; a step takes up to {step_s:.2f} s")
        for client in clients:
            client.close()
        wait_for(lambda: serves(server.first), 60, "the gateway is back")
        assert server.first.complete(**SHORT)["choices"] == server.second.complete(**SHORT)["choices"]


if __name__ == "__main__":
    run_case([a_killed_gateways_requests_are_cancelled_everywhere_at_once_and_it_comes_back_with_the_same_bytes,
              a_frozen_gateways_requests_are_cancelled_everywhere_when_it_has_been_silent_too_long])
