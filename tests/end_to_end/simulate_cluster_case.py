#!/usr/bin/env python3
"""`baton simulate` without --compat, as a user types it: production's cores on virtual time."""
import csv
import json
import os
import subprocess
import tempfile

from harness import BATON, run_case

# Far apart, so that each is alone. Azure's columns.
TRACE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:00:00.0000000,200,5
2023-11-16 18:01:00.0000000,100,1
2023-11-16 18:02:00.0000000,2000000,4
"""
CLUSTER = "--profile distserve/opt-13b --prefill 1,tp=2,pp=1 --decode 1 --control-latency-us 1000"


def simulate(*flags):
    words = [word for flag in flags for word in flag.split()]
    env = {**os.environ, "BATON_MODEL": "served.gguf"}      # of a user who serves, too
    return subprocess.run([BATON, "simulate", *words], capture_output=True, text=True, timeout=60, env=env)


def written(folder, *flags):
    """The CSV's text and the summary of a run that is expected to go well."""
    requests, summary = os.path.join(folder, "requests.csv"), os.path.join(folder, "summary.json")
    ran = simulate(*flags, f"--requests {requests} --json {summary}")
    assert ran.returncode == 0 and ran.stdout == "", ran
    with open(requests, encoding="ascii") as file:
        text = file.read()
    with open(summary, encoding="ascii") as file:
        return text, json.load(file)


def the_csv_and_the_json_say_what_became_of_each_request():
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace.csv")
        with open(trace, "w", encoding="ascii") as file:
            file.write(TRACE)
        text, summary = written(folder, CLUSTER, f"--trace {trace} --ttft-ms 40 --tpot-ms 100")
        rows = list(csv.DictReader(text.splitlines()))
        assert [row["outcome"] for row in rows] == ["completed", "completed", "invalid_argument"], rows
        assert (rows[0]["prefill_instance"], rows[0]["decode_instance"]) == ("prefill_0", "decode_0")
        # Four messages, the engine's control and DistServe's prefill of one prompt with tp=2.
        for row, tokens in ((rows[0], 200), (rows[1], 100)):
            step = 2 + tokens * 0.0001 + 14.742973695171262 + 0.06857720739764 * tokens + 2.4495727400243586e-06 * tokens**2 + 1
            assert abs(float(row["ttft_ms"]) - (4 + step)) < 1e-6, (row, step)
        assert float(rows[1]["e2e_ms"]) == float(rows[1]["ttft_ms"]) and float(rows[1]["tpot_ms"]) == 0
        assert abs(float(rows[0]["tpot_ms"]) * 4 - float(rows[0]["e2e_ms"]) + float(rows[0]["ttft_ms"])) < 1e-9, rows[0]
        assert summary["outcomes"] == {"completed": 2, "invalid_argument": 1}
        assert summary["kv_bytes_moved"] == 200 * 2 * 2 * 40 * 5120 and summary["transfers"] == 1
        assert abs(summary["attainment"] - 2 / 3) < 1e-12, summary
        assert summary["instances"][1]["name"] == "decode_0" and summary["instances"][1]["generated_tokens"] == 4
        assert 0 < summary["transfer_share"] < 1 and 0 < summary["instances"][0]["utilisation"] < 1


def the_same_seed_gives_the_same_bytes_and_routing_changes_them():
    workload = "--workload azure_code --rate 20 --count 200"
    cluster = "--profile distserve/opt-13b --prefill 3 --decode 3 --mixed 1"
    with tempfile.TemporaryDirectory() as folder:
        first = written(folder, cluster, workload, "--seed 1")
        assert first == written(folder, cluster, workload, "--seed 1")
        assert first[1]["completed"] == 200 and first[1]["outcomes"] == {"completed": 200}
        assert first[0] != written(folder, cluster, workload, "--seed 2")[0]
        assert first[0] != written(folder, cluster, workload, "--seed 1 --routing round_robin")[0]
        assert first[0] != written(folder, cluster, workload, "--seed 1 --hand-off push_by_layer")[0]


def what_cannot_be_simulated_is_refused_by_name():
    right = "--profile distserve/opt-13b --prefill 1 --decode 1 --workload azure_code --count 1"
    for wrong, message in (
            (right.replace("opt-13b", "opt-31b"), 'did you mean "distserve/opt-13b"?'),
            (right.replace("--prefill 1", "--prefill one"), "write --prefill 2, or --prefill 2,tp=2,pp=1"),
            (right.replace("--decode 1", ""), "nobody generates tokens"),
            (right.replace("azure_code", "azure_coat"), 'did you mean "azure_code"?'),
            (right + " --routing jqs", 'did you mean "jsq"?'),
            (right + " --hand-off pul", 'did you mean "pull"?'),
            (right + " --scheduler token_jsq", "--scheduler is for --compat"),
            (right + " --rate 0", "the rate must be"),
            (right.replace("--count 1", "--count 1000000000"), "at most 10000000 requests"),
            ("--compat distserve --profile distserve/opt-13b --trace x", "leave out --compat"),
            ("--profile distserve/opt-13b --mixed 1", "--workload NAME")):
        ran = simulate(wrong)
        assert ran.returncode == 2 and message in ran.stderr, ran


run_case([the_csv_and_the_json_say_what_became_of_each_request, the_same_seed_gives_the_same_bytes_and_routing_changes_them,
          what_cannot_be_simulated_is_refused_by_name])
