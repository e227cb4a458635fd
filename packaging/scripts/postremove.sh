#!/bin/sh
# After the files are gone. dpkg calls it with "remove" and, where data is to go too, with "purge"; rpm does not know that.
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if [ "$1" = purge ]; then
	rm -rf /var/lib/private/hakanai /var/lib/hakanai # the place of a DynamicUser=, and the link to it
fi
