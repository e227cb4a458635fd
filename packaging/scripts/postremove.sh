#!/bin/sh
# After the files are gone. dpkg calls it with "remove" or "upgrade" and, where data is to go too, with "purge"; rpm with the
# number of versions that stay, and never for data.
set -e
case "$1" in
remove | 0) [ ! -d /run/systemd/system ] || systemctl daemon-reload ;;
purge) rm -rf /var/lib/private/hakanai /var/lib/hakanai ;; # the place of a DynamicUser=, and the link to it
esac
