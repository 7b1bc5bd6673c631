#!/usr/bin/env bash
# From a bare Debian 12 to the answer of a real language model: installs packages, builds, fetches the default model, starts a
# disaggregated cluster on this machine (gateway, scheduler, one prefill and one decode instance, each a process) and asks it a
# question. Then the cluster stays up until Ctrl-C.
#   quickstart.sh                        stay up on port 8000 (BATON_PORT for another)
#   quickstart.sh --once                 answer one chat request and exit
#   quickstart.sh --build-only           stop after build and model
#   quickstart.sh --model PATH           another model than the default: a GGUF file or a Hugging Face directory (or BATON_MODEL)
#   quickstart.sh ... -- FLAGS           more flags for `baton serve`, such as --hand-off push_by_layer
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

once=0 build_only=0 model=${BATON_MODEL:-}
while [ $# -gt 0 ]; do
  case $1 in
    --once) once=1 ;;
    --build-only) build_only=1 ;;
    --model) [ $# -gt 1 ] || die "--model needs a path"; model=$2; shift ;;
    --model=*) model=${1#--model=} ;;
    --) shift; break ;;
    -h|--help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown argument $1 (see --help)" ;;
  esac
  shift
done
flags=("$@")

install_packages "${packages_build[@]}"
build release baton
case " ${flags[*]-} " in
  *" --model"*|*" --config"*) ;;
  *) [ -n "$model" ] || model=$(fetch_model); flags+=(--model "$model") ;;
esac
[ $build_only = 1 ] && { say "built build/release/baton"; exit 0; }

port=${BATON_PORT:-8000}
[ $once = 1 ] && port=${BATON_PORT:-0}
work=$baton_scratch
"$baton_root/build/release/baton" serve --port "$port" "${flags[@]}" >"$work/ready" 2>"$work/log" &
server=$!
stop() { kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$baton_scratch"; }
trap stop EXIT
trap 'exit 130' INT TERM

for _ in $(seq 600); do
  grep -q '^ready ' "$work/ready" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; die "baton serve did not start"; }
  sleep 0.1
done
url=$(sed -n 's/^ready //p' "$work/ready")
[ -n "$url" ] || { tail -n 40 "$work/log" >&2; die "baton serve was not ready within 60 s"; }

question='What is the capital of France? Answer in one sentence.'
say "serving at $url; asking: $question"
answer=$(curl -sS --noproxy '*' --fail-with-body --max-time 120 "$url/v1/chat/completions" -H 'Content-Type: application/json' -d "{
  \"messages\": [{\"role\": \"user\", \"content\": \"$question\"}], \"max_tokens\": 64, \"temperature\": 0}") \
  || { say "$answer"; tail -n 40 "$work/log" >&2; die "the request failed"; }
python3 -c 'import json, sys; print(json.load(sys.stdin)["choices"][0]["message"]["content"])' <<<"$answer"
[ $once = 1 ] && exit 0

say "the cluster stays up; ask it more:"
say "  curl $url/v1/chat/completions -H 'Content-Type: application/json' \\"
say "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello!\"}]}'"
say "  curl $url/cluster        curl $url/metrics        Ctrl-C stops it"
status=0
wait "$server" || status=$?
[ $status = 0 ] || { tail -n 40 "$work/log" >&2; die "baton serve ended with status $status"; }
