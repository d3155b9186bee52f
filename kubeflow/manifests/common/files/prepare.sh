#!/bin/sh
# Makes the volume fit to be served from: its folders, TF Serving's model configuration, a first version.
#
#   prepare.sh VOLUME DEFAULT_MODELS_CONFIG [SECONDS_BETWEEN_LOOKS]
#
# TF Serving ends where the configuration is missing, and opens no port before it has a version to
# serve, which looks like a hang. So the pod waits here, where `kubectl logs -c prepare` says for what.
set -eu
umask 0002  # the pipeline may run under another user of the same group

volume=$1 default=$2 pause=${3:-5}
serving=$volume/serving
config=$serving/models.config

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

mkdir -p "$serving/mnist" "$volume/state" "$volume/data" ||
    fail "expected a volume that user $(id -u) of group $(id -g) may write to: give it to that group (chgrp, chmod g+rwxs)"

# A link appears whole or not at all, and does not replace what the pipeline's own tool wrote meanwhile.
# Some network file systems have none; a rename that replaces nothing has nearly the same effect.
if [ ! -e "$config" ]; then
    new=$serving/.models.config.$(hostname).$$
    cp "$default" "$new"
    ln "$new" "$config" 2>/dev/null || mv -n "$new" "$config" || true
    rm -f "$new"
    [ -e "$config" ] || fail "expected to write $config; it is not there"
fi

# A push is complete or absent, so that one file of a version stands for all of them.
said=
until ls "$serving"/mnist/*/saved_model.pb >/dev/null 2>&1; do
    [ -n "$said" ] || echo "waiting for the first version below $serving/mnist: the pipeline pushes it"
    said=yes
    sleep "$pause"
done
echo "versions:" "$serving"/mnist/*
