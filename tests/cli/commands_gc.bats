# bats file_tags=user
# gc: what is in use stays, everything else goes; and locks keep stackers apart.

load ../lib/helpers

setup() {
	setup_work
	export HOME=$PWD
	mkdir src
	echo one >src/a
	write one
}
teardown() { teardown_work; }

write() {
	write_stackerfile <<-END
		lib:
		  build_only: true
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    echo lib-$1 > /lib
		app:
		  from: {type: built, tag: lib}
		  imports:
		    - path: src
		      dest: /src
		  run: |
		    #!/bin/busybox sh
		    echo $1 > /one
	END
}

state_files() {
	(cd .stacker && find . -type f ! -name .lock | sort)
}

@test "gc: after one build nothing is to be removed" {
	stacker build
	local before
	before=$(state_files)
	run stacker gc --dry-run
	expect_success
	expect_output "would free 0 B: 0 blobs, 0 cache files, 0 trees, 0 records"
	run stacker gc
	expect_success
	expect_equal "$(state_files)" "$before"
	run stacker build
	expect_success
	refute_output preparing
}

@test "gc: what an older state of the stackerfile left goes, and what the newer one needs stays" {
	stacker build
	write two
	echo two >src/a
	stacker build
	local before after
	before=$(state_files)
	run stacker gc --dry-run
	expect_success
	expect_output "store/blobs/sha256/" "cache/" "sha256_" "would free"
	expect_equal "$(state_files)" "$before"
	run stacker gc
	expect_success
	expect_output "freed "
	after=$(state_files)
	[ "$(wc -l <<<"$after")" -lt "$(wc -l <<<"$before")" ]
	# What is left is just what a build into new directories makes.
	cp -r .stacker kept
	stacker --stacker-dir fresh --roots-dir fresh-roots --oci-dir fresh-oci build
	expect_equal "$(cd .stacker && find store -type f -path '*sha256*' | sort)" \
		"$(cd fresh && find store -type f -path '*sha256*' | sort)"
	run stacker build
	expect_success
	refute_output preparing
	# Also where a new image needs the older trees and inputs.
	cat >>stacker.yaml <<-'END'
		more:
		  from: {type: built, tag: app}
		  run: |
		    #!/bin/busybox sh
		    cat /lib /one /src/a > /more
	END
	run stacker build
	expect_success
	expect_equal "$(image_file more more)" "lib-two
two
two"
	run stacker exec lib cat /lib
	expect_equal "$output" lib-two
}

@test "gc: an image that only the layout still has keeps what it is made of" {
	cp stacker.yaml other.yaml
	stacker build -f other.yaml
	rm other.yaml
	run stacker gc
	expect_success
	expect_output "1 records"
	cp stacker.yaml other.yaml
	run stacker build -f other.yaml
	expect_success
	refute_output preparing
	# Without layout and stackerfile nothing is left.
	rm -rf other.yaml oci
	stacker gc
	expect_equal "$(blob_count)" 0
	expect_equal "$(find .stacker/cache -type f | wc -l)" 0
	run stacker build
	expect_success
}

@test "gc: another project's builds in a shared state directory stay" {
	mkdir project
	cp -r base src stacker.yaml project
	sed -i 's/echo lib/echo other/' project/stacker.yaml
	(cd project && stacker --stacker-dir ../.stacker --roots-dir ../roots build)
	stacker build
	stacker gc
	cd project
	run stacker --stacker-dir ../.stacker --roots-dir ../roots build
	expect_success
	refute_output preparing
}

@test "gc: a layout that cannot be read stops it before anything is removed" {
	stacker build
	write two
	stacker build
	local before
	before=$(state_files)
	echo '{' >oci/index.json
	run stacker gc
	expect_exit 1
	expect_equal "$(state_files)" "$before"
}

@test "gc: unknown files and foreign entries are left alone or ignored" {
	stacker build
	echo keep >.stacker/cache/note
	echo keep >.stacker/store/blobs/sha256/short
	echo '{' >.stacker/cache/"$(printf '%064d' 0)".json
	run stacker gc
	expect_success
	[ -e .stacker/cache/note ]
	[ -e .stacker/store/blobs/sha256/short ]
	[ ! -e .stacker/cache/"$(printf '%064d' 0)".json ]
}

@test "locks: whoever holds either lock is named, and gc and clean want to be alone" {
	stacker build
	flock -F .stacker/.lock sleep 60 &
	local holder=$!
	until ! flock -n .stacker/.lock true; do sleep 0.05; done
	run stacker build
	expect_exit 1
	expect_output "couldn't acquire lock on '.stacker': lock owned by pid "
	kill "$holder"
	wait "$holder" || true
	flock -F -s .stacker/.lock sleep 60 &
	holder=$!
	until ! flock -n .stacker/.lock true; do sleep 0.05; done
	run stacker build
	expect_success
	for command in gc clean; do
		run stacker "$command"
		expect_exit 1
		expect_output "couldn't acquire lock on '.stacker'" "[system/locked]"
	done
	[ -e oci/index.json ]
	kill "$holder"
	wait "$holder" || true
}

@test "locks: a second stacker on the same roots names the first" {
	write_stackerfile <<-'END'
		slow:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    echo started
		    sleep 60
	END
	"$STACKER" build >log 2>&1 &
	local first=$!
	until grep -q started log; do sleep 0.05; done
	run stacker build
	expect_exit 1
	expect_output "couldn't acquire lock on 'roots': lock owned by pid "
	run stacker gc
	expect_exit 1
	expect_output "couldn't acquire lock"
	kill -TERM "$first"
	wait "$first" || true
}

@test "gc: other layer types than tar stay as well" {
	stacker build --layer-type tar --layer-type squashfs
	rm -rf oci
	run stacker gc
	expect_success
	run stacker build --layer-type squashfs
	expect_success
	expect_output "found cached layer app"
	refute_output preparing
	refute_output "cache miss"
}
