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

# sentinels prints what the Sentinels know of the primary: lines of names, and of values.
sentinels() { for host in $HOSTS; do ask "$host" 26379 sentinel master main; done; }

# primary prints the name of the pod that two of the three Sentinels call so.
primary() { sentinels | after ip | sort | uniq -d; }

# replicated tells whether a Sentinel knows replicas: not before the first start of all is over.
replicated() { sentinels | after num-slaves | grep -q '[1-9]'; }

# lost tells whether this pod has no data, and there are others that may have some: as their primary it would empty them.
# While it is down, one of them takes over.
lost() { [ ! -d /data/valkey/appendonlydir ] && replicated; }

# The Sentinels know what is the primary, and keep it on disk: a pod that has been away is never one because it once was. The
# first time they name the first pod. A replica waits for its primary: after an outage of all, Sentinels would promote one that
# may have been away for longer than the others, and has what was taken meanwhile. It gives up after five minutes.
server() {
	leader=
	end=$(($(date +%s) + 300))
	while [ -n "$HOSTS" ]; do
		leader=$(primary)
		if [ "$leader" = "$HOST" ]; then
			lost || break
			echo "this pod is the primary and has no data: waiting for another to take over" >&2
		elif [ -n "$leader" ]; then
			if [ "$(ask "$leader" 6379 role | head -n 1)" = master ]; then break; fi
			if [ "$(date +%s)" -gt "$end" ]; then break; fi
		fi
		sleep 1
	done
	mkdir -p /data/valkey
	{
		echo "bind $ADDRESS"
		if [ -n "$HOSTS" ]; then echo "replica-announce-ip $HOST"; fi
		if [ "$leader" != "$HOST" ] && [ -n "$leader" ]; then echo "replicaof $leader 6379"; fi
		configure /etc/valkey/config/valkey.conf
	} >/run/valkey/valkey.conf
	exec valkey-server /run/valkey/valkey.conf
}

start_anew() {
	leader=$(primary)
	leader=${leader:-${HOSTS%% *}}
	echo "sentinel monitor main $leader 6379 2"
	if replicated; then
		for host in $HOSTS; do [ "$host" = "$leader" ] || echo "sentinel known-replica main $host 6379"; done
	fi
}

# What a Sentinel has learned is in the file that it writes; all else is the configuration's. One that has lost it, and knows no
# replicas, would promote none when it is elected: it is told that there are some, if the others know it.
sentinel() {
	mkdir -p /data/sentinel
	file=/data/sentinel/sentinel.conf
	learned=$(grep -sE '^sentinel (myid|monitor|(current|config|leader)-epoch|known-(replica|sentinel)) ' "$file") ||
		learned=$(start_anew)
	{
		echo "bind $ADDRESS"
		echo "sentinel announce-ip $HOST"
		echo "$learned"
		configure /etc/valkey/config/sentinel.conf
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

# hand_over makes another pod the primary before this one stops. It does not wait until this one is a replica: servers would
# have to wait for that too.
hand_over() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(primary)" = "$HOST" ] || break
		for host in $HOSTS; do
			[ "$host" = "$HOST" ] || [ "$(ask "$host" 26379 sentinel failover main)" != OK ] || break
		done
		sleep 1
	done
}

case $part in
server) server ;;
sentinel) sentinel ;;
ready) ready ;;
hand-over) hand_over ;;
esac
