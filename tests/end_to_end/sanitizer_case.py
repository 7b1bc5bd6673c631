#!/usr/bin/env python3
"""Real processes built with AddressSanitizer and UndefinedBehaviorSanitizer walk the whole path; in other builds it is a quick walk."""
import os
import signal

from harness import Server, run_case, wait_for

COMPLAINTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "check failed")


def walk(server):
    server.complete(prompt="One two three", max_tokens=8, n=2, seed=1, logprobs=2)
    server.complete(messages=[{"role": "user", "content": "Hello"}], max_tokens=8, temperature=0)
    server.complete(prompt="echo", echo=True, logprobs=1, max_tokens=2)
    server.stream(prompt="river " * 80, max_tokens=8, stop=["zzz"]).whole()
    assert server.call("POST", "/v1/completions", {"prompt": "a", "max_tokens": -1})[0] == 400
    left = server.stream(prompt="Tell me", max_tokens=400, ignore_eos=True)
    assert left.next_token()
    left.close()
    wait_for(server.idle, 20, "nothing left in use")


def the_whole_path_has_no_complaint_sanitized():
    for flags in (["--decode", 2, "--hand-off", "pull"], ["--hand-off", "push_by_layer"], ["--mixed", 1]):
        with Server(*flags) as server:
            walk(server)
            if "pull" in flags:
                stream = server.stream(prompt="The sea", max_tokens=60, ignore_eos=True, temperature=0)
                assert stream.next_token()
                victim = wait_for(lambda: next((n for n in server.nodes("decode") if n["running"]), None), 20, "a decode at work")
                os.kill(victim["pid"], signal.SIGKILL)
                stream.whole()
                wait_for(server.ready, 60, "the dead node is back")
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(timeout=60)
            log = server.log_text()
        assert not any(complaint in log for complaint in COMPLAINTS), log[-6000:]


if __name__ == "__main__":
    run_case([the_whole_path_has_no_complaint_sanitized])
