#!/usr/bin/env python3
"""What an operator sees: start and stop, idle cost, wrong input on the command line and in files."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time

from harness import BATON, KV_BYTES_PER_TOKEN, MODEL, Server, alive, cpu_seconds, free_port, run_case, wait_for


def baton(*arguments, env=None, timeout=60):
    return subprocess.run([BATON, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})})


def an_idle_cluster_uses_under_one_percent_of_a_core_per_node():
    with Server() as server:
        server.complete(prompt="Warm up", max_tokens=4)
        pids = {n["name"]: n["pid"] for n in server.nodes()}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        start = time.monotonic()
        wait_for(lambda: time.monotonic() - start >= 10, 20, "ten seconds of idleness")
        seconds = time.monotonic() - start
        shares = {name: (cpu_seconds(pid) - before[name]) / seconds for name, pid in pids.items()}
        print({name: f"{100 * share:.2f} %" for name, share in shares.items()})
        assert all(share < 0.01 for share in shares.values()), shares


def two_servers_run_beside_each_other():
    with Server() as one, Server("--mixed", 1, "--prefill", 0, "--decode", 0) as two:
        body = {"prompt": "Side by side", "max_tokens": 8, "temperature": 0}
        assert one.complete(**body)["choices"] == two.complete(**body)["choices"]


def sigterm_drains_streams_and_leaves_no_process():
    with Server() as server:
        pids = [n["pid"] for n in server.nodes()]
        stream = server.stream(prompt="The long road", max_tokens=80, ignore_eos=True)
        assert stream.next_token()
        server.process.send_signal(signal.SIGTERM)
        stream.whole()                     # a running stream is finished first
        assert server.process.wait(timeout=30) == 0
    wait_for(lambda: not any(alive(pid) for pid in pids), 5, "no process is left")


def killing_the_supervisor_ends_its_children():
    with Server(expect_clean_exit=False) as server:
        pids = [n["pid"] for n in server.nodes()]
        server.process.kill()
        wait_for(lambda: not any(alive(pid) for pid in pids), 5, "no process is left")


def wrong_flags_and_files_get_an_error_that_says_what_to_do():
    with tempfile.TemporaryDirectory() as folder, socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        truncated, text = os.path.join(folder, "truncated.gguf"), os.path.join(folder, "text.gguf")
        with open(MODEL, "rb") as source, open(truncated, "wb") as target:
            target.write(source.read(1_000_000))
        with open(text, "w", encoding="utf-8") as file:
            file.write("this is no model")
        bad_yaml = os.path.join(folder, "cluster.yaml")
        with open(bad_yaml, "w", encoding="utf-8") as file:
            file.write("nodes:\n  - name: a\n    role: prefil\n    control: 127.0.0.1:7000\n")
        unknown_key = os.path.join(folder, "unknown.yaml")
        with open(unknown_key, "w", encoding="utf-8") as file:
            file.write("nodez: []\n")
        failed, misused = 1, 2             # actors/cli/verbs.h
        cases = [
            (["serve", "--decode", 0], misused, r"error: --decode 0 .*use --decode 1, or --mixed 1"),
            (["serve", "--prefill", 0], misused, r"error: --prefill 0 .*use --prefill 1, or --mixed 1"),
            (["serve", "--prefill", -1], misused, r"--prefill: .*-1.* 0 to 64"),
            (["serve", "--kv-blocks", 0], misused, r"--kv-blocks: .*0 not in range 1 to"),
            (["serve", "--block-size", 7], misused, r"--block-size: 7 .*16.*32.*64"),
            (["serve", "--threads", 0], misused, r"--threads: .*0 not in range 1 to"),
            (["serve", "--max-model-len", 0], misused, r"--max-model-len: .*0 not in range 1 to"),
            (["serve", "--hand-off", "pul"], misused, r"--hand-off: .*pul .*pull.*push_by_layer"),
            (["serve", "--kv-dtype", "f64"], misused, r"--kv-dtype: .*f64 .*bf16"),
            (["serve", "--model", "/nowhere/model.gguf"], misused, r"error: no model at /nowhere/model\.gguf; .*--model"),
            (["serve", "--model", truncated], misused, r"error: \S*/truncated\.gguf: key tokenizer\.\S+ states \d+ elements, more than"),
            (["serve", "--model", text], misused, r"error: \S*/text\.gguf: not a GGUF file"),
            (["serve", "--model", "/dev/null"], failed, r"error: /dev/null"),
            (["serve", "--model", MODEL, "--chat-template", "nonsense"], misused, r"nonsense.*--chat-template takes chatml"),
            (["serve", "--model", MODEL, "--max-model-len", 8193], misused, r"context of 8192.*--max-model-len"),
            (["serve", "--model", MODEL, "--port", 0, "--kv-blocks", 16_000_000], misused,
             r"(?s)no memory for 16000000 KV blocks.*cannot start"),
            (["serve", "--model", MODEL, "--port", port], misused, rf"error: 127\.0\.0\.1:{port} is taken .*--port"),
            (["serve", "--prot", 1], misused, r"not expected: .*--prot"),
            (["node", "--config", bad_yaml, "--name", "a"], misused,
             r'cluster\.yaml:3: nodes\[0\]\.role: .*"prefil"; did you mean "prefill"'),
            (["node", "--config", unknown_key, "--name", "a"], misused, r'unknown\.yaml:1: nodez: unknown key; did you mean "nodes"'),
            (["node", "--config", os.path.join(folder, "none.yaml"), "--name", "a"], misused, r"none\.yaml: No such file"),
            (["node", "--config", unknown_key], misused, r"--name is required"),
            (["bench", "--url", f"http://127.0.0.1:{free_port()}"], failed,
             r"error: cannot reach http://127\.0\.0\.1:\d+: Connection refused"),
            (["serv"], misused, r'error: no verb "serv"; did you mean "serve"'),
        ]
        for arguments, code, pattern in cases:
            result = baton(*arguments)
            assert result.returncode == code, (arguments, result.returncode, result.stderr)
            assert re.search(pattern, result.stderr), (arguments, result.stderr)
            assert not result.stdout, (arguments, result.stdout)
            assert "terminate called" not in result.stderr, (arguments, result.stderr)


def a_model_with_an_unknown_chat_template_is_served_only_with_a_chosen_one():
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "other.gguf")
        with open(MODEL, "rb") as source, open(model, "wb") as target:
            whole = source.read()
            begin = whole.index(b"{% for message in messages %}")
            target.write(whole[:begin] + b"{% for massage in messages %}" + whole[begin + 29:])
        refused = baton("serve", "--model", model, "--port", 0)
        assert refused.returncode == 2 and "--chat-template" in refused.stderr, (refused.returncode, refused.stderr)
        doubtful = baton("doctor", "--model", model, "--json")
        check = next(check for check in json.loads(doubtful.stdout)["checks"] if check["name"] == "chat")
        assert doubtful.returncode == 0 and not check["ok"] and "--chat-template" in check["detail"], doubtful.stdout
        with Server("--chat-template", "chatml", model=model) as server:
            assert server.complete(messages=[{"role": "user", "content": "Hello"}], max_tokens=4)["choices"]


def a_model_with_a_window_is_served_up_to_it():
    def pair(key, value):
        return struct.pack("<Q", len(key)) + key + struct.pack("<II", 4, value)
    more = pair(b"llama.attention.sliding_window", 1024) + pair(b"aa", 0)
    assert len(more) % 32 == 0, "the tensors' data stay aligned"
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "windowed.gguf")
        with open(MODEL, "rb") as source, open(model, "wb") as target:
            whole = source.read()
            pairs, = struct.unpack_from("<Q", whole, 16)
            target.write(whole[:16] + struct.pack("<Q", pairs + 2) + more + whole[24:])
        with Server(model=model) as server:
            assert server.complete(prompt="The window", max_tokens=4)["choices"]
            assert server.call("GET", "/v1/models")[1]["data"][0]["max_model_len"] == 1024
        refused = baton("serve", "--model", model, "--port", 0, "--max-model-len", 1025)
        assert refused.returncode != 0 and re.search("sliding window of 1024.*--max-model-len", refused.stderr, re.S), refused.stderr


def a_node_that_cannot_start_says_why_and_ends():
    with tempfile.TemporaryDirectory() as folder, socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        path = os.path.join(folder, "cluster.yaml")
        nodes = [f"{{name: gateway, role: gateway, http: '127.0.0.1:{busy.getsockname()[1]}', control: '127.0.0.1:{free_port()}'}}",
                 f"{{name: scheduler, role: scheduler, control: '127.0.0.1:{free_port()}'}}",
                 f"{{name: mixed, role: mixed, control: '127.0.0.1:{free_port()}', kv_blocks: 16000000}}"]
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"model: {MODEL}\nchat_template: chatml\nsecurity: {{insecure: true}}\nnodes:\n")
            file.writelines(f"  - {node}\n" for node in nodes)
        for name, words in (("gateway", r"cannot listen on 127\.0\.0\.1:.*http"), ("mixed", "no memory for 16000000 KV blocks")):
            result = baton("node", "--config", path, "--name", name)
            assert result.returncode == 2 and re.search(words, result.stderr), (name, result.returncode, result.stderr)
        with open(path, encoding="utf-8") as file:
            wrong = file.read().replace("chat_template: chatml", "chat_template: nonsense")
        with open(path, "w", encoding="utf-8") as file:
            file.write(wrong)
        result = baton("node", "--config", path, "--name", "gateway")
        assert result.returncode == 2 and "--chat-template" in result.stderr, (result.returncode, result.stderr)


def every_verb_has_help_and_the_version_is_told():
    top = baton("--help")
    assert top.returncode == 0
    for verb in ("serve", "node", "bench", "keys", "doctor", "version"):
        assert verb in top.stdout
        result = baton(verb, "--help")
        assert result.returncode == 0 and printable(result.stdout), (verb, result.stdout)
        if verb == "serve":
            for words in ("--hand-off TEXT:{pull,push_by_layer}=pull ", "--kv-dtype TEXT:{bf16,f32}=bf16 "):
                assert words in result.stdout, result.stdout
    version = baton("version", "--json")
    assert version.returncode == 0 and json.loads(version.stdout)["version"]
    flag = baton("--version")
    assert flag.returncode == 0 and flag.stdout == baton("version").stdout, flag


def printable(text):
    return text and all(c.isprintable() or c == "\n" for c in text)


def wrong_words_are_said_once_by_their_name_before_anything_starts():
    serve = ["serve", "--port", 0, "--model", MODEL]
    cases = [
        (["nosuch"], r'error: no verb "nosuch"; known: serve, node, bench, simulate, plan, keys, doctor, version'),
        (["srve", "--port", 0], r'error: no verb "srve"; did you mean "serve"\?'),
        ([*serve, "--hand-off", "pul"], r"--hand-off: pul not in \{pull,push_by_layer\}\nRun with --help.*"),
        ([*serve, "--kv-dtype", "f64"], r"--kv-dtype: f64 not in \{bf16,f32\}\nRun with --help.*"),
        ([*serve, "--routing", "jqs"], r'error: --routing: unknown routing policy "jqs"; did you mean "jsq"\?'),
        ([*serve, "--admission", "dedline"], r'error: --admission: unknown admission policy "dedline"; did you mean "deadline"\?'),
        ([*serve, "--queue-order", "srtp"], r'error: --queue-order: unknown queue order "srtp"; did you mean "srpt"\?'),
        ([*serve, "--assign-deadline-ms", 3600000], r"error: --assign-deadline-ms: must not be over request_deadline_ms"),
        (["serve", "--port", 0, "--model", "/etc/passwd"], r"error: /etc/passwd: not a GGUF file: .*"),
        (["serve", "--port", 0, "--model", "/"], r"error: /+config\.json: .*"),
        ([*serve, "--chat-template", "nosuch"], r'error: there is no chat template "nosuch"; --chat-template takes .*'),
        ([*serve, "--kv-blocks", 1 << 29], r"error: --kv-blocks: must be a whole number from 1 to \d+, not \"536870912\""),
    ]
    for arguments, pattern in cases:
        result = baton(*arguments)
        assert result.returncode == 2 and printable(result.stderr), (arguments, result.returncode, result.stderr)
        assert re.fullmatch(pattern, result.stderr.strip()), (arguments, result.stderr)


def nodes_are_called_baton_in_lists_of_processes():
    with Server() as server:
        for node in server.nodes():
            with open(f"/proc/{node['pid']}/comm", encoding="ascii") as file:
                assert file.read() == "baton\n", node["name"]


def the_longest_request_fits_the_memory_that_was_given():
    with Server("--kv-memory-mib", 1) as server:                  # two blocks of 16 tokens
        model = server.call("GET", "/v1/models")[1]["data"][0]
        assert model["max_model_len"] == (1 << 20) // (16 * KV_BYTES_PER_TOKEN) * 16 == 32, model
        tokens = len(server.call("POST", "/tokenize", {"prompt": "Hello there"})[1]["tokens"])
        answer = server.complete(prompt="Hello there", max_tokens=32 - tokens, ignore_eos=True)
        assert answer["usage"]["total_tokens"] == 32, answer
        assert server.call("POST", "/v1/completions", {"prompt": "Hello there", "max_tokens": 33 - tokens})[0] == 400


def the_doctor_names_what_it_looked_at():
    result = baton("doctor", "--model", MODEL, "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    details = {check["name"]: check["detail"] for check in json.loads(result.stdout)["checks"]}
    assert {"cpu", "memory", "model", "ucx", "ports"} <= set(details), details
    assert re.search(r"tcp \(.*\blo\b", details["ucx"]) and "the CPU has " in details["cpu"], details
    result = baton("doctor", "--model", "/nowhere.gguf")
    assert result.returncode == 1 and "/nowhere.gguf" in result.stdout, (result.returncode, result.stdout)


def the_load_generator_reports_percentiles_and_goodput():
    with Server() as server:
        url = f"http://{server.host}:{server.port}"
        for mode in (["--concurrency", 2], ["--rate", 5]):
            result = baton("bench", "--url", url, "--requests", 8, "--prompt-tokens", 32, "--output-tokens", 8,
                           "--ttft-ms", 30000, "--tpot-ms", 10000, "--json", *mode, timeout=120)
            assert result.returncode == 0, result.stderr
            report = json.loads(result.stdout)
            assert report["completed"] == 8 and report["failed"] == 0, report
            for name in ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms"):
                assert 0 < report[name]["p50"] <= report[name]["p90"] <= report[name]["p99"], report
            assert report["output_tokens"] == 64
            assert report["attainment"] == 1.0 and report["goodput_rps"] > 0


def node_refuses_to_start_without_keys_unless_told_insecure():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "cluster.yaml")
        with open(path, "w", encoding="utf-8") as file:
            roles = ("scheduler", "gateway", "mixed")
            file.write("nodes:\n" + "".join(f"  - {{name: {role}, role: {role}, control: '127.0.0.1:{free_port()}'}}\n" for role in roles))
        result = baton("node", "--config", path, "--name", "scheduler")
        assert result.returncode == 2, (result.returncode, result.stderr)
        assert re.search(r"`baton keys init`.*`baton keys issue`.*insecure: true", result.stderr), result.stderr


if __name__ == "__main__":
    run_case([an_idle_cluster_uses_under_one_percent_of_a_core_per_node, two_servers_run_beside_each_other,
              sigterm_drains_streams_and_leaves_no_process, killing_the_supervisor_ends_its_children,
              wrong_flags_and_files_get_an_error_that_says_what_to_do, every_verb_has_help_and_the_version_is_told,
              a_model_with_an_unknown_chat_template_is_served_only_with_a_chosen_one, a_node_that_cannot_start_says_why_and_ends,
              a_model_with_a_window_is_served_up_to_it, wrong_words_are_said_once_by_their_name_before_anything_starts,
              nodes_are_called_baton_in_lists_of_processes, the_longest_request_fits_the_memory_that_was_given,
              the_doctor_names_what_it_looked_at, the_load_generator_reports_percentiles_and_goodput,
              node_refuses_to_start_without_keys_unless_told_insecure])
