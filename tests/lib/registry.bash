# shellcheck shell=bash disable=SC2154,SC2034 # bats sets some, tests use some
# Debian's docker-registry as a process of the test's own, with TLS by a certificate authority made
# for it and htpasswd; and the fake registry with its switches.

# One for all tests of a file, from setup_file: sets REGISTRY (HOST:PORT), REGISTRY_CA, REGISTRY_CERTS
# (for skopeo) and REGISTRY_AUTH_FILE, in which user:secret is logged in.
start_registry() {
	local dir=$BATS_FILE_TMPDIR/registry port _
	mkdir -p "$dir/certs" "$dir/data"
	(
		cd "$dir"
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key \
			-out ca.pem -subj "/CN=an authority for tests"
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out request.pem \
			-subj "/CN=127.0.0.1"
		printf 'subjectAltName=IP:127.0.0.1\n' >extensions
		openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
			-extfile extensions -out cert.pem
	) >/dev/null 2>&1 || return 1
	cp "$dir/ca.pem" "$dir/certs/ca.crt"
	htpasswd -Bbn -C 4 user secret >"$dir/htpasswd" || return 1
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >"$dir/config.yml" <<-END
		version: 0.1
		log: {level: error, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $dir/data}, delete: {enabled: true}}
		http: {addr: "127.0.0.1:$port", tls: {certificate: $dir/cert.pem, key: $dir/key.pem}}
		auth: {htpasswd: {realm: tests, path: $dir/htpasswd}}
	END
	docker-registry serve "$dir/config.yml" >"$dir/log" 2>&1 3>&- &
	echo $! >"$dir/pid"
	export REGISTRY=127.0.0.1:$port REGISTRY_CA=$dir/ca.pem REGISTRY_CERTS=$dir/certs
	export REGISTRY_AUTH_FILE=$dir/auth.json
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$REGISTRY" "$(printf user:secret | base64)" \
		>"$REGISTRY_AUTH_FILE"
	for _ in $(seq 200); do
		! curl_registry /v2/ >/dev/null 2>&1 || return 0
		sleep 0.05
	done
	cat "$dir/log" >&2
	return 1
}

stop_registry() {
	local pid
	pid=$(cat "$BATS_FILE_TMPDIR/registry/pid") || return 0
	kill "$pid" 2>/dev/null || return 0
	wait "$pid" 2>/dev/null || true
}

curl_registry() {
	python3 - "$REGISTRY_CA" "https://$REGISTRY$1" <<-'END'
		import base64, ssl, sys, urllib.request
		request = urllib.request.Request(sys.argv[2], headers={
		    "Authorization": "Basic " + base64.b64encode(b"user:secret").decode(),
		    "Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"})
		context = ssl.create_default_context(cafile=sys.argv[1])
		sys.stdout.write(urllib.request.urlopen(request, context=context).read().decode())
	END
}

# stacker that trusts that registry.
rstacker() {
	stacker --ca-file "$REGISTRY_CA" "$@"
}

# A fake one: the options and switches of fake_registry.py. Sets FAKE and FAKE_OTHER (HOST:PORT); its
# log is the file "fake.log".
start_fake_registry() {
	local ports _
	rm -f fake.hold fake.port fake.log
	mkfifo fake.hold
	python3 "$REPO_LIB/fake_registry.py" --log fake.log "$@" <fake.hold >fake.port 2>fake.err 3>&- &
	FAKE_PID=$!
	exec 8>fake.hold # it serves until this closes
	for _ in $(seq 100); do
		[ ! -s fake.port ] || break
		sleep 0.05
	done
	read -r -a ports <fake.port
	FAKE=127.0.0.1:${ports[0]} FAKE_OTHER=127.0.0.2:${ports[1]}
}

stop_fake_registry() {
	[ -n "${FAKE_PID:-}" ] || return 0
	exec 8>&-
	wait "$FAKE_PID" 2>/dev/null || true
	FAKE_PID=
}
