#!/usr/bin/env bash
# Carries out kubeflow/Dockerfile without a container engine, then starts the result as Kubeflow would.
#
#   kubeflow/check_image.sh [cpu|gpu [FOLDER]]      as root; Debian: apt-get install debootstrap
#
# For the base image, Debian 12 with a Python 3.11 of its own in /usr/local, stands a minimal Debian 12 made
# by debootstrap with Debian's python3.11, venv and pip, and /usr/local/bin/python leading there: the same C
# library, the same minor version of Python, another patch version, another pip. The sizes of the layers
# above the base are the image's own; the size of the base is not.
# Packages come from where apt and pip of this machine get theirs. It takes 10 GB of disk (gpu: 25) below FOLDER
# (default: a new one below /var/tmp), which stays there, to be looked at.
set -euo pipefail

variant=${1:-cpu}
folder=${2:-$(mktemp -d /var/tmp/mnist-tfx-image.XXXXXX)}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
python=python3.11
base=$folder/base
image=$folder/$variant

die() {
    printf 'check_image: %s\n' "$1" >&2
    exit 2
}

# say TEXT COMMAND...: runs it and says how long it took.
say() {
    local text=$1 began=$SECONDS
    shift
    "$@"
    echo "check_image: $text: $((SECONDS - began)) s"
}

# The first mirror of Debian 12 that apt uses, so that none is named here.
mirror() {
    # shellcheck disable=SC2016  # apt fills these in, not the shell
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 2>/dev/null | sed -n 's/^bookworm //p' | head -n 1
}

make_base() {
    local from
    from=$(mirror)
    [ -n "$from" ] || die "expected Debian 12 (bookworm) among apt's sources; it is not there"
    debootstrap --variant=minbase --include=ca-certificates,python3.11,python3.11-venv,python3-pip \
        bookworm "$base" "$from" >"$folder/debootstrap.log" ||
        die "debootstrap failed: see $folder/debootstrap.log"
    ln -s /usr/bin/python3.11 "$base/usr/local/bin/python"
    # What an authority of this machine's own has signed is believed in there, too.
    if [ -f "${PIP_CERT:-}" ]; then install -D -m 644 "$PIP_CERT" "$base$PIP_CERT"; fi
}

build() {
    local with=(--build-arg "VARIANT=$variant" --build-arg "VERSION=$(version)")
    local name
    for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_CERT PIP_DEFAULT_TIMEOUT; do with+=(--env "$name"); done
    if [ -f /etc/pip.conf ]; then with+=(--secret pip=/etc/pip.conf); fi
    "$python" "$root/kubeflow/build_in_chroot.py" build --base "$base" --work "$image" "${with[@]}"
}

version() {
    sed -n 's/^version = "\(.*\)"/\1/p' "$root/pyproject.toml"
}

# start USER COMMAND...: in the image, read-only, without the build's rights.
start() {
    local user=$1
    shift
    "$python" "$root/kubeflow/build_in_chroot.py" run --work "$image" --user "$user" -- "$@"
}

# What Kubeflow relies on: a `python` that has all of it, compiled, and writes where it may alone.
look_inside() {
    start "$1" python -c '
import os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
began = time.perf_counter()
import components, pipeline, serving, keras, tensorflow
print(f"user {os.getuid()}:{os.getgid()}, Keras {keras.__version__}, TensorFlow {tensorflow.__version__}, "
      f"imported in {time.perf_counter() - began:.1f} s")
assert os.getcwd() == "/app" and os.path.isfile("kubeflow/run_executor.py"), os.getcwd()
assert os.environ["TF_USE_LEGACY_KERAS"] == "0" and keras.__version__.startswith("3.")
for place in ("/tmp", "/mnt/mnist-tfx", os.path.expanduser("~")):
    open(f"{place}/probe", "w").close()
try:
    open("/app/probe", "w")
    sys.exit("expected a read-only root; /app can be written to")
except OSError as error:
    print(f"/app: {error.strerror}")
for module in (components, pipeline, serving, tensorflow):
    assert os.path.isfile(module.__cached__), module.__cached__
'
}

# Where a tool of the tests is, the wrong lock was installed.
no_tools() {
    start 10001:0 python -c '
import importlib.util, sys
there = [name for name in ("pip", "pytest", "ruff", "mypy", "moto", "playwright", "kubernetes_validate")
         if importlib.util.find_spec(name)]
sys.exit(f"expected no tool of the tests in the image; there: {there}" if there else 0)
'
}

# The whole graph on a few hundred images; 3 says that no model was good enough, which is no fault of the image.
run_graph() {
    local code=0
    start 10001:0 mnist-tfx run --profile smoke --models sequential --workdir /mnt/mnist-tfx/run || code=$?
    [ "$code" = 0 ] || [ "$code" = 3 ] || die "mnist-tfx run left with $code: see above"
}

sizes() {
    local stage
    stage=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["root"])' "$image/image.json")
    echo "compressed as a registry has them (gzip -6):"
    for part in opt/venv app; do
        printf '%9.1f MiB  /%s\n' "$(tar -C "$image/$stage" -c "$part" | gzip -6 | wc -c |
            awk '{ print $1 / 1048576 }')" "$part"
    done
    echo "the largest packages:"
    du -sm "$image/$stage"/opt/venv/lib/python3.11/site-packages/* | sort -rn | head -n 8
}

[[ $variant =~ ^(cpu|gpu)$ ]] || die "the variant is '$variant': expected cpu or gpu"
[ "$(id -u)" = 0 ] || die "expected root, for chroot and mounts; this is $(id -un)"
type -P debootstrap >/dev/null || die "debootstrap is not here: apt-get install debootstrap"
type -P "$python" >/dev/null || python=python3
mkdir -p "$folder"
echo "check_image: in $folder"
[ -d "$base" ] || say "base" make_base
rm -rf "$image"
say "build" build
for user in 10001:0 54321:54321; do say "start as $user" look_inside "$user"; done
no_tools
say "mnist-tfx --help" start 10001:0 mnist-tfx --help
say "run_executor.py --help" start 10001:0 python kubeflow/run_executor.py --help
say "mnist-tfx doctor" start 10001:0 mnist-tfx doctor --workdir /mnt/mnist-tfx/state
say "mnist-tfx run" run_graph
say "sizes" sizes
