#!/usr/bin/env bash
# Builds the fuzz targets with clang in build/fuzz and runs each, two at a time. Inputs live in memory; one that fails is left
# in build/fuzz.
#   run.sh [RUNS] [TARGET ...]      RUNS inputs a target (default 1000000); targets: gguf safetensors hugging_face tokenizer trace
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/build/fuzz
runs=${1:-1000000}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(gguf safetensors hugging_face tokenizer trace)

clang=$(command -v clang++ || command -v clang++-14) || { echo "error: clang++ is not there: apt-get install clang" >&2; exit 1; }
cmake -G Ninja -S "$root" -B "$build" -DCMAKE_CXX_COMPILER="$clang" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBATON_FUZZ=ON \
  -DBATON_WITH_CAF=OFF -DBATON_SANITIZE=fuzzer-no-link,address,undefined >"$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
ninja -C "$build" "${targets[@]/#/fuzz_}" >"$build.log" 2>&1 || { tail -40 "$build.log" >&2; exit 1; }

run_one() {
  local log=$build/$1.log longest=16384
  [ "$1" = tokenizer ] && longest=1024
  "$build/tests/fuzz/fuzz_$1" -runs="$runs" -seed=1 -max_len="$longest" -len_control=0 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$build/$1-" -print_final_stats=1 >"$log" 2>&1 || { tail -60 "$log" >&2; echo "error: fuzz_$1 failed: $log" >&2; return 1; }
  awk -v name="$1" '/stat::number_of_executed_units/ {n=$2} /stat::average_exec_per_sec/ {r=$2} /cov:/ {for (i=1;i<NF;i++) if ($i=="cov:") c=$(i+1)}
    END {printf "%-14s %8d inputs   %6d a second   %5d edges\n", name, n, r, c}' "$log"
}
export -f run_one
export build runs
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'run_one {}'
