# What upstream's suite shows that needs root to show: other users' directories, tmpfs, mount namespaces.

# shellcheck disable=SC2016 # what is in single quotes is meant as it is
load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

one_app() {
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, run: touch /x}
	END
}

@test "upstream tmpfs: everything in memory" {
	mkdir mem
	one_app
	cp -r base stacker.yaml mem/
	unshare -m sh -c 'mount -t tmpfs none mem -o size=64m && cp -r base stacker.yaml mem/ && cd mem &&
		timeout 60 "$STACKER" build && cp -r oci ..'
	image_digest app
}

@test "upstream concurrent: two builds at one path, in mount namespaces of their own" {
	local digest
	one_app
	stacker build
	digest=$(image_digest app)
	rm -rf oci roots .stacker
	mkdir one two at
	cp -r base stacker.yaml one
	cp -r base stacker.yaml two
	for name in one two; do
		unshare -m sh -c "mount --bind $name at && cd at && exec timeout 100 \"\$STACKER\" build" 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	expect_equal "$(cd one && image_digest app) $(cd two && image_digest app)" "$digest $digest"
}

@test "upstream privilege: what another user's run made is refused" {
	getent passwd stackertest >/dev/null || skip_justified "there is no ordinary user here"
	one_app
	stacker build
	cp -r "$STACKER" program
	chown -R stackertest .stacker oci base stacker.yaml
	chown stackertest .
	# Stays in this directory, though that user could not come here.
	run setpriv --reuid=stackertest --regid=stackertest --init-groups ./program build </dev/null
	expect_exit 1
	expect_output "[roots/other-ids]"
}
