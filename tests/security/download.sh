#!/usr/bin/env bash
# The downloader's rows of the attack catalogue (DL), through the program where its command line
# allows it, else through sec_download, the real downloader with a certificate authority of ours.
# shellcheck disable=SC2317,SC2329,SC2031,SC2034 # row calls the functions, in subshells; fds stay open
set -u -o pipefail
# shellcheck source=tests/security/input_lib.sh
. "$(dirname "$0")/input_lib.sh"

cd "$WORK" || exit 1
mkdir srv tls
head -c 100000 /dev/urandom >srv/data
head -c 9000 /dev/urandom >srv/other
HASH=$(sha256sum <srv/data | cut -d' ' -f1)
OTHER=$(sha256sum <srv/other | cut -d' ' -f1)

# start_server NAME [OPTION]...: a server on loopback until this script ends; prints its port.
start_server() {
	local name=$1 fd # fd: open until the shell ends
	shift
	mkfifo "$name.hold"
	python3 "$TESTS/lib/fault_server.py" --root "$WORK/srv" --log "$WORK/$name.requests" \
		--connections "$WORK/$name.connections" "$@" <"$name.hold" >"$name.port" 2>"$name.err" &
	exec {fd}>"$name.hold"
	for _ in $(seq 200); do
		[ ! -s "$name.port" ] || return 0
		sleep 0.05
	done
	echo "no server $name: $(cat "$name.err")" >&2
	exit 1
}

# certificate NAME SUBJECT-ALT-NAME [EXTRA-OPTION]...: tls/NAME.pem, signed by our authority.
certificate() {
	local name=$1 san=$2
	shift 2
	openssl req -newkey rsa:2048 -nodes -keyout "tls/$name.key" -subj /CN=test -out "tls/$name.csr" 2>/dev/null
	printf 'subjectAltName=%s\n' "$san" >"tls/$name.ext"
	openssl x509 -req -in "tls/$name.csr" -CA tls/ca.crt -CAkey tls/ca.key -CAcreateserial -days 2 \
		-extfile "tls/$name.ext" "$@" -out "tls/$name.crt" 2>/dev/null
	cat "tls/$name.key" "tls/$name.crt" >"tls/$name.pem"
}

# expired NAME: as certificate, but its time is over.
expired() {
	mkdir tls/db
	: >tls/db/index
	echo 01 >tls/db/serial
	printf '[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=tls/db\ndatabase=tls/db/index\nserial=tls/db/serial
default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=DNS:localhost\n' >tls/db/conf
	openssl req -newkey rsa:2048 -nodes -keyout "tls/$1.key" -subj /CN=test -out "tls/$1.csr" 2>/dev/null
	openssl ca -batch -config tls/db/conf -extensions x -startdate 20200101000000Z -enddate 20200102000000Z \
		-cert tls/ca.crt -keyfile tls/ca.key -in "tls/$1.csr" -notext -out "tls/$1.crt" 2>/dev/null
	cat "tls/$1.key" "tls/$1.crt" >"tls/$1.pem"
}

prepare() {
	set -e
	openssl req -x509 -newkey rsa:2048 -nodes -keyout tls/ca.key -subj "/CN=our authority" -days 2 \
		-out tls/ca.crt 2>/dev/null
	certificate good DNS:localhost
	certificate ip IP:127.0.0.1
	certificate wrong-ip IP:127.0.0.2
	expired old
	openssl req -x509 -newkey rsa:2048 -nodes -keyout tls/self.key -subj /CN=localhost -days 2 \
		-addext subjectAltName=DNS:localhost -out tls/self.crt 2>/dev/null
	cat tls/self.key tls/self.crt >tls/self.pem
}
(prepare) || exit 1
start_server one
start_server two
start_server tls --tls tls/good.pem
ONE=http://127.0.0.1:$(cat one.port)
TWO=http://127.0.0.1:$(cat two.port)
TLS=https://localhost:$(cat tls.port)
CA=$WORK/tls/ca.crt

forget() {
	local name
	for name in one two tls; do
		: >"$WORK/$name.requests"
		: >"$WORK/$name.connections"
	done
}
requests() { wc -l <"$WORK/$1.requests"; }
connections() { wc -l <"$WORK/$1.connections"; }
untouched() { # NAME: nobody even connected
	[ "$(connections "$1")" -eq 0 ] || fail "server $1 was connected to"
}
asked() { # NAME TIMES
	[ "$(requests "$1")" -eq "$2" ] || fail "server $1 was asked $(requests "$1") times instead of $2"
}

# write_import URL [LINE]...
write_import() {
	{
		printf 'app:\n  from: {type: scratch}\n  imports:\n    - path: "%s"\n      dest: /data\n' "$1"
		shift
		[ $# -gt 0 ] || set -- "hash: $HASH"
		printf '      %s\n' "$@"
	} >stacker.yaml
}
fresh() { rm -rf .stacker oci; }

# refuse ID URL [LINE]...: the build fails so, and nothing of it is kept.
refuse() {
	local id=$1
	shift
	fresh
	write_import "$@"
	build_fails "$id" build
	keeps_nothing
}
accept() { # URL [LINE]...
	fresh
	write_import "$@"
	build build
	cmp "$(blob_of "$WORK/srv/data")" "$WORK/srv/data"
	sound_blobs .stacker/store oci
}

# attempt PIN...: runs sec_download; the id of its error, or "ok", goes to ANSWER.
attempt() {
	rm -rf state
	timeout 60 "$SECBIN/sec_download" "${OPTIONS[@]}" state "$@" >answer 2>out || true
	sed 's/^/  | /' out answer >&2
	ANSWER=$(cut -d' ' -f1 answer)
}

# direct ID PIN...: it refuses and keeps nothing; ID ok: it delivers.
direct() {
	local id=$1
	shift
	attempt "$@"
	[ "$ANSWER" = "$id" ] || fail "expected $id"
	if [ "$id" = ok ]; then sound_blobs state/store; else keeps_nothing state; fi
}
OPTIONS=(--ca "$CA")

dl01() {
	accept "$ONE/ok/data" "hash: $HASH" "size: 100000"
	refuse fetch/wrong-hash "$ONE/wrong/data"
	refuse fetch/wrong-hash "$ONE/short/data"
	refuse fetch/wrong-size "$ONE/short/data" "hash: $HASH" "size: 100000"
	refuse fetch/wrong-hash "$ONE/empty/data"
	refuse fetch/wrong-hash "$ONE/html/data"
	refuse fetch/wrong-hash "$ONE/unsized-long/data"
	refuse fetch/wrong-size "$ONE/ok/data" "hash: $HASH" "size: 99999"
	refuse fetch/wrong-hash "$ONE/ok/other"
	[ -z "$(find .stacker -type f -size +0 ! -path '*/cache/*' ! -path '*/last/*' ! -name oci-layout ! -name index.json ! -name .lock)" ]
}

dl02() {
	local target
	echo secret >secret
	for target in "file://$PWD/secret" "FILE://$PWD/secret" file:/etc/passwd "ftp://127.0.0.1:${TWO##*:}/x" \
		"gopher://127.0.0.1:${TWO##*:}/_x" "scp://127.0.0.1:${TWO##*:}/x" "sftp://127.0.0.1:${TWO##*:}/x" \
		"dict://127.0.0.1:${TWO##*:}/x" "ldap://127.0.0.1:${TWO##*:}/x" "telnet://127.0.0.1:${TWO##*:}" \
		"tftp://127.0.0.1:${TWO##*:}/x" "smb://127.0.0.1:${TWO##*:}/x" "data:text/plain,x" \
		"javascript:x" "ftps://127.0.0.1:${TWO##*:}/x" "mqtt://127.0.0.1:${TWO##*:}/x" \
		"ws://127.0.0.1:${TWO##*:}/x" "rtsp://127.0.0.1:${TWO##*:}/x"; do
		forget
		refuse fetch/redirect "$ONE/to/data?$target"
		untouched two
		asked one 1
	done
	for target in "file://$PWD/secret" "ftp://127.0.0.1/x" "scp://127.0.0.1/x"; do
		fresh
		write_import "$target"
		! build build || fail "$target was accepted"
		keeps_nothing
	done
}

dl03() {
	forget
	direct ok "$HASH=$TLS/ok/data"
	asked tls 1
	for target in "$ONE/ok/data" "HTTP://127.0.0.1:${ONE##*:}/ok/data" "http://localhost:${ONE##*:}/ok/data"; do
		direct fetch/redirect "$HASH=$TLS/to/data?$target"
	done
	untouched one
	direct ok "$HASH=$TLS/to/data?$TLS/ok/data"
	direct ok "$HASH=$TLS/to/data?/ok/data"
}

# Everything a request may say. Nothing secret exists that could be sent; so that none comes to
# exist unnoticed, the names are compared exactly, and the values with what the URL says.
expect_plain_requests() { # NAME HOST...
	local name=$1 host
	shift
	jq -es 'length > 0 and all(.headers | keys == ["accept", "host", "user-agent"])' \
		"$WORK/$name.requests" >/dev/null || fail "server $name saw $(cat "$WORK/$name.requests")"
	for host in "$@"; do
		jq -es --arg host "$host" 'any(.headers.host == $host)' "$WORK/$name.requests" >/dev/null ||
			fail "server $name was not asked as $host"
	done
	jq -es 'all(.headers.accept == "*/*" and (.headers["user-agent"] | test("^stacker/[0-9.]+$")))' \
		"$WORK/$name.requests" >/dev/null
}

dl04() {
	forget
	printf 'default login me password hunter2\n' >.netrc
	export HOME=$PWD AUTHORIZATION=hunter2 HTTP_COOKIE=id=hunter2 TOKEN=hunter2
	accept "$ONE/cookie/data?$TWO/ok/data"
	accept "$ONE/cookie/data?http://localhost:${TWO##*:}/ok/data"
	OPTIONS=(--ca "$CA")
	direct ok "$HASH=$ONE/cookie/data?$TLS/ok/data"
	direct ok "$HASH=$TLS/cookie/data?$TLS/ok/data"
	expect_plain_requests one "${ONE#http://}"
	expect_plain_requests two "${TWO#http://}" "localhost:${TWO##*:}"
	expect_plain_requests tls "${TLS#https://}"
	if grep -q 'hunter2\|id=1\|id=2' "$WORK"/*.requests; then fail "a secret was sent"; fi
}

dl05() {
	local name
	forget
	printf 'machine 127.0.0.1 login me password hunter2\nmachine localhost login me password hunter2\n' >.netrc
	chmod 600 .netrc
	printf 'proxy = "%s"\nheader = "X-Secret: hunter2"\ncookie = "a=hunter2"\n' "${TWO#http://}" >.curlrc
	export HOME=$PWD CURL_HOME=$PWD NETRC=$PWD/.netrc SSLKEYLOGFILE=$PWD/keys SSL_CERT_FILE=$WORK/tls/self.crt
	export SSL_CERT_DIR=$WORK/tls CURL_CA_BUNDLE=$WORK/tls/self.crt OPENSSL_CONF=$PWD/openssl.cnf
	export RES_OPTIONS=debug LOCALDOMAIN=x HOSTALIASES=$PWD/hosts
	for name in http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY ftp_proxy; do
		export "$name=$TWO"
	done
	accept "$ONE/ok/data"
	direct ok "$HASH=$TLS/ok/data"
	export ALL_PROXY=socks5h://me:hunter2@${TWO#http://} all_proxy=socks5h://${TWO#http://}
	unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY
	accept "$ONE/ok/data"
	direct ok "$HASH=$TLS/ok/data"
	untouched two
	expect_plain_requests one
	expect_plain_requests tls
	# Not a request to a proxy, which would name the whole URL.
	jq -es 'all(.path | startswith("/"))' "$WORK/one.requests" >/dev/null
	[ ! -e keys ] || fail "TLS keys were written"
}

# Neither what one origin was granted nor what it was refused is passed on to another.
dl06() {
	forget
	start_in_row self --tls "$WORK/tls/self.pem"
	local self=https://localhost:$PORT
	direct ok "$HASH=$TLS/ok/data" "$OTHER=$TLS/ok/other"
	# The same server under a name that its certificate does not hold.
	attempt "$HASH=$TLS/ok/data" "$OTHER=https://127.0.0.1:${TLS##*:}/ok/other"
	[ "$ANSWER" = fetch/tls ]
	# The first may be done by then; it is in the store, rightly.
	sound_blobs state/store
	[ ! -e "state/store/blobs/sha256/$OTHER" ]
	direct fetch/tls "$HASH=$self/ok/data"
	direct fetch/tls "$HASH=$TLS/to/data?$self/ok/data"
	direct fetch/tls "$HASH=$TLS/to/data?https://127.0.0.1:${TLS##*:}/ok/data"
	[ ! -s "$ROW/self.requests" ] || fail "a request went to a server that is not trusted"
	jq -es 'all(.headers.host != "127.0.0.1:'"${TLS##*:}"'")' "$WORK/tls.requests" >/dev/null
}

start_in_row() { # NAME OPTION...: a server of this row; sets PORT
	local name=$1 fd # fd: open until the shell ends
	shift
	mkfifo "$name.hold"
	python3 "$TESTS/lib/fault_server.py" --root "$WORK/srv" --log "$ROW/$name.requests" \
		--connections "$ROW/$name.connections" "$@" <"$name.hold" >"$name.port" &
	exec {fd}>"$name.hold"
	for _ in $(seq 200); do
		[ ! -s "$name.port" ] || break
		sleep 0.05
	done
	PORT=$(cat "$name.port")
}

dl07() {
	local name
	direct ok "$HASH=$TLS/ok/data"
	for name in self old ip wrong-ip good; do
		start_in_row "$name" --tls "$WORK/tls/$name.pem"
		declare "${name//-/_}=$PORT"
	done
	start_in_row v11 --tls "$WORK/tls/good.pem" --tls-max 1.1
	# shellcheck disable=SC2154 # declared above
	{
		direct fetch/tls "$HASH=https://localhost:$self/ok/data"
		direct fetch/tls "$HASH=https://localhost:$old/ok/data"
		direct ok "$HASH=https://127.0.0.1:$ip/ok/data"
		direct fetch/tls "$HASH=https://localhost:$ip/ok/data"
		direct fetch/tls "$HASH=https://127.0.0.1:$wrong_ip/ok/data"
		direct fetch/tls "$HASH=https://127.0.0.1:$good/ok/data"
	}
	direct fetch/network "$HASH=https://localhost:$PORT/ok/data"
	direct fetch/tls "$HASH=https://localhost:${ONE##*:}/ok/data"
	cat ./*.requests >all
	[ "$(wc -l <all)" -eq 1 ] || fail "a request went to a server that is not trusted"
	# The program trusts the machine's authorities, which do not know ours.
	refuse fetch/tls "$TLS/ok/data"
	# The hash is the second lock: a trusted server is believed no more than another.
	direct fetch/wrong-hash "$HASH=$TLS/wrong/data"
}

dl08() {
	forget
	refuse fetch/bad-response "$ONE/gzip/data"
	refuse fetch/bad-response "$ONE/gzip-many/data"
	# A compressed file without such a header is what it is.
	gzip -nk <"$WORK/srv/data" >"$WORK/srv/data.gz"
	fresh
	write_import "$ONE/ok/data.gz" "hash: $(sha256sum <"$WORK/srv/data.gz" | cut -d' ' -f1)"
	build build
	cmp "$(blob_of "$WORK/srv/data.gz")" "$WORK/srv/data.gz"
	if grep -qi accept-encoding "$WORK/one.requests"; then fail "an encoding was asked for"; fi
}

dl09() {
	local begun=$SECONDS
	refuse fetch/wrong-size "$ONE/endless/data" "hash: $HASH" "size: 100000"
	refuse fetch/wrong-size "$ONE/unsized-long/data" "hash: $HASH" "size: 100000"
	refuse fetch/bad-response "$ONE/bigheader/1000000/data"
	refuse fetch/bad-response "$ONE/manyheaders/1000000/data"
	refuse fetch/redirect "$ONE/huge-redirect/data?file:///etc/passwd"
	forget
	refuse fetch/redirect "$ONE/loop/data"
	asked one 6
	refuse fetch/redirect "$ONE/redirect/10000/data"
	accept "$ONE/redirect/5/data"
	refuse fetch/redirect "$ONE/redirect/6/data"
	OPTIONS=(--stall 300)
	direct fetch/stalled "$HASH=$ONE/drip/data"
	direct fetch/stalled "$HASH=$ONE/mute/data"
	direct fetch/network "$HASH=$ONE/truncated/data"
	OPTIONS=(--stall 300 --total 1500)
	direct fetch/stalled "$HASH=$ONE/steady/data"
	[ $((SECONDS - begun)) -lt 60 ] || fail "it took $((SECONDS - begun)) s"
}

# In a network of its own, where the first server has an address that is not loopback.
dl10_inside() {
	local target targets
	ip link set lo up
	ip addr add 192.0.2.1/32 dev lo
	start_in_row far --bind 192.0.2.1
	local far=http://192.0.2.1:$PORT
	start_in_row near --bind 0.0.0.0
	local p=$PORT
	targets=("http://127.0.0.1:$p" "http://127.1:$p" "http://2130706433:$p" "http://0x7f000001:$p"
		"http://0177.0.0.1:$p" "http://0:$p" "http://0.0.0.0:$p" "http://127.9.9.9:$p"
		"http://localhost:$p" "http://[::1]:$p" "http://[::ffff:127.0.0.1]:$p" "http://[::]:$p"
		"http://169.254.169.254:$p" "http://[fe80::1]:$p" "http://[::127.0.0.1]:$p")
	OPTIONS=(--stall 3000)
	for target in "${targets[@]}"; do
		direct fetch/redirect "$HASH=$far/to/data?$target/ok/data"
	done
	[ ! -s near.connections ] || fail "a redirect reached loopback"
	# Where the pin itself names loopback, that is the user's choice; so is a far address.
	direct ok "$HASH=http://127.0.0.1:$p/ok/data"
	direct ok "$HASH=$far/to/data?http://192.0.2.1:$p/ok/data"
	direct ok "$HASH=http://127.0.0.1:$p/to/data?http://localhost:$p/ok/data"
}
dl10() {
	export -f start_in_row attempt direct fail keeps_nothing sound_blobs dl10_inside
	export HASH ROW TESTS SECBIN WORK
	unshare --net --user --map-root-user bash -eE -o pipefail -c dl10_inside
}

dl11() {
	forget
	refuse fetch/http-status "$ONE/login/data?$TWO/ok/data"
	asked one 1
	untouched two
	direct fetch/http-status "$HASH=$TLS/login/data?$TWO/ok/data"
	untouched two
	expect_plain_requests one
	expect_plain_requests tls
}

dl12() {
	find "$WORK" -name 'evil*' -exec rm {} +
	printf 'app:\n  from: {type: scratch}\n  imports:\n    - path: "%s"\n      hash: %s\n      dest: /dir/\n' \
		"$ONE/names/data" "$HASH" >stacker.yaml
	build build
	[ "$(image_list app | grep -v '/$')" = dir/data ] || fail "the image holds $(image_list app)"
	[ -z "$(find "$WORK" -name 'evil*')" ] || fail "the server named a file"
	[ -f "$(blob_of "$WORK/srv/data")" ]
}

dl13() {
	local fault
	accept "$ONE/flaky/data?13"
	for fault in flaky-norange flaky-badrange flaky-liar flaky-changed flaky-unsatisfiable flaky-etag; do
		accept "$ONE/$fault/data?13"
	done
	refuse fetch/bad-response "$ONE/uninvited-part/data"
	refuse fetch/network "$ONE/truncated/data"
}

dl14() {
	local url
	forget
	for url in "http://me:hunter2@127.0.0.1:${ONE##*:}/ok/data" "http://me@127.0.0.1:${ONE##*:}/ok/data" \
		"http://@127.0.0.1:${ONE##*:}/ok/data"; do
		refuse url/user-info "$url"
		if grep -q hunter2 out; then fail "the password was printed"; fi
	done
	for url in "http://127.0.0.1:${TWO##*:}#@127.0.0.1:${ONE##*:}/ok/data" "$ONE/ok/data#x" \
		"http://127.0.0.1%2f:${ONE##*:}/ok/data" "http://127.0.0.1%00:${ONE##*:}/ok/data" \
		"http://exämple.invalid/ok/data" "http://localhost.:${ONE##*:}/ok/data" \
		"http://127.0.0.1:${ONE##*:}\\\\ok/data" "http://127.0.0.1:${ONE##*:}/ok data" \
		"http://127.0.0.1:0/x" "http://127.0.0.1:65536/x" "http://127.0.0.1:+80/x" "http:///ok/data" \
		"http://[::1/x" "http://[::1%25lo]:${ONE##*:}/x" "http://%31%32%37.0.0.1/x" \
		"http://127.0.0.1:${ONE##*:}/ok/data\\r\\nX-Evil: 1"; do
		fresh
		write_import "$url"
		! build build || fail "$url was accepted"
		grep -q '\[url/\|\[recipe/' out || fail "no error about the URL '$url'"
		keeps_nothing
	done
	refuse fetch/redirect "$ONE/to/data?http://me:hunter2@127.0.0.1:${TWO##*:}/ok/data"
	refuse fetch/redirect "$ONE/to/data?http://127.0.0.1:${TWO##*:}%2f@x/ok/data"
	untouched two
	accept "HTTP://LOCALHOST:${ONE##*:}/ok/data"
}

dl15() {
	accept "$ONE/names/data"
	refuse fetch/wrong-hash "$ONE/wrong-named/data"
}

row DL01 dl01 "wrong, cut, empty, HTML, too long bodies; wrong size" "hash and size of what arrived; an unnamed file until then"
row DL02 dl02 "redirects to 18 other schemes, and pins of such" "redirects followed by ourselves, http and https only; nobody was connected to"
row DL03 dl03 "redirect from https to http" "url_redirect refuses the downgrade; the http server saw no connection"
row DL04 dl04 "redirect with cookies and challenges to another port, name and scheme, secrets in netrc and environment" "a request holds host, accept and user-agent, nothing else (compared exactly on both sides)"
row DL05 dl05 "netrc, curlrc, proxy variables, SOCKS, SSLKEYLOGFILE, CA variables" "clearenv in the fetcher, no proxy, netrc ignored; the proxy saw no connection"
row DL06 dl06 "a trusted origin, then one of another name or certificate" "a handle per hop, connections matched by name and TLS options"
row DL07 dl07 "self-signed, expired, wrong name, wrong address, TLS 1.1, plain text" "peer and host verified, TLS 1.2 or later; no request was sent"
row DL08 dl08 "gzip and five times gzip as Content-Encoding" "nothing is decoded or asked for; encoded answers are refused"
row DL09 dl09 "endless body, 1 MB and 1000000 header fields, 10000 redirects, 50 B/s, silence, steady drip" "caps on bytes, header, redirects; stall window; deadline for the whole pin"
row DL10 dl10 "redirect from a far address to loopback, link-local, unspecified, in 15 spellings" "the socket's address is judged, and again before a request on a kept connection"
row DL11 dl11 "401 with a realm on a foreign host" "no authentication exists: one request, and none to the realm"
row DL12 dl12 "Content-Disposition: ../../evil" "a blob's name is its digest, a file's name is the URL's"
row DL13 dl13 "206 with a wrong range, other bytes, a changed ETag, unasked" "range and validator compared, else all again; the hash decides"
row DL14 dl14 "user info, fragments, escaped and non-ASCII hosts, trailing dot, odd ports, line breaks" "one strict parser, before any connection"
row DL15 dl15 "a lying Docker-Content-Digest beside right and wrong bytes" "the body is hashed, headers are not asked"
