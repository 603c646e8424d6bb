#!/usr/bin/env bash
# The rows of store, cache and local files (ST), through the program; races and faults at single
# system calls through sec_store_race and sec_store_faults, over the same modules.
# shellcheck disable=SC2317,SC2329,SC2030,SC2031,SC2016,SC2034 # row calls the functions, in subshells
set -u -o pipefail
# shellcheck source=tests/security/input_lib.sh
. "$(dirname "$0")/input_lib.sh"

# write_import PATH [LINE]...: one image that imports it.
write_import() {
	{
		printf 'app:\n  from: {type: scratch}\n  imports:\n    - path: "%s"\n      dest: /data\n' "$1"
		shift
		[ $# -eq 0 ] || printf '      %s\n' "$@"
	} >stacker.yaml
}
app_digest() { image_digest app; }

st01() {
	mkdir race
	"$SECBIN/sec_store_race" race 5 >said
	cat said >&2
	tried "file rewritten, cut, replaced by link and fifo while read: $(cat said)"
	# A file of proc claims to be empty, and is not.
	write_import /proc/self/status
	build_fails import/changed build
	# And through the program, while something writes.
	mkdir tree
	echo start >tree/file
	(
		for i in $(seq 1000000); do
			echo "$i$i$i$i$i$i$i$i" >tree/file
			[ ! -e stop ] || exit 0
		done
	) &
	write_import tree/
	local taken=0 refused=0 i
	for i in $(seq 12); do
		rm -rf oci
		if build build >/dev/null; then
			taken=$((taken + 1))
		else
			grep -q '\[import/changed\]' out || fail "not a clean refusal"
			refused=$((refused + 1))
		fi
	done
	touch stop
	wait
	echo "through the program: $taken taken, $refused refused" >&2
	sound_blobs .stacker/store
	build build
	[ "$(image_cat app data/file)" = "$(cat tree/file)" ]
}

st02() {
	local kind
	mkdir -p tree/dir outside
	echo secret-of-the-machine >outside/secret
	ln -s ../outside tree/a
	ln -s ../outside/secret tree/b
	ln -s "$PWD/outside" tree/c
	ln -s / tree/root
	write_import tree/
	build build
	# Links are taken as links, never followed.
	[ "$(image_list app | sort | tr '\n' ' ')" = "data/ data/a data/b data/c data/dir/ data/root " ]
	if grep -rqs secret-of-the-machine .stacker oci; then fail "a link was followed"; fi
	[ "$(tar -tvf "$(largest_layer)" | grep -c '^l')" -eq 4 ]
	for kind in fifo socket; do
		rm -rf special
		mkdir special
		case $kind in
		fifo) mkfifo special/x ;;
		socket) python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("special/x")' ;;
		esac
		write_import special/
		build_fails import/special-file build
		write_import special/x
		build_fails import/special-file build
	done
	write_import /dev/zero
	build_fails import/special-file build
	# stacker://IMAGE/PATH is looked up inside that image, whatever its links say.
	mkdir -p planted
	ln -sfn / planted/up
	ln -sfn "$PWD/outside" planted/there
	ln -sfn ../../../../../../../../.. planted/far
	for kind in "up$PWD/outside/secret" there/secret "far$PWD/outside/secret"; do
		printf 'base:\n  from: {type: scratch}\n  imports: [{path: planted/, dest: /}]\napp:\n  from: {type: scratch}\n  imports: [{path: "stacker://base/%s", dest: /data}]\n' \
			"$kind" >stacker.yaml
		! build build || fail "stacker://base/$kind was found"
	done
	if grep -rqs secret-of-the-machine .stacker oci; then fail "a link was followed out of an image"; fi
}
largest_layer() {
	local blob
	for blob in oci/blobs/sha256/*; do
		! gzip -t "$blob" 2>/dev/null || stat -c '%s %n' "$blob"
	done | sort -n | tail -1 | cut -d' ' -f2
}

# refuse_state DIR [ID]: it is refused, and nothing is put there.
refuse_state() {
	build_fails "${2:-store/unsafe-dir}" --stacker-dir "$1" build
	[ -z "$(find -L "$1" -type f -newer stamp 2>/dev/null)" ] || fail "something was written to $1"
}
st03() {
	local mode name
	echo data >file
	write_import file
	touch stamp
	sleep 0.02
	mkdir real
	ln -s real link
	refuse_state link
	refuse_state link/
	ln -s nowhere dangling
	! build --stacker-dir dangling build || fail "a dangling link was taken"
	[ ! -e nowhere ]
	for mode in 0720 0702 0770 0777 1777; do
		mkdir "m$mode"
		chmod "$mode" "m$mode"
		refuse_state "m$mode"
	done
	mkdir -p way/state
	chmod 0700 way/state
	chmod 0777 way
	refuse_state way/state
	refuse_state way/new
	chmod 1777 way
	build --stacker-dir way/state build
	# Somebody else's: of root for the user, of a stranger for root.
	if [ "$WHO" = root ]; then
		mkdir theirs
		chown 12345 theirs
		refuse_state theirs store/other-user
	else
		refuse_state /usr store/other-user
	fi
	# Inside, and while it is in use: directories that others could write to.
	build build
	for name in .stacker/cache .stacker/store .stacker/store/blobs .stacker/store/blobs/sha256; do
		chmod o+w "$name"
		build_fails store/unsafe-dir build
		chmod o-w "$name"
		mv "$name" "$name.real"
		ln -s "$PWD/$name.real" "$name"
		! build build || fail "a link in place of $name was taken"
		rm "$name"
		mv "$name.real" "$name"
	done
	build build
	[ "$(stat -c %a .stacker)" = 700 ]
}

# flip FILE OFFSET: one bit of it.
flip() {
	chmod u+w "$1"
	python3 - "$1" "$2" <<-'END'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(int(sys.argv[2]))
		    byte = f.read(1)[0]
		    f.seek(int(sys.argv[2]))
		    f.write(bytes([byte ^ 1]))
	END
}
st04_files() {
	busybox_base
	head -c 5000 /dev/urandom >one
	head -c 5000 /dev/urandom >two
	cat >stacker.yaml <<-'END'
		base:
		  build_only: true
		  from: {type: scratch}
		  imports: [{path: base/, dest: /}, {path: one, dest: /one}]
		app:
		  from: {type: built, tag: base}
		  imports: [two]
		  run: cat /one /stacker/imports/two >/made
		other:
		  from: {type: scratch}
		  imports: [{path: two, dest: /data}]
	END
}
# sound_again DIGEST: building leads to the right image, or stops; never to a wrong one.
sound_again() {
	if build build; then
		[ "$(app_digest)" = "$1" ] || fail "another image came out"
		sound_blobs oci
	else
		grep -q '\[store/damaged\]\|\[layout/damaged\]' out || fail "not a clean refusal"
	fi
}
st04() {
	local good other blob first second layer
	st04_files
	build build
	good=$(app_digest)
	other=$(image_digest other)
	build verify
	# Inputs: a flipped bit, two swapped blobs of one length.
	for blob in "$(blob_of one)" "$(blob_of two)"; do
		flip "$blob" 1234
		rm -rf oci .stacker/cache roots
		sound_again "$good"
	done
	build build
	first=$(blob_of one) second=$(blob_of two)
	mv "$first" swap && mv "$second" "$first" && mv swap "$second"
	rm -rf oci .stacker/cache roots
	sound_again "$good"
	build build
	[ "$(app_digest)" = "$good" ]
	sound_blobs .stacker/store oci
	# A cached layer, config and manifest, for a new layout.
	for layer in $(layers_of "$good") "$(config_of "$good")" "$good"; do
		flip ".stacker/store/blobs/${layer/://}" 7
		rm -rf oci
		sound_again "$good"
		build build # the damaged one is gone by now
		[ "$(app_digest)" = "$good" ]
		sound_blobs .stacker/store oci
	done
	# A cache entry that leads to another image.
	python3 - <<-'END'
		import glob, json
		entries = {}
		for name in glob.glob(".stacker/cache/*.json"):
		    if name.endswith(".evidence.json"):
		        continue
		    with open(name) as f:
		        entries[name] = json.load(f)
		app, other = [n for n, e in sorted(entries.items(), key=lambda x: -len(x[1]["layers"])) if not e["build_only"]]
		wrong = dict(entries[other], recipe=entries[app]["recipe"])
		with open(app, "w") as f:
		    json.dump(wrong, f, sort_keys=True, separators=(",", ":"))
	END
	rm -rf oci
	build build
	[ "$(app_digest)" = "$good" ] || fail "the cache entry was believed"
	[ "$(image_digest other)" = "$other" ]
	# The published layout: a flipped bit, a changed index. Only verify promises to look.
	layer=$(layers_of "$good" | tail -1)
	flip "oci/blobs/${layer/://}" 600
	! build verify || fail "verify passed a damaged layout"
	rm -rf oci
	build build
	sed -i "s/${good#sha256:}/${other#sha256:}/" oci/index.json
	! build verify || fail "verify passed a changed index"
	# An unpacked tree that somebody changed.
	rm -rf oci
	build build
	build verify
	find roots -name one -type f -exec sh -c 'printf X >"$1"' sh {} \; 2>/dev/null ||
		unshare --map-root-user --map-auto find roots -name one -type f -exec sh -c 'printf X >"$1"' sh {} \;
	! build verify || fail "verify passed a changed tree"
}
layers_of() { jq -r '.layers[].digest' "oci/blobs/${1/://}"; }
config_of() { jq -r .config.digest "oci/blobs/${1/://}"; }

# recipe_digest: of the image app in stacker.yaml, by building it.
recipe_digest() {
	timeout 60 "$STACKER" --quiet build --json >json 2>err || { cat err >&2; return 1; }
	jq -er '.[] | select(.name == "app") | .recipe' json
}
st05() {
	local first count=0 text
	busybox_base
	echo x >f
	echo y >g
	: >digests
	# Each differs from the first in one place, or would run together with another.
	local head=$'app:\n  from: {type: scratch}\n  imports:\n    - {path: base/, dest: /}\n'
	local variants=(
		""
		$'  environment: {A: b}\n' $'  environment: {A: bc}\n' $'  environment: {Ab: c}\n'
		$'  environment: {A: b, C: d}\n' $'  environment: {A: "b C=d"}\n' $'  environment: {A: "b\\nC=d"}\n'
		$'  build_env: {A: b}\n  run: "true"\n' $'  run: "true"\n' $'  run: "true "\n' $'  run: "true;"\n'
		$'  run: ["true", "true"]\n' $'  cmd: ["a b"]\n' $'  cmd: [a, b]\n' $'  cmd: [ab]\n'
		$'  entrypoint: a b\n' $'  entrypoint: a\n  cmd: b\n' $'  working_dir: /a\n'
		$'  labels: {a: b}\n' $'  annotations: {a: b}\n' $'  volumes: [/a]\n' $'  volumes: [/a, /b]\n'
		$'  runtime_user: "1"\n' $'  runtime_user: "1:0"\n' $'  arch: arm64\n'
		$'    - {path: f, dest: /f}\n' $'    - {path: f, dest: /g}\n' $'    - {path: g, dest: /f}\n'
		$'    - {path: f, dest: /f, mode: 0600}\n' $'    - {path: f, dest: /f, mode: 0601}\n'
		$'    - {path: f, dest: /f, uid: 1}\n' $'    - {path: f, dest: /f, gid: 1}\n'
		$'    - {path: f, dest: /f}\n    - {path: g, dest: /g}\n'
		$'    - {path: g, dest: /g}\n    - {path: f, dest: /f}\n'
		$'    - {path: f, dest: /fg}\n' $'    - {path: f, dest: /f/g}\n'
	)
	for text in "${variants[@]}"; do
		printf '%s%s' "$head" "$text" >stacker.yaml
		if recipe_digest >>digests; then
			count=$((count + 1))
		elif ! grep -q '\[recipe/' err; then
			fail "cannot build: $text"
		else
			echo "not in this version: $text" >&2
		fi
	done
	printf 'config: {source_date_epoch: 1}\n%s' "$head" >stacker.yaml
	recipe_digest >>digests
	printf '%s' "$head" >stacker.yaml
	chmod u+x g
	printf '%s    - {path: g, dest: /f}\n' "$head" >stacker.yaml
	recipe_digest >>digests # its mode
	echo z >g
	recipe_digest >>digests # its content
	count=$((count + 3))
	[ "$count" -ge 30 ] || fail "only $count variants could be built"
	[ "$(sort digests | uniq -d | wc -l)" -eq 0 ] || fail "two recipes have one key"
	# What must not matter does not.
	printf '%s' "$head" >stacker.yaml
	first=$(head -1 digests)
	(umask 077 && cd . && [ "$(TZ=Asia/Tokyo LANG=tr_TR.UTF-8 SOURCE_DATE_EPOCH=5 recipe_digest)" = "$first" ])
	mkdir elsewhere
	cp -R base stacker.yaml elsewhere/
	(cd elsewhere && [ "$(recipe_digest)" = "$first" ])
	tried "$count recipes that differ in one field or would concatenate alike"
}
st06() {
	local i pids=() failed=0 lost=0
	busybox_base
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: scratch}
		  imports: [{path: base/, dest: /}]
		  run: for i in 1 2 3; do echo $i >/f$i; done; sleep 0.3
	END
	# Separate trees, one store.
	for i in $(seq 32); do
		timeout 120 "$STACKER" --roots-dir "roots$i" --oci-dir "oci$i" build >"said$i" 2>&1 &
		pids+=($!)
	done
	for i in $(seq 32); do
		wait "${pids[$((i - 1))]}" || { failed=$((failed + 1)); cat "said$i" >&2; }
	done
	[ "$failed" -eq 0 ] || fail "$failed of 32 builders failed"
	for i in $(seq 32); do
		image_digest app "oci$i"
	done | sort -u >digests
	[ "$(wc -l <digests)" -eq 1 ] || fail "the builders disagree"
	sound_blobs .stacker/store oci*
	[ "$(find .stacker/cache -name '*.json' ! -name '*.evidence.json' | wc -l)" -eq 1 ]
	[ -z "$(find .stacker oci* -name '*.new')" ] || fail "something was left behind"
	# The same trees: one at a time, and the others say why.
	rm -rf .stacker/cache
	pids=()
	for i in $(seq 8); do
		timeout 120 "$STACKER" --roots-dir roots1 --oci-dir oci1 build >"said$i" 2>&1 &
		pids+=($!)
	done
	for i in $(seq 8); do
		wait "${pids[$((i - 1))]}" && continue
		lost=$((lost + 1))
		grep -q "couldn't acquire lock.*\[system/locked\]" "said$i" || { cat "said$i" >&2; fail "not a clean refusal"; }
	done
	[ "$lost" -lt 8 ] || fail "no builder won"
	[ "$(image_digest app oci1)" = "$(cat digests)" ]
	tried "32 builders of one key at once in one store, 8 more on the same trees ($lost were told to wait)"
}

st07() {
	local i killed=0 faults good
	mkdir faults
	faults=$("$SECBIN/sec_store_faults" faults)
	busybox_base
	head -c 300000 /dev/urandom >big
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: scratch}
		  imports: [{path: base/, dest: /}, {path: big, dest: /big}]
		  run: cat /big /big >/twice
	END
	build build
	good=$(app_digest)
	# Killed at any time: the next build is right, and what is there is sound before it.
	for i in $(seq 25); do
		[ $((i % 5)) -ne 0 ] || rm -rf .stacker oci
		rm -rf .stacker/cache
		timeout -s KILL "$(printf '0.%03d' $((i * 9)))" "$STACKER" build >/dev/null 2>&1 || killed=$((killed + 1))
		[ ! -d .stacker/store ] || sound_blobs .stacker/store
		if [ -e oci/index.json ] && image_digest app >/dev/null 2>&1; then
			[ "$(app_digest)" = "$good" ]
			sound_blobs oci
		fi
	done
	[ "$killed" -gt 3 ] || fail "only $killed builds were killed"
	build build
	[ "$(app_digest)" = "$good" ]
	[ -z "$(find .stacker oci -name '*.new')" ] || fail "something was left behind"
	[ ! -d roots/.work ] || [ -z "$(ls -A roots/.work)" ] || fail "a work directory was left behind"
	# No file may grow: writes fail, or the process dies of it.
	for i in 1 10 100 400; do
		rm -rf .stacker oci
		if (ulimit -f "$i" && build build); then [ "$i" -gt 100 ] || fail "files of $i KiB sufficed"; fi
		[ ! -d .stacker/store ] || sound_blobs .stacker/store
	done
	rm -rf .stacker oci
	build build
	[ "$(app_digest)" = "$good" ]
	[ "$WHO" != root ] || full_disk "$good"
	tried "$faults at single calls (ENOSPC, EIO, half writes, SIGKILL), $killed builds killed, files that must not grow$([ "$WHO" != root ] || echo ', full disks of 3 sizes')"
}
# Only root can mount a file system that is too small and still give it subordinate ids.
full_disk() {
	local size
	mkdir -p small
	for size in 200k 1m 2500k; do
		unshare --mount bash -ec '
			mount -t tmpfs -o size='"$size"',mode=0700 none small
			if timeout 60 "$STACKER" --stacker-dir small/state --oci-dir small/oci build >out 2>&1; then
				echo "a disk of '"$size"' sufficed" >&2; exit 1
			fi
			cat out >&2
			grep -qi "no space" out
			find small -path "*/blobs/sha256/*" -type f | while read -r f; do
				sum=$(sha256sum <"$f"); [ "${sum%% *}" = "${f##*/}" ] || exit 1
			done
			mount -o remount,size=64m none small
			timeout 60 "$STACKER" --stacker-dir small/state --oci-dir small/oci build >out 2>&1
			grep -qF "'"$1"'" out' || fail "a disk of $size"
	done
}

# The step program's attempts at /victim, which lies in a layer beneath.
st08() {
	local good
	head -c 20000 /dev/zero | tr '\0' v >victim
	mkdir base
	cp "$SECBIN/sec_store_step_static" base/attempt
	cat >stacker.yaml <<-'END'
		base:
		  from: {type: scratch}
		  imports: [{path: base/, dest: /}, {path: victim, dest: /victim}]
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/attempt /victim
	END
	build build -A base
	good=$(image_digest base)
	hash_trees >before
	build build
	cp out attempts
	grep -q 'pwrite ok' attempts || fail "nothing was attempted"
	hash_trees >after
	diff before after >&2 || fail "a tree or blob of a lower layer changed"
	sync
	sound_blobs .stacker/store oci
	[ "$(image_digest base)" = "$good" ]
	cmp "$(blob_of victim)" victim
	build verify
}
# Every file of the trees and blobs that were there before the attempts.
hash_trees() {
	local list='find roots .stacker/store -type f ! -path "roots/.*" -exec sha256sum {} +'
	if [ -e names ]; then
		list='xargs -d "\n" sha256sum <names'
	elif [ "$WHO" = root ]; then
		find roots .stacker/store -type f ! -path 'roots/.*' >names
	else
		unshare --map-root-user --map-auto find roots .stacker/store -type f ! -path 'roots/.*' >names
	fi
	if [ "$WHO" = root ]; then sh -c "$list"; else unshare --map-root-user --map-auto sh -c "$list"; fi | sort
}

st09() {
	local call
	mkdir base
	cp "$SECBIN/sec_store_step_static" base/attempt
	head -c 20000 /dev/zero | tr '\0' v >victim
	cat >stacker.yaml <<-'END'
		base:
		  from: {type: scratch}
		  imports: [{path: base/, dest: /}, {path: victim, dest: /victim}]
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/attempt /victim
	END
	build build
	for call in af-alg af-rxrpc xfrm af-vsock; do
		grep -q "$call EAFNOSUPPORT" out || fail "$call was not refused"
	done
	for call in vmsplice tee; do
		grep -q "$call ENOSYS" out || fail "$call was not refused"
	done
	# What another sandbox sees, and what is published, still has the right bytes.
	rm -rf oci
	build build
	sound_blobs .stacker/store oci
	build verify
}

st10() {
	local secret=hunter2-5ecret port fd
	export HOME=$PWD AWS_SECRET_ACCESS_KEY=$secret STACKER_TOKEN=$secret http_proxy=http://me:$secret@127.0.0.1:1/
	export GITHUB_TOKEN=$secret REGISTRY_AUTH_FILE=$PWD/auth.json SSH_AUTH_SOCK=$PWD/$secret
	mkdir -p .docker srv
	printf '{"auths":{"127.0.0.1":{"auth":"%s"}}}' "$secret" | tee auth.json >.docker/config.json
	printf 'default login me password %s\n' "$secret" >.netrc
	echo data >srv/data
	mkfifo hold
	python3 "$TESTS/lib/fault_server.py" --root srv --log requests <hold >port &
	exec {fd}>hold
	for _ in $(seq 200); do
		[ ! -s port ] || break
		sleep 0.05
	done
	port=$(cat port)
	busybox_base
	local hash
	hash=$(sha256sum <srv/data | cut -d' ' -f1)
	# An ordinary build in an environment full of secrets; the step prints all that it sees.
	cat >stacker.yaml <<-END
		app:
		  from: {type: scratch}
		  imports:
		    - {path: base/, dest: /}
		    - {path: "http://127.0.0.1:$port/ok/data", hash: $hash, dest: /data}
		  run: env; ls -la / /proc/self/; cat /proc/1/environ /proc/self/environ || true
	END
	build --debug build
	cp out all
	build verify && cat out >>all
	build verify --json && cat out >>all
	# A redirect whose target is signed: only the pinned URL may be shown.
	printf 'app:\n  from: {type: scratch}\n  imports: [{path: "%s", hash: %s, dest: /data}]\n' \
		"http://127.0.0.1:$port/signed/x" "${hash//[0-4]/5}" >signed.yaml
	build_fails fetch/http-status --debug build -f signed.yaml
	cat out >>all
	grep -q "signature=$secret" requests
	: >requests
	# Passwords in URLs are refused unprinted, wherever they stand.
	for url in "http://me:$secret@127.0.0.1:$port/ok/data" "https://$secret@127.0.0.1/x"; do
		printf 'app:\n  from: {type: scratch}\n  imports: [{path: "%s", hash: %s, dest: /data}]\n' "$url" "$hash" >url.yaml
		build_fails url/user-info --debug build -f url.yaml
		cat out >>all
		printf 'app:\n  from: {type: tar, url: "%s", hash: %s}\n' "$url" "$hash" >url.yaml
		build_fails url/user-info --debug build -f url.yaml
		cat out >>all
		printf 'app:\n  from: {type: scratch}\n  imports: [{path: "http://127.0.0.1:1/x", urls: ["%s"], hash: %s, dest: /data}]\n' "$url" "$hash" >url.yaml
		build_fails url/user-info --debug build -f url.yaml
		cat out >>all
	done
	# Ways to ask for the environment or for headers are not there.
	for line in 'build_env_passthrough: [STACKER_TOKEN]' 'build_env_passthrough: [".*"]' 'environment: {A: $STACKER_TOKEN}'; do
		printf 'app:\n  from: {type: scratch}\n  imports: [{path: base/, dest: /}]\n  run: env\n  %s\n' "$line" >pass.yaml
		build build -f pass.yaml || true
		cat out >>all
	done
	printf 'app:\n  from: {type: scratch}\n  imports: [{path: "http://127.0.0.1:%s/ok/data", hash: %s, dest: /d, headers: {X-Token: x}}]\n' \
		"$port" "$hash" >header.yaml
	build_fails recipe/unknown-directive build -f header.yaml
	if grep -aF "$secret" all >&2; then fail "a secret was printed"; fi
	if grep -raqF "$secret" .stacker oci requests; then fail "a secret was kept"; fi
	local blob
	for blob in oci/blobs/sha256/*; do
		if gzip -dc "$blob" 2>/dev/null | grep -aqF "$secret"; then fail "a secret is in a layer"; fi
	done
	"$STACKER" clean
}

# Every process of ours in its own confinement, as if its code had been taken over.
roles() {
	local role column=2
	for role in unpacker packer lister remover fetcher tool; do
		mkdir "$role"
		"$SECBIN/sec_roles" "$role" "$role" >"$role.got"
		awk -v n="$column" '!/^#/ && $1 != "attempt" { print $1, $n }' "$TESTS/security/golden/roles.txt" \
			>"$role.golden"
		[ "$(wc -l <"$role.golden")" -gt 80 ]
		diff "$role.golden" "$role.got" >&2 || fail "the $role differs from the golden list"
		column=$((column + 1))
	done
}

row ST01 st01 "file rewritten, cut, replaced while read" "opened once, copied by fd, the copy hashed, fstat before and after"
row ST02 st02 "links out of the tree, out of an image, fifo, socket, device" "links are imported as links; regular files only; lookups end at the image's root"
row ST03 st03 "state directory that is a link, another's, open to others, or below such" "O_NOFOLLOW, owner and mode of it and of all above and inside"
row ST04 st04 "bits flipped and blobs swapped in store, cache, layout, trees; entry of another image" "inputs hashed before use, blobs when unpacked and published, the manifest names its recipe; verify looks at all"
row ST05 st05 "recipes that differ in one field or would concatenate alike" "canonical JSON of the whole recipe, policy digest included"
row ST06 st06 "32 builders of one key at once" "unnamed files linked into place, flock on trees"
row ST07 st07 "SIGKILL, ENOSPC, EIO at each call that writes" "unnamed file, fsync, link or rename last; old or new state each time"
row ST08 st08 "a step writes to a file of a lower layer in 12 ways" "overlay copies up; trees are never linked or bound writable"
row ST09 st09 "page cache by AF_ALG, AF_RXRPC, xfrm, vmsplice, tee" "not in the step's list; blobs hashed again after the step"
row ST10 st10 "secrets in environment, netrc, URLs, redirects, asked for by recipe" "clean environments, user info refused unprinted; nothing in output, log, store, layers"
row roles roles "87 attempts each by unpacker, packer, lister, remover, fetcher, tool: exec, sockets, host files, ptrace, mounts" "a seccomp list, capabilities, Landlock rights and a read-only root of its own; golden/roles.txt"
