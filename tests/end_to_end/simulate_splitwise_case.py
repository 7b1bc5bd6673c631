#!/usr/bin/env python3
"""`baton simulate --compat splitwise` as a user types it. The expected times are SplitwiseSim's own, for the trace it ships."""
import csv
import json
import os
import subprocess
import tempfile

from harness import BATON, run_case

TRACE = """request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size
0,2,0,1,1,4096,32
1,2,0,3,1,2048,8
2,2,0,4,1,2048,16
"""
SPLIT = "--compat splitwise --model bloom-176b --start-state splitwise --prompt h100-80gb:1 --token a100-80gb:1 --scheduler mixed_pool"
BASELINE = "--compat splitwise --model bloom-176b --start-state baseline --machines h100-80gb:1 --scheduler token_jsq"


def simulate(folder, flags, *more):
    trace = os.path.join(folder, "trace.csv")
    with open(trace, "w", encoding="ascii") as file:
        file.write(TRACE)
    return subprocess.run([BATON, "simulate", *flags.split(), "--trace", trace, *more], capture_output=True, text=True, timeout=60)


def the_csv_has_the_authors_times_and_machines_in_trace_order():
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "requests.csv")
        ran = simulate(folder, SPLIT, "--requests", out)
        assert ran.returncode == 0, ran.stderr
        with open(out, encoding="ascii") as file:
            rows = list(csv.DictReader(file))
        assert [row["request_id"] for row in rows] == ["0", "1", "2"]
        expected = [(0.6495982770284172, 2.199226282820625, 0.048425875181006495),
                    (0.25196400948334485, 0.6228729543396496, 0.046363618107038096),
                    (0.25196400948334485, 1.003018891318284, 0.0469409301146837)]
        for row, (ttft, e2e, tbt) in zip(rows, expected):
            for column, seconds in (("ttft_ms", ttft), ("e2e_ms", e2e), ("tpot_ms", tbt)):
                assert abs(float(row[column]) / 1000 - seconds) < 1e-12, (column, row)
            assert (row["prefill_instance"], row["decode_instance"], row["outcome"]) == ("h100-80gb_1", "a100-80gb_0", "completed")


def the_nine_slos_are_in_the_json_and_on_the_terminal():
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "summary.json")
        ran = simulate(folder, BASELINE, "--slo", "splitwise", "--json", out)
        assert ran.returncode == 0 and ran.stdout == "", ran
        with open(out, encoding="ascii") as file:
            summary = json.load(file)
        assert summary["all_nine"] is True and summary["completed"] == 3
        assert abs(summary["slowdowns"]["ttft"]["p50"] - 0.251964009 / 0.536055477) < 1e-3, summary
        ran = simulate(folder, BASELINE, "--slo", "splitwise")
        assert "all nine SLOs hold: yes" in ran.stdout, ran.stdout


def what_cannot_be_simulated_is_refused_by_name():
    with tempfile.TemporaryDirectory() as folder:
        for wrong, right, message in (
                ("mixed_pool", "mixed_pol", 'did you mean "mixed_pool"?'),
                ("bloom-176b", "bloom-167b", 'did you mean "bloom-176b"?'),
                ("h100-80gb:1", "h100-80gb:0", "a count is a whole number from 1"),
                ("--token a100-80gb:1", "--decode tp=1,pp=1", "use --prompt and --token")):
            ran = simulate(folder, SPLIT.replace(wrong, right))
            assert ran.returncode == 2 and message in ran.stderr, ran


run_case([the_csv_has_the_authors_times_and_machines_in_trace_order, the_nine_slos_are_in_the_json_and_on_the_terminal,
          what_cannot_be_simulated_is_refused_by_name])
