#!/bin/sh
# After the files are there. dpkg calls it with "configure" and the version before, rpm with the number of versions.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
case "$1 $2" in
"configure "?* | 2*) systemctl try-restart hakanai.service ;; # an upgrade: what runs is of the version before
esac
