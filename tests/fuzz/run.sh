#!/usr/bin/env bash
# Builds the fuzz targets with clang in build/fuzz and runs each, two at a time. Inputs live in memory; one that fails is left
# in build/fuzz.
#   run.sh [RUNS] [TARGET ...]      RUNS inputs a target (default 1000000); targets: gguf safetensors hugging_face tokenizer trace
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../.ci/setup.sh"
build=$baton_root/build/fuzz
runs=${1:-1000000}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(gguf safetensors hugging_face tokenizer trace)

install_packages "${packages_build[@]}" "${packages_test[@]}"
clang=$(command -v clang++ || command -v clang++-14) || die "clang++ is not there: apt-get install clang"
mkdir -p "$build"
cmake -G Ninja -S "$baton_root" -B "$build" -DCMAKE_CXX_COMPILER="$clang" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBATON_FUZZ=ON \
  -DBATON_WITH_CAF=OFF -DBATON_SANITIZE=fuzzer-no-link,address,undefined >"$build/cmake.log" 2>&1 \
  || { cat "$build/cmake.log" >&2; die "cmake could not configure build/fuzz"; }
build fuzz "${targets[@]/#/fuzz_}"

run_one() {
  local log=$build/$1.log longest=16384
  [ "$1" = tokenizer ] && longest=1024
  "$build/tests/fuzz/fuzz_$1" -runs="$runs" -seed=1 -max_len="$longest" -len_control=0 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$build/$1-" -print_final_stats=1 >"$log" 2>&1 \
    || { tail -60 "$log" >&2; echo "error: fuzz_$1 failed: $log" >&2; return 1; }
  awk -v name="$1" -v runs="$runs" '
    /stat::number_of_executed_units/ { n = $2 }
    /stat::average_exec_per_sec/ { r = $2 }
    /cov:/ { for (i = 1; i < NF; i++) if ($i == "cov:") c = $(i + 1) }
    END { if (n + 0 < runs + 0) { print "error: fuzz_" name " stopped after " n + 0 " of " runs " inputs"; exit 1 }
          printf "%-14s %8d inputs   %6d a second   %5d edges\n", name, n, r, c }' "$log"
}
export -f run_one
export build runs
say "running ${#targets[@]} targets of $runs inputs, two at a time; logs in build/fuzz"
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'run_one {}'
