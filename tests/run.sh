#!/usr/bin/env bash
# Builds and runs the test suite on a Debian 12 machine, installing what is missing.
#   run.sh                 fast and tidy tests, release build
#   run.sh --all           also the slow ones, end to end with real processes, fuzzing, and the sanitizer builds
#   run.sh [--all] -- ...  more arguments for ctest, such as -R pattern
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

all=0
while [ $# -gt 0 ]; do
  case $1 in
    --all) all=1 ;;
    --) shift; break ;;
    -h|--help) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown argument $1 (see --help)" ;;
  esac
  shift
done

install_packages "${packages_build[@]}" "${packages_test[@]}"
BATON_MODEL=${BATON_MODEL:-$(fetch_model)}
export BATON_MODEL

builds=(release)
[ $all = 1 ] && builds+=(asan-ubsan tsan)
for preset in "${builds[@]}"; do build "$preset"; done

# The client libraries that the end-to-end tests use stand in a virtual environment of their own.
if [ $all = 1 ] && [ ! -f "$baton_root/build/venv/.ready-1" ]; then
  say "installing from PyPI into build/venv: openai"
  python3 -m venv "$baton_root/build/venv"
  "$baton_root/build/venv/bin/pip" install -q --disable-pip-version-check 'openai>=1,<4' >&2 || die "pip could not install openai"
  touch "$baton_root/build/venv/.ready-1"
fi

# One ctest over all builds, so that its closing lines speak for everything.
suite=$baton_root/build/suite
mkdir -p "$suite"
{ for preset in "${builds[@]}"; do printf 'subdirs("%s")\n' "$baton_root/build/$preset"; done; } >"$suite/CTestTestfile.cmake"
selection=(--label-exclude 'slow|e2e|fuzz')
[ $all = 1 ] && selection=()
cd "$suite"
ctest --output-on-failure --no-tests=error -j "$(nproc)" "${selection[@]}" "$@"
