#!/usr/bin/env bash
# Every header of a folder compiles by itself: check_headers.sh FOLDER [compiler flags]. Prints those that do not.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$1; shift
log=$(mktemp); trap 'rm -f "$log"' EXIT
mapfile -t headers < <(find "$folder" -name '*.h' | sort)
[ ${#headers[@]} -gt 0 ] || { echo "no header in $folder" >&2; exit 1; }
# A header is included twice, so that one without #pragma once is found too.
check='printf "#include \"%s\"\n#include \"%s\"\n" "$1" "$1" | "${CXX:-g++}" -std=c++20 -I. "${@:2}" -fsyntax-only -x c++ - ||
  echo "not self-contained: $1" >&2'
printf '%s\n' "${headers[@]}" | xargs -P "$(nproc)" -I{} bash -c "$check" _ {} "$@" 2>&1 | tee "$log" >&2
failed=$(grep -c '^not self-contained' "$log" || true)
echo "$folder: ${#headers[@]} headers, $failed not self-contained"
[ "$failed" = 0 ]
