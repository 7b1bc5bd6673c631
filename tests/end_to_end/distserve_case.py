#!/usr/bin/env python3
"""`baton simulate` and `baton plan` with --compat distserve as a user types them; latencies are those of the authors' simulator."""
import csv
import json
import os
import subprocess
import tempfile

from harness import BATON, run_case

TRACE = """[{"start_time": 1.000, "prompt_len": 512,  "output_len": 4},
 {"start_time": 1.010, "prompt_len": 1024, "output_len": 3},
 {"start_time": 1.050, "prompt_len": 128,  "output_len": 5},
 {"start_time": 1.300, "prompt_len": 2000, "output_len": 2},
 {"start_time": 1.305, "prompt_len": 64,   "output_len": 6}]
"""
PAIR = "--compat distserve --model opt-13b --prefill tp=1,pp=1 --decode tp=1,pp=1"
ONE = "--compat distserve-vllm --model opt-66b --mixed tp=4,pp=1"


def baton(verb, flags, *more):
    return subprocess.run([BATON, verb, *flags.split(), *more], capture_output=True, text=True, timeout=60)


def with_file(text, use):
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "input.json")
        with open(name, "w", encoding="ascii") as file:
            file.write(text)
        return use(name, os.path.join(folder, "out"))


def the_csv_has_the_authors_latencies_in_trace_order():
    def use(trace, out):
        ran = baton("simulate", PAIR, "--trace", trace, "--requests", out)
        assert ran.returncode == 0 and "5 requests completed" in ran.stdout, ran
        with open(out, encoding="ascii") as file:
            return list(csv.DictReader(file))
    rows = with_file(TRACE, use)
    assert list(rows[0]) == ["request_id", "arrival_s", "prompt_tokens", "output_tokens", "ttft_ms", "tpot_ms", "e2e_ms",
                             "prefill_instance", "decode_instance", "outcome"]
    expected = [(75.199881053, 22.347117995), (211.405474507, 22.851854194), (171.405474507, 22.538883947),
                (253.616118272, 23.428071311), (276.276622006, 25.221450907)]
    for row, (ttft, tpot), number in zip(rows, expected, range(5)):
        assert abs(float(row["ttft_ms"]) - ttft) < 1e-6 and abs(float(row["tpot_ms"]) - tpot) < 1e-6, row
        assert row["request_id"] == str(number) and row["outcome"] == "completed", row
        assert (row["prefill_instance"], row["decode_instance"]) == ("prefill_0", "decode_0"), row
    assert [row["arrival_s"] for row in rows] == ["1", "1.01", "1.05", "1.3", "1.305"]


def one_instance_does_both_and_its_summary_is_json():
    def use(trace, out):
        ran = baton("simulate", ONE, "--trace", trace, "--json", out, "--requests", out + ".csv")
        assert ran.returncode == 0 and ran.stdout == "", ran
        with open(out, encoding="ascii") as file, open(out + ".csv", encoding="ascii") as rows:
            return json.load(file), list(csv.DictReader(rows))
    summary, rows = with_file(TRACE, use)
    assert summary["requests"] == 5 and summary["mixed"] == "tp=4,pp=1", summary
    assert summary["ttft_ms"]["max"] == max(float(row["ttft_ms"]) for row in rows), summary
    assert all(row["prefill_instance"] == row["decode_instance"] == "mixed_0" for row in rows), rows


def plan(flags, workload=None):
    requests = workload or json.dumps([{"prompt_len": 128, "output_len": 4}])

    def use(name, out):
        ran = baton("plan", flags, "--workload", name, "--json", out)
        assert ran.returncode == 0, ran
        with open(out, encoding="ascii") as file:
            return ran.stdout, json.load(file)
    return with_file(requests, use)


def a_plan_lists_what_could_be_run_and_the_best():
    text, found = plan("--compat distserve --model opt-13b --nodes 1 --gpus-per-node 2 --affinity low --ttft-ms 200 --tpot-ms 100")
    only = {"pp_cross": 1, "tp_prefill": 1, "pp_prefill": 1, "tp_decode": 1, "pp_decode": 1, "rate_per_gpu": 4.84375}
    assert found["configurations"] == [only] and found["best"] == only, found
    assert (found["candidates"], found["runnable"]) == (1, 1), found
    assert "4.8438" in text and "prefill tp=1,pp=1, decode tp=1,pp=1" in text, text
    _, found = plan("--compat distserve-vllm --model opt-13b --gpus-per-node 1 --max-per-gpu-rate 8 --esp 4")
    assert found["configurations"] == [{"tp": 1, "pp": 1, "rate_per_gpu": 4}] and found["candidates"] == 1, found


def a_plan_that_nobody_can_run_says_so():
    text, found = plan("--compat distserve --model opt-175b --nodes 4 --gpus-per-node 8 --affinity high")
    assert (found["candidates"], found["runnable"], found["configurations"], found["best"]) == (1132, 0, [], None), found
    assert "1132 candidates, 0 runnable" in text, text


def what_cannot_be_simulated_or_planned_is_refused():
    for text, flags, message in (
            (TRACE, PAIR.replace("opt-13b", "opt-13"), 'did you mean "opt-13b"?'),
            (TRACE, PAIR.replace("--prefill tp=1", "--prefill tp=5"), "not known at tp=5: use tp=1 or 2 or 4"),
            (TRACE, PAIR.replace("--decode tp=1", "--decode tp"), 'write it as tp=2,pp=1'),
            (TRACE, PAIR.replace("--decode", "--mixed"), "not --mixed"),
            (TRACE, ONE.replace("--mixed", "--prefill"), "give --mixed"),
            (TRACE, PAIR + " --scheduler jsq", '"jsq" is for --compat splitwise'),
            (TRACE, "--model opt-13b", "--compat distserve, distserve-vllm or splitwise"),
            (TRACE.replace("1.300", "0.300"), PAIR, "arrives before the one above it"),
            (TRACE.replace("2000", "70000"), PAIR, "request 3 has a prompt of 70000 tokens")):
        ran = with_file(text, lambda trace, _: baton("simulate", flags, "--trace", trace))
        assert ran.returncode == 2 and message in ran.stderr, (flags, ran)
    for text, flags, message in (
            ("[{}]", "--compat distserve --model opt-13b", 'input.json:1: "prompt_len" must be'),
            ('[{"prompt_len": 1, "output_len": 1}]', "--compat distserve --model opt-13b --max-per-gpu-rate 0", "must be above 0"),
            ('[{"prompt_len": 1, "output_len": 1}]', "--compat distserve --model opt-13b --affinity middle", "--affinity"),
            ("[]", "--model opt-13b", "--compat distserve or --compat distserve-vllm")):
        ran = with_file(text, lambda workload, _: baton("plan", flags, "--workload", workload))
        assert ran.returncode == 2 and message in ran.stderr, (flags, ran)


run_case([the_csv_has_the_authors_latencies_in_trace_order, one_instance_does_both_and_its_summary_is_json,
          a_plan_lists_what_could_be_run_and_the_best, a_plan_that_nobody_can_run_says_so,
          what_cannot_be_simulated_or_planned_is_refused])
