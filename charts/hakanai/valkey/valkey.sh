#!/bin/sh
# valkey.sh server|sentinel|ready|hand-over
# What the containers of a Valkey pod run. HOST is this pod's name, under which the others know it, ADDRESS its address.
# HOSTS are the names of all pods where there are Sentinels, and nothing where there are none.
set -eu
umask 077
part=$1

# configure prints configurations with the passwords filled in. Those get into files and URLs: letters and digits alone.
configure() {
	for user in hakanai replica sentinel; do
		password=$(cat "/etc/valkey/passwords/$user")
		case $password in
		'' | *[!A-Za-z0-9]*)
			echo "the password of $user must be letters and digits" >&2
			return 1
			;;
		esac
		echo "s/@$user@/$password/"
	done >"/run/valkey/$part.sed"
	sed -f "/run/valkey/$part.sed" "$@"
}

# ask sends a command, as the user that Sentinels are.
ask() { # HOST PORT WORD...
	host=$1 port=$2
	shift 2
	REDISCLI_AUTH=$(cat /etc/valkey/passwords/sentinel) \
		timeout 3 valkey-cli -h "$host" -p "$port" --user sentinel --no-auth-warning --raw "$@" 2>/dev/null || true
}

# after prints the line that comes after each line that is the name.
after() { sed -n "/^$1\$/{n;p;}"; }

role() { ask "$ADDRESS" 6379 role | head -n 1; }

# The Sentinels know what is the primary, and keep it on disk: a pod that has been away is never the primary because it once
# was. Two of three must agree. The first time they name the first pod.
server() {
	primary=
	while [ -n "$HOSTS" ] && [ -z "$primary" ]; do
		said=$(for host in $HOSTS; do ask "$host" 26379 sentinel master main; done)
		primary=$(echo "$said" | after ip | sort | uniq -d)
		# The volume was lost: as a primary it would empty its replicas. Down, it is replaced by one of them.
		if [ "$primary" = "$HOST" ] && [ ! -d /data/valkey/appendonlydir ] && echo "$said" | after num-slaves | grep -q '[1-9]'; then
			echo "this pod has no data, and is the primary of others that may have some: waiting for a failover" >&2
			primary=
		fi
		[ -n "$primary" ] || sleep 1
	done
	mkdir -p /data/valkey
	{
		configure /etc/valkey/config/valkey.conf
		echo "bind $ADDRESS"
		if [ -n "$HOSTS" ]; then echo "replica-announce-ip $HOST"; fi
		if [ "$primary" != "$HOST" ] && [ -n "$primary" ]; then echo "replicaof $primary 6379"; fi
	} >/run/valkey/valkey.conf
	exec valkey-server /run/valkey/valkey.conf
}

# What a Sentinel has learned is in the file that it writes; all else is the configuration's.
sentinel() {
	mkdir -p /data/sentinel
	file=/data/sentinel/sentinel.conf
	learned=$(grep -sE '^sentinel (myid|monitor|(current|config|leader)-epoch|known-(replica|sentinel)) ' "$file") ||
		learned="sentinel monitor main ${HOSTS%% *} 6379 2"
	{
		configure /etc/valkey/config/sentinel.conf
		echo "bind $ADDRESS"
		echo "sentinel announce-ip $HOST"
		echo "$learned"
		configure /etc/valkey/config/sentinel-main.conf
	} >"$file.new"
	mv "$file.new" "$file"
	exec valkey-server "$file" --sentinel
}

# ready tells whether this Valkey is a primary, or a replica that has all that its primary has.
ready() {
	# shellcheck disable=SC2046 # words
	set -- $(ask "$ADDRESS" 6379 role)
	[ "${1-}" = master ] || [ "${4-}" = connected ]
}

# hand_over makes another pod the primary before this one stops.
hand_over() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(role)" = master ] || break
		for host in $HOSTS; do
			[ "$host" = "$HOST" ] || [ "$(ask "$host" 26379 sentinel failover main)" != OK ] || break
		done
		sleep 2
	done
}

case $part in
server) server ;;
sentinel) sentinel ;;
ready) ready ;;
hand-over) hand_over ;;
esac
