# shellcheck shell=bash
# Debian's docker-registry as a process of the test's own: TLS by an authority made here, passwords
# if asked for. Sets REGISTRY (HOST:PORT) and CA (the authority's certificate).

# start_registry [USER PASSWORD]
start_registry() {
	local port attempt
	mkdir -p registry/data
	make_registry_certificate
	CA=$PWD/registry/ca.pem
	for attempt in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 20000))
		write_registry_config "$port" "$@"
		docker-registry serve registry/config.yml >registry/log 2>&1 3>&- 9>&- &
		REGISTRY_PID=$!
		REGISTRY=localhost:$port
		wait_for_registry && return 0
		stop_registry
	done
	cat registry/log
	return 1
}

stop_registry() {
	[ -n "${REGISTRY_PID:-}" ] || return 0
	kill "$REGISTRY_PID" 2>/dev/null || true
	wait "$REGISTRY_PID" 2>/dev/null || true
	REGISTRY_PID=
}

make_registry_certificate() {
	[ ! -e registry/cert.pem ] || return 0
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
		-keyout registry/ca.key -out registry/ca.pem 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
		-keyout registry/key.pem -out registry/request.pem 2>/dev/null
	printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >registry/names
	openssl x509 -req -in registry/request.pem -CA registry/ca.pem -CAkey registry/ca.key -days 2 \
		-extfile registry/names -set_serial 1 -out registry/cert.pem 2>/dev/null
}

write_registry_config() {
	cat >registry/config.yml <<-END
		version: 0.1
		log: {level: warn}
		storage:
		  filesystem: {rootdirectory: $PWD/registry/data}
		  delete: {enabled: true}
		http:
		  addr: 127.0.0.1:$1
		  tls: {certificate: $PWD/registry/cert.pem, key: $PWD/registry/key.pem}
	END
	[ $# -eq 3 ] || return 0
	htpasswd -Bbn "$2" "$3" >registry/htpasswd
	printf 'auth:\n  htpasswd: {realm: test, path: %s}\n' "$PWD/registry/htpasswd" >>registry/config.yml
}

wait_for_registry() {
	local i
	for i in $(seq 100); do
		kill -0 "$REGISTRY_PID" 2>/dev/null || return 1
		python3 - "${REGISTRY##*:}" <<-'END' 2>/dev/null && return 0
			import socket, sys
			socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)
		END
		sleep 0.05
	done
	return 1
}
