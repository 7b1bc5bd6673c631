#!/usr/bin/env python3
"""SIGKILL and SIGSTOP of instances: the stream goes on, byte for byte, when another can take over; a typed error when none can."""
import json
import os
import signal
import threading
import time

from harness import Server, run_case, wait_for

LONG = "The history of the small harbour town begins " + "with boats and storms and trade " * 60
MODES = {"greedy": {"temperature": 0}, "seeded": {"temperature": 1.0, "seed": 17, "logprobs": 2}}


def body(mode, prompt="The sailor said that", tokens=160):
    return {"prompt": prompt, "max_tokens": tokens, "ignore_eos": True, "return_token_ids": True, **MODES[mode]}


def essence(stream):
    return stream.tokens(), stream.text(), [c["logprobs"] for e in stream.events for c in e.get("choices", [])]


def undisturbed(server, request):
    stream = server.stream(**request).run()
    assert stream.complete, stream.raw[-300:]
    return essence(stream)


def busy(server, role):
    """The node of this role that has a request."""
    return wait_for(lambda: next((n for n in server.nodes(role) if n["running"] or n["waiting"] or n["blocks_leased"] or n["blocks_used"]), None), 20, f"a busy {role}")


def a_decode_process_killed_in_mid_stream_is_not_noticed_by_the_client():
    with Server("--prefill", 1, "--decode", 2) as server:
        for mode in MODES:
            request = body(mode)
            want = undisturbed(server, request)
            stream = server.stream(**request)
            for _ in range(10):
                assert stream.next_token()
            victim = busy(server, "decode")
            os.kill(victim["pid"], signal.SIGKILL)
            stream.run()
            assert stream.complete, stream.raw[-300:]
            assert essence(stream) == want, mode
            wait_for(lambda: all(n["state"] == "ready" for n in server.nodes()), 30, "the dead node is back")
            assert next(n for n in server.nodes() if n["name"] == victim["name"])["incarnation"] > victim["incarnation"]
        assert server.metric("baton:recoveries_total", phase="decode") >= 2
        wait_for(server.idle, 5, "nothing left in use")


def a_prefill_process_killed_while_it_computes_is_not_noticed_by_the_client():
    with Server("--prefill", 2, "--decode", 1) as server:
        for mode in MODES:
            request = body(mode, mode + LONG * 3, 24)      # begins as no other does: nothing of it is cached
            kill_during(server, request, "prefill", lambda n: n["running"] or n["waiting"])
        assert server.metric("baton:recoveries_total", phase="prefill") >= 1
        wait_for(server.idle, 5, "nothing left in use")


def kill_during(server, request, role, condition):
    """Sends the request from a thread, kills the first node of the role for which the condition holds, compares with the same request after it."""
    streams = []
    thread = threading.Thread(target=lambda: streams.append(server.stream(**request).run()))
    thread.start()
    victim = wait_for(lambda: next((n for n in server.nodes(role) if condition(n)), None), 20, f"a {role} at work")
    os.kill(victim["pid"], signal.SIGKILL)
    thread.join()
    stream = streams[0]
    assert stream.complete, stream.raw[-300:]
    wait_for(lambda: all(n["state"] == "ready" for n in server.nodes()), 30, "the dead node is back")
    assert essence(stream) == undisturbed(server, request)


def prefill_processes_killed_with_requests_queued_lose_none():
    with Server("--prefill", 2, "--decode", 1) as server:
        requests = [body("greedy", f"Story {i}. " + LONG, 8) for i in range(8)]
        streams = [None] * len(requests)

        def run(i):
            streams[i] = server.stream(**requests[i]).run()
        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(requests))]
        for thread in threads:
            thread.start()
        victim = wait_for(lambda: next((n for n in server.nodes("prefill") if n["waiting"] > 0), None), 20, "a queue")
        os.kill(victim["pid"], signal.SIGKILL)
        for thread in threads:
            thread.join()
        assert all(stream.complete for stream in streams)
        wait_for(lambda: all(n["state"] == "ready" for n in server.nodes()), 30, "the dead node is back")
        for request, stream in zip(requests, streams):
            assert essence(stream) == undisturbed(server, request)
        wait_for(server.idle, 5, "nothing left in use")


def a_prefill_process_killed_while_it_holds_kv_that_was_not_pulled_costs_only_time():
    # The pool of the decode instance has no room for the next request once the first one is some blocks long: its hand-off waits.
    with Server("--prefill", 2, "--decode", 1, "--kv-blocks", 40, "--max-model-len", 512) as server:
        hog = server.stream(prompt="Count: one two three", max_tokens=480, ignore_eos=True, temperature=0)
        for _ in range(128):
            assert hog.next_token()
        request = body("greedy", "boats and storms " * 100, 24)
        streams = []
        thread = threading.Thread(target=lambda: streams.append(server.stream(**request).run()))
        thread.start()
        victim = wait_for(lambda: next((n for n in server.nodes("prefill") if n["blocks_leased"] > 0), None), 30, "KV held for a hand-off")
        os.kill(victim["pid"], signal.SIGKILL)
        hog.run()
        thread.join()
        assert hog.complete and streams[0].complete
        wait_for(lambda: all(n["state"] == "ready" for n in server.nodes()), 30, "the dead node is back")
        assert essence(streams[0]) == undisturbed(server, request)
        wait_for(server.idle, 5, "nothing left in use")


def when_nobody_can_take_over_the_client_gets_a_typed_error_in_time():
    with Server("--no-restart", "--assign-deadline-ms", 3000, expect_clean_exit=False) as server:
        stream = server.stream(**body("greedy"))
        for _ in range(5):
            assert stream.next_token()
        os.kill(busy(server, "decode")["pid"], signal.SIGKILL)
        start = time.monotonic()
        stream.run()
        assert not stream.complete
        error = stream.events[-1]["error"]
        assert error["code"] == "unavailable", error
        assert time.monotonic() - start < 8
        status, answer = server.call("POST", "/v1/completions", {"prompt": "a", "max_tokens": 2})
        assert status == 503 and answer["error"]["code"] == "unavailable", (status, answer)
        assert server.call("GET", "/health")[0] == 503


def a_frozen_decode_process_is_fenced_and_the_stream_goes_on():
    with Server("--prefill", 1, "--decode", 2) as server:
        request = body("seeded")
        want = undisturbed(server, request)
        stream = server.stream(**request)
        for _ in range(10):
            assert stream.next_token()
        victim = busy(server, "decode")
        os.kill(victim["pid"], signal.SIGSTOP)
        try:
            start = time.monotonic()
            assert stream.next_token()
            stream.run()
            assert stream.complete and essence(stream) == want
            assert time.monotonic() - start < 30
        finally:
            os.kill(victim["pid"], signal.SIGCONT)
        wait_for(lambda: all(n["state"] == "ready" for n in server.nodes()), 30, "the frozen node is back")
        wait_for(server.idle, 10, "nothing left in use")


def the_scheduler_may_die_and_streams_go_on():
    with Server() as server:
        request = body("greedy", tokens=200)
        want = undisturbed(server, request)
        stream = server.stream(**request)
        assert stream.next_token()
        os.kill(server.nodes("scheduler")[0]["pid"], signal.SIGKILL)
        stream.run()
        assert stream.complete and essence(stream) == want
        assert json.dumps(undisturbed(server, request)) == json.dumps(want), "a new request is served once the scheduler is back"


if __name__ == "__main__":
    run_case([a_decode_process_killed_in_mid_stream_is_not_noticed_by_the_client, a_prefill_process_killed_while_it_computes_is_not_noticed_by_the_client,
              prefill_processes_killed_with_requests_queued_lose_none, a_prefill_process_killed_while_it_holds_kv_that_was_not_pulled_costs_only_time,
              when_nobody_can_take_over_the_client_gets_a_typed_error_in_time, a_frozen_decode_process_is_fenced_and_the_stream_goes_on,
              the_scheduler_may_die_and_streams_go_on])
