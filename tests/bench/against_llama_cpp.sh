#!/usr/bin/env bash
# Baton beside llama.cpp (PyPI llama-cpp-python): same file, one thread, one core, interleaved rounds, tokens per second of CPU time.
# Prefill of 512 tokens, decode of one stream, decode of 8 streams in a batch; bests and ratios over all rounds.
#   tests/bench/against_llama_cpp.sh [MODEL.gguf] [ROUNDS]
# BENCH_MODEL names another build's bench_model; LLAMA_PYTHON names a Python that has llama-cpp-python; else one is made in build/llama
# (its build takes some minutes).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../.ci/setup.sh"
model=${1:-$(fetch_model)}
rounds=${2:-3}
version=0.3.36
bench=${BENCH_MODEL:-$baton_root/build/release/tests/bench/bench_model}
[ -x "$bench" ] || { install_packages "${packages_build[@]}" "${packages_bench[@]}"; build release bench_model; }
python=${LLAMA_PYTHON:-$baton_root/build/llama/bin/python}
if [ ! -x "$python" ]; then
  install_packages python3-venv
  python3 -m venv "$baton_root/build/llama"
  say "building llama-cpp-python $version from PyPI into build/llama"
  "$python" -m pip install --disable-pip-version-check "llama-cpp-python==$version" >&2 || die "pip could not install llama-cpp-python"
fi
results=$baton_scratch/results

for round in $(seq "$rounds"); do
  say "round $round of $rounds"
  "$bench" "$model" 0 1 | awk '
    /^prefill 512/ { for (i = 1; i < NF; i++) if ($(i + 1) == "tok/s") print "baton prefill", $i }
    /^decode  1 at  64/ { for (i = 1; i < NF; i++) if ($(i + 1) == "tok/s") print "baton decode_1", $i }
    /^decode  8 at  64/ { for (i = 1; i < NF; i++) if ($(i + 1) == "tok/s") print "baton decode_n", $i }' >>"$results"
  taskset -c 0 "$python" "$(dirname "${BASH_SOURCE[0]}")/llama_cpp_rates.py" "$model" 512 48 8 |
    python3 -c 'import json, sys; [print("llama", name, rate) for name, rate in json.load(sys.stdin).items()]' >>"$results"
done
[ "$(cut -d' ' -f1,2 "$results" | sort -u | wc -l)" = 6 ] || { cat "$results" >&2; die "a rate is missing of the six"; }
awk '
  { if ($3 > best[$1, $2]) best[$1, $2] = $3 }
  END {
    names["prefill"] = "prefill of 512, 1 stream"; names["decode_1"] = "decode, 1 stream"; names["decode_n"] = "decode, 8 streams"
    bars["prefill"] = 5; bars["decode_1"] = 2; bars["decode_n"] = 4
    printf "%-26s %12s %12s %8s %6s   tokens per CPU-second, best of the rounds\n", "", "baton", "llama.cpp", "ratio", "bar"
    split("prefill decode_1 decode_n", order, " ")
    for (i = 1; i <= 3; i++) { n = order[i]
      printf "%-26s %12.0f %12.0f %7.1fx %5dx\n", names[n], best["baton", n], best["llama", n],
        best["baton", n] / best["llama", n], bars[n] }
  }' "$results"
