#!/usr/bin/env python3
"""SIGKILL and SIGSTOP of instances: the stream goes on, byte for byte, when another can take over; a typed error when none can.

Who is to be killed is stopped first: then it is certain from /cluster what it was doing when it died.
"""
import os
import signal
import threading
import time

from harness import Server, run_case, stopped, wait_for

LONG = "The history of the small harbour town begins " + "with boats and storms and trade " * 60
MODES = {"greedy": {"temperature": 0}, "seeded": {"temperature": 1.0, "seed": 17, "logprobs": 2}}
SILENCE_S = 2.5                # of the control plane, after which a node is taken for dead (ARCHITECTURE.md)


def body(mode, prompt="The sailor said that", tokens=160):
    return {"prompt": prompt, "max_tokens": tokens, "ignore_eos": True, "return_token_ids": True, **MODES[mode]}


def essence(stream):
    return stream.tokens(), stream.text(), [c["logprobs"] for e in stream.events for c in e.get("choices", [])]


def undisturbed(server, request):
    return essence(server.stream(**request).whole())


class Asking:
    """Requests that are streamed from threads of their own."""

    def __init__(self, server, *requests):
        self.streams = [None] * len(requests)

        def run(i):
            self.streams[i] = server.stream(**requests[i]).run()
        self.threads = [threading.Thread(target=run, args=(i,)) for i in range(len(requests))]
        for thread in self.threads:
            thread.start()

    def answers(self):
        for thread in self.threads:
            thread.join()
        return [essence(stream.whole()) for stream in self.streams]


def at_work(server, role):
    """The one node of this role that has something of a request."""
    def find():
        busy = [n for n in server.nodes(role) if n["running"] or n["waiting"] or n["blocks_leased"] or n["blocks_used"]]
        assert len(busy) < 2, busy
        return busy and busy[0]
    return wait_for(find, 60, f"a {role} at work")


def strike(server, victim, requests):
    """Kills a node that is stopped, at a moment when the gateway counts just these requests."""
    with stopped(victim):
        counted = server.cluster()["requests"]
        assert counted == requests, f"the kill would not fall where it should: {counted}"
        os.kill(victim["pid"], signal.SIGKILL)


def recoveries(server):
    return {phase: server.metric("baton:recoveries_total", phase=phase) for phase in ("prefill", "decode")}


def await_healed(server):
    wait_for(server.ready, 60, "every node is ready")
    wait_for(server.idle, 5, "nothing left in use")


def a_decode_process_killed_in_mid_stream_is_not_noticed_by_the_client():
    with Server("--prefill", 1, "--decode", 2) as server:
        for kills, mode in enumerate(MODES, 1):
            request = body(mode, tokens=400)
            want = undisturbed(server, request)
            stream = server.stream(**request)
            for _ in range(10):
                assert stream.next_token()
            victim = at_work(server, "decode")
            strike(server, victim, {"running": 1, "waiting": 0})
            assert essence(stream.whole()) == want, mode
            assert recoveries(server) == {"prefill": 0, "decode": kills}
            await_healed(server)
            assert server.node(victim["name"])["incarnation"] > victim["incarnation"]


def a_prefill_process_killed_while_it_computes_is_not_noticed_by_the_client():
    with Server("--prefill", 2, "--decode", 1) as server:
        for kills, mode in enumerate(MODES, 1):
            request = body(mode, mode + LONG * 6, 24)      # begins as no other does: nothing of it is cached
            asking = Asking(server, request)
            strike(server, at_work(server, "prefill"), {"running": 0, "waiting": 1})
            got, = asking.answers()
            assert recoveries(server) == {"prefill": kills, "decode": 0}
            await_healed(server)
            assert got == undisturbed(server, request), mode


def prefill_processes_killed_with_requests_queued_lose_none():
    # A pool holds the prompt of one request at a time, so that the others wait.
    with Server("--prefill", 2, "--decode", 1, "--kv-blocks", 96, "--max-model-len", 1500) as server:
        requests = [body("greedy", f"Story {i}. " + LONG * 2, 8) for i in range(8)]
        asking = Asking(server, *requests)
        killed = wait_for(lambda: kill_with_a_queue(server), 60, "a queue")
        got = asking.answers()
        assert recoveries(server) == {"prefill": killed, "decode": 0}
        await_healed(server)
        for request, answer in zip(requests, got):
            assert answer == undisturbed(server, request)
        await_healed(server)


def kill_with_a_queue(server):
    """Kills a prefill node that has requests waiting. How many it had, or none if that is not certain at this moment."""
    nodes = server.nodes("prefill")
    with stopped(*nodes):
        view = server.cluster()
        has = {n["name"]: n["running"] + n["waiting"] for n in view["nodes"] if n["role"] == "prefill"}
        victim = next((n for n in view["nodes"] if n["role"] == "prefill" and n["waiting"] >= 2), None)
        if not victim or view["requests"]["waiting"] != sum(has.values()):
            return None                    # a report or a first token was still on its way
        os.kill(victim["pid"], signal.SIGKILL)
        return has[victim["name"]]


def a_prefill_process_killed_while_it_holds_kv_that_was_not_pulled_costs_only_time():
    # The pool of the decode instance is so full that the hand-off of the second request waits: 180 blocks are 2,880 tokens.
    with Server("--prefill", 2, "--decode", 1, "--kv-blocks", 180, "--max-model-len", 2800) as server:
        hog = server.stream(**body("greedy", "Count: " + "one two three " * 530, 1200))
        assert hog.next_token()
        wait_for(lambda: server.nodes("decode")[0]["blocks_used"] >= 100, 20, "the decode instance's pool fills")
        wait_for(lambda: not any(n["blocks_leased"] for n in server.nodes("prefill")), 20, "the prefill instances hold nothing")
        request = body("greedy", "boats and storms " * 400, 24)
        asking = Asking(server, request)
        victim = wait_for(lambda: next((n for n in server.nodes("prefill") if n["blocks_leased"] > 0), None), 60, "KV held for a hand-off")
        held_until = time.monotonic() + 1.0                # five intervals of reports
        while time.monotonic() < held_until:
            assert server.node(victim["name"])["blocks_leased"] == victim["blocks_leased"], "the lease is kept while the offer waits"
        with stopped(victim):
            decode = server.nodes("decode")[0]
            assert decode["waiting"] == 1 and decode["running"] == 1, decode
            os.kill(victim["pid"], signal.SIGKILL)
        hog.whole()
        got, = asking.answers()
        # Its first token was delivered: the decode instance has all it needs but the KV, and no attempt is lost.
        assert recoveries(server) == {"prefill": 0, "decode": 0}
        prompt_tokens = server.complete(**{**request, "max_tokens": 1})["usage"]["prompt_tokens"]
        assert server.metric("baton:recomputed_tokens_total") == prompt_tokens
        await_healed(server)
        assert got == undisturbed(server, request)
        wait_for(server.idle, 5, "nothing left in use")


def when_nobody_can_take_over_the_client_gets_a_typed_error_in_time():
    with Server("--no-restart", "--assign-deadline-ms", 3000, expect_clean_exit=False) as server:
        stream = server.stream(**body("greedy", tokens=1000))
        for _ in range(5):
            assert stream.next_token()
        victim = at_work(server, "decode")
        strike(server, victim, {"running": 1, "waiting": 0})
        start = time.monotonic()
        stream.run()
        assert stream.error and not stream.complete
        error = stream.events[-1]["error"]
        assert error["code"] == "unavailable", error
        assert time.monotonic() - start < 3 + 2, "the assign deadline, and some for a busy machine"
        status, answer = server.call("POST", "/v1/completions", {"prompt": "a", "max_tokens": 2})
        assert status == 503 and answer["error"]["code"] == "unavailable", (status, answer)
        assert server.call("GET", "/health")[0] == 503


def await_fence(server, victim):
    """The node is taken for dead once it was silent for too long, and not before."""
    start = time.monotonic()
    wait_for(lambda: server.node(victim["name"])["state"] == "down", SILENCE_S + 1.0, "the frozen node is fenced")
    print(f"fenced after {time.monotonic() - start:.2f} s")
    assert time.monotonic() - start > SILENCE_S / 2, "it was frozen, and did not die"


def a_frozen_decode_process_is_fenced_and_the_stream_goes_on():
    with Server("--prefill", 1, "--decode", 2) as server:
        request = body("seeded", tokens=400)
        want = undisturbed(server, request)
        stream = server.stream(**request)
        for _ in range(10):
            assert stream.next_token()
        victim = at_work(server, "decode")
        with stopped(victim):
            assert server.cluster()["requests"] == {"running": 1, "waiting": 0}
            await_fence(server, victim)
            assert essence(stream.whole()) == want
            assert recoveries(server) == {"prefill": 0, "decode": 1}
        await_healed(server)


def a_prefill_process_frozen_while_it_computes_is_fenced_and_the_request_goes_on():
    with Server("--prefill", 2, "--decode", 1) as server:
        request = body("greedy", LONG * 6, 24)
        asking = Asking(server, request)
        victim = at_work(server, "prefill")
        with stopped(victim):
            assert server.cluster()["requests"] == {"running": 0, "waiting": 1}
            await_fence(server, victim)
            got, = asking.answers()
            assert recoveries(server) == {"prefill": 1, "decode": 0}
        await_healed(server)
        assert got == undisturbed(server, request)
        wait_for(server.idle, 5, "nothing left in use")


def the_scheduler_may_die_and_streams_go_on():
    with Server() as server:
        request = body("greedy", tokens=400)
        want = undisturbed(server, request)
        stream = server.stream(**request)
        assert stream.next_token()
        strike(server, server.nodes("scheduler")[0], {"running": 1, "waiting": 0})
        assert essence(stream.whole()) == want
        assert undisturbed(server, request) == want, "a new request is served once the scheduler is back"
        assert recoveries(server) == {"prefill": 0, "decode": 0}


if __name__ == "__main__":
    run_case([a_decode_process_killed_in_mid_stream_is_not_noticed_by_the_client,
              a_prefill_process_killed_while_it_computes_is_not_noticed_by_the_client,
              prefill_processes_killed_with_requests_queued_lose_none,
              a_prefill_process_killed_while_it_holds_kv_that_was_not_pulled_costs_only_time,
              when_nobody_can_take_over_the_client_gets_a_typed_error_in_time,
              a_frozen_decode_process_is_fenced_and_the_stream_goes_on,
              a_prefill_process_frozen_while_it_computes_is_fenced_and_the_request_goes_on,
              the_scheduler_may_die_and_streams_go_on])
