#!/usr/bin/env bash
# The fabric beside ucx_perftest (its bound: UCX alone, same size, same settings, one hot buffer), over loopback TCP, one core a side.
#   tests/bench/fabric.sh [ROUNDS]      BENCH_FABRIC names another build's bench_fabric
# Rounds of all programs alternate, so that what else the machine does hits them alike; medians and bests over all rounds are
# printed, in GB/s (1e9), with their ratios. The hand-off moves 128 MiB of distinct 12 KiB slots in random order, verified.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../.ci/setup.sh"
rounds=${1:-5}
install_packages "${packages_build[@]}" "${packages_bench[@]}"
bench=${BENCH_FABRIC:-$baton_root/build/release/tests/bench/bench_fabric}
[ -n "${BENCH_FABRIC:-}" ] || build release bench_fabric
export UCX_TLS=tcp UCX_NET_DEVICES=lo UCX_TCP_TX_SEG_SIZE=256k UCX_TCP_RX_SEG_SIZE=256k UCX_TCP_CM_REUSEADDR=y
results=$baton_scratch/results
port=13370

perftest() {   # NAME SIZE
  port=$((port + 1))
  local server
  ucx_perftest -c 0 -p $port >/dev/null 2>&1 & server=$!
  while ! grep -qi ":$(printf '%04x' $port) 00000000:0000 0A" /proc/net/tcp; do     # not listening yet
    kill -0 $server 2>/dev/null || die "ucx_perftest could not listen on port $port"
    sleep 0.05
  done
  ucx_perftest -c 1 -p $port 127.0.0.1 -t ucp_am_bw -s "$2" -n $((268435456 / $2)) -w 32 -f -e 2>&1 |
    tail -1 | awk -v name="$1" '{printf "%s %.4f\n", name, $6 * 1048576 / 1e9}' >>"$results"
  wait $server || true
}
fabric() {     # NAME ARGUMENTS...
  local name=$1; shift
  "$bench" --rounds 3 "$@" | awk -v name="$name" '{print name, $2; print name "_cpu", $3 + $4}' >>"$results"
}

for round in $(seq "$rounds"); do
  printf '\rround %d of %d ' "$round" "$rounds" >&2
  for mib in 1 4; do
    bytes=$((mib << 20))
    perftest "perftest_$mib" $bytes
    fabric "hot_$mib" --piece $bytes --slot $bytes --one-buffer --no-digest
    fabric "hand_off_$mib" --piece $bytes --slot 12288 --total 134217728
    fabric "unverified_$mib" --piece $bytes --slot 12288 --total 134217728 --no-digest
  done
  fabric "sleeping" --piece $((2 << 20)) --slot 12288 --total 134217728 --sleep
  fabric "sleeping_unverified" --piece $((2 << 20)) --slot 12288 --total 134217728 --sleep --no-digest
done
echo >&2
python3 - "$results" <<'PY'
import statistics, sys
runs = {}
for line in open(sys.argv[1]):
    name, value = line.split()
    runs.setdefault(name, []).append(float(value))
def show(label, name, bound, bar=None):
    median, best = statistics.median(runs[name]), max(runs[name])
    ratios = [median / statistics.median(runs[bound]), best / max(runs[bound])]
    verdict = f"   bar {bar:.0%}" if bar else ""
    print(f"{label:<46}{median:7.2f} /{best:6.2f}   ratio {ratios[0]:5.0%} /{ratios[1]:5.0%}{verdict}")
print(f"{'GB/s, median / best':<46}")
for mib in "1", "4":
    bound = "perftest_" + mib
    print()
    show(f"{mib} MiB: ucx_perftest ucp_am_bw -e (the bound)", bound, bound)
    show(f"{mib} MiB: fabric, hot buffer, no digest", "hot_" + mib, bound, 0.7)
    show(f"{mib} MiB: hand-off, 128 MiB distinct, digests", "hand_off_" + mib, bound, 0.4)
    show(f"{mib} MiB: the same without digests", "unverified_" + mib, bound)
print()
show("2 MiB: hand-off, sleeping progress thread", "sleeping", "perftest_1")
cpu = {n: min(runs[n + "_cpu"]) for n in ("sleeping", "sleeping_unverified")}
print(f"CPU of both sides for 128 MiB, sleeping, least of all rounds: {cpu['sleeping'] * 1e3:.0f} ms with digests, "
      f"{cpu['sleeping_unverified'] * 1e3:.0f} ms without: digests are {1 - cpu['sleeping_unverified'] / cpu['sleeping']:.0%} of it")
share = [1 - statistics.median(runs[f"hand_off_{m}"]) / statistics.median(runs[f"unverified_{m}"]) for m in ("1", "4")]
print(f"digests' share of the hand-off's time, by medians: {share[0]:.0%} (1 MiB), {share[1]:.0%} (4 MiB)")
PY
