#!/usr/bin/env bash
# Makes .venv on Python 3.11 from the lock, or renews it; says nothing and returns at once when it is complete.
# EXTRA=gpu adds CUDA's libraries and EXTRA=cpu goes back; without EXTRA it stays what it was.
# Leaves with 2 where this machine cannot do it, with 1 where an installation failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
venv=$root/.venv
python=$venv/bin/python
uv=$venv/bin/uv
stamp=$venv/.complete

die() {
  printf 'setup: %s\n' "$1" >&2
  exit "${2:-2}"
}

check_platform() {
  local needs="mnist-tfx needs Linux on x86_64 with glibc 2.28 or newer, as TensorFlow's and TFX's wheels do"
  local way="use such a machine or a container of Debian 12"
  local system libc
  system=$(uname -sm)
  [ "$system" = "Linux x86_64" ] || die "$needs; this is $system: $way."
  libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || die "$needs; this has another C library, such as musl: $way."
  [[ $libc =~ ^glibc\ ([0-9]+)\.([0-9]+) ]] || die "$needs; this has $libc: $way."
  ((BASH_REMATCH[1] * 1000 + BASH_REMATCH[2] >= 2028)) || die "$needs; this has $libc: $way."
}

choose_extra() {
  local made=
  [ ! -f "$stamp" ] || read -r _ made <"$stamp" || true
  [[ $made =~ ^(cpu|gpu)$ ]] || made=cpu
  extra=${EXTRA:-$made}
  [[ $extra =~ ^(cpu|gpu)$ ]] || die "EXTRA is '$extra': set it to cpu or gpu, or leave it out."
  lock=requirements/$extra.txt
}

# What a complete .venv was made from, the folder too, since its scripts name it.
fingerprint() {
  local version sum
  version=$("$python" -V 2>/dev/null) || return 1
  sum=$({ echo "$version $root" && cat requirements/uv.txt "$lock" pyproject.toml; } | sha256sum) || return 1
  echo "${sum%% *} $extra"
}

complete() {
  local now
  [ -f "$stamp" ] && now=$(fingerprint) && [ "$(<"$stamp")" = "$now" ]
}

one_at_a_time() {
  exec 9>"$root/.venv.lock"
  flock -n 9 || {
    echo "setup: waiting for another set-up of this folder"
    flock 9
  }
}

# uv does not read pip's settings.
borrow_settings_of_pip() {
  if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE=${SSL_CERT_FILE:-$PIP_CERT}; fi
  if [ -n "${PIP_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}; fi
}

# step TEXT COMMAND...: runs it quietly, says how long it took, and shows its last words when it fails.
step() {
  local text=$1 began=$SECONDS
  shift
  if "$@" >"$scratch/log" 2>&1; then
    echo "setup: $text: $((SECONDS - began)) s"
  else
    tail -n 20 "$scratch/log" >&2
    die "$text: failed after $((SECONDS - began)) s, see above; run the same command again to go on." 1
  fi
}

# Whether .venv runs and was made in this folder, which its scripts name.
usable() {
  grep -qsF -e "=$venv" -e "=\"$venv\"" -e "='$venv'" "$venv/bin/activate" &&
    "$python" -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))' &>/dev/null
}

# Debian has ensurepip in a package of its own, and a shim on PATH may lead nowhere: so each is tried.
find_python() {
  local candidate test='import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))'
  while read -r candidate; do
    if "$candidate" -c "$test" </dev/null &>/dev/null; then
      echo "$candidate"
      return
    fi
  done < <(type -ap python3.11 python3)
  return 1
}

# A uv to fetch Python 3.11 with: the one on PATH, or one that another Python installs for the moment.
find_uv() {
  local candidate
  if type -P uv; then return; fi
  while read -r candidate; do
    if "$candidate" -m venv "$scratch/uv" </dev/null &>/dev/null; then
      pip_of "$scratch/uv" -r requirements/uv.txt </dev/null &>/dev/null && echo "$scratch/uv/bin/uv"
      return
    fi
  done < <(type -ap python3)
  return 1
}

make_venv() {
  local base began=$SECONDS
  if base=$(find_python); then
    rm -rf "$venv"
    "$base" -m venv "$venv" || die "$base could not make a virtual environment: see above." 1
  elif base=$(find_uv) && rm -rf "$venv" && "$base" venv --quiet --python 3.11 --seed "$venv" &>/dev/null; then
    :
  elif type -P python3.11 >/dev/null; then
    die "Python 3.11 is here without venv or pip: install Debian's python3.11-venv, then run this again."
  else
    die "Python 3.11 is not here and could not be fetched: install python3.11 with venv, then run this again."
  fi
  echo "setup: virtual environment with $("$python" -V): $((SECONDS - began)) s"
}

pip_of() {
  local home=$1
  shift
  "$home/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --no-deps --require-hashes "$@"
}

# setuptools and wheel come first since some packages of the lock are built from source with them.
install_tools() {
  pip_of "$venv" -r requirements/uv.txt -r <(sed -n '/^\(setuptools\|wheel\)==/,/[^\\]$/p' "$lock")
}

# uv is quicker and compiles even where PYTHONDONTWRITEBYTECODE is set; pip knows mirrors that uv does not.
# compileall stops at nothing: some packages carry templates that are no Python.
install_lock() {
  local how=(--no-build-isolation -r "$lock")
  "$uv" pip install --quiet --python "$python" --no-deps --require-hashes --compile-bytecode "${how[@]}" && return
  pip_of "$venv" --no-compile "${how[@]}" || return
  "$python" -m compileall -q -j 0 "$venv/lib" || true
}

install_project() {
  local how=(install --quiet --no-deps --no-build-isolation --editable "$root")
  "$uv" pip "${how[@]}" --python "$python" || "$python" -m pip --disable-pip-version-check "${how[@]}"
}

# Without a stamp an earlier set-up was cut short, and a package may be there in part: .venv is made anew.
set_up() {
  if [ ! -f "$stamp" ] || ! usable; then make_venv; fi
  rm -f "$stamp"
  step "uv and build tools" install_tools
  echo "setup: $(grep -c == "$lock") packages of $lock: one to five minutes the first time"
  step "packages" install_lock
  step "mnist-tfx" install_project
  fingerprint >"$stamp.new"
  mv "$stamp.new" "$stamp"
}

main() {
  cd "$root"
  check_platform
  choose_extra
  if complete; then return; fi
  one_at_a_time
  if complete; then return; fi
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  borrow_settings_of_pip
  set_up
}

main
