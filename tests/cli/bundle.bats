# bats file_tags=user
# Bundles: one file from which an image is built and verified without network and without anything
# else.

load ../lib/helpers

setup() {
	setup_work
	mkdir -p project/src/lib www
	echo one >www/one
	start_fault_server www
	cd project || return 1
	make_busybox_base base
	echo data >src/data
	ln -s data src/link
	chmod 750 src/lib
	echo tar-content >content
	tar -cf base.tar content
	cat >src/lib/stacker.yaml <<-END
		base:
		  build_only: true
		  from: {type: scratch}
		  imports: [{path: ../../base/, dest: /}]
	END
	cat >stacker.yaml <<-END
		config: {prerequisites: [src/lib/stacker.yaml]}
		plain:
		  from: {type: tar, url: base.tar}
		app:
		  from: {type: built, tag: base}
		  imports:
		    - {path: src, dest: /src}
		    - {path: $URL/ok/one, dest: /one}
		  run: |
		    #!/bin/busybox sh
		    echo "\${{WORD}}" > /word
	END
	mkdir ../elsewhere
}
teardown() {
	stop_fault_server
	teardown_work
}

@test "bundle: built and verified elsewhere, from it alone" {
	run stacker lock --substitute WORD=hello
	expect_success
	run stacker bundle --substitute WORD=hello -o ../app.bundle
	expect_success
	expect_output "wrote bundle"
	stop_fault_server
	local plain app
	plain=$(image_digest plain)
	app=$(image_digest app)
	tar -tf ../app.bundle >list
	grep -qx oci-layout list
	grep -qx index.json list
	cd ../elsewhere
	rm -r ../project/src ../project/base ../project/base.tar
	run stacker build --bundle ../app.bundle
	expect_success
	expect_equal "$(image_digest plain)" "$plain"
	expect_equal "$(image_digest app)" "$app"
	expect_equal "$(image_file app word)" hello
	run stacker verify --bundle ../app.bundle app
	expect_success
	expect_output "app: reproduced"
	rm -rf .stacker roots oci
	run stacker verify --bundle ../app.bundle
	expect_success
	expect_output "app: reproduced" "plain: reproduced"
}

@test "bundle: what else names stackerfiles is an error beside it, not overlooked" {
	for command in build verify; do
		run stacker $command --bundle b.tar -f other.yaml
		expect_exit 2
		expect_output "--bundle excludes '--stacker-file'"
		run stacker $command --bundle b.tar --substitute A=b
		expect_exit 2
		expect_output "--bundle excludes '--substitute'"
	done
	run stacker build --bundle absent.tar
	expect_exit 1
	expect_output "error: bundle 'absent.tar': cannot open it: No such file"
}

@test "bundle: the same bytes each time" {
	run stacker lock --substitute WORD=hello
	expect_success
	run stacker bundle --substitute WORD=hello -A plain -o ../one
	expect_success
	touch -d 2001-01-01 base.tar
	run stacker --work-dir ../other bundle --substitute WORD=hello -A plain -o ../two
	expect_success
	# The places of this run are values of placeholders, too; nothing else may differ.
	run skopeo inspect "oci-archive:../one:plain"
	expect_success
	mkdir x y
	tar -xf ../one -C x
	tar -xf ../two -C y
	expect_sound_blobs x
	expect_sound_blobs y
	expect_equal "$(image_digest plain x)" "$(image_digest plain y)"
}

@test "bundle: damaged ones are refused, and leave nothing that is used" {
	run stacker lock --substitute WORD=hello
	expect_success
	run stacker bundle --substitute WORD=hello -o ../app.bundle
	expect_success
	cd ../elsewhere
	head -c 20000 ../app.bundle >cut
	run stacker build --bundle cut
	expect_exit 1
	expect_output "bundle 'cut'"
	[ ! -e oci/index.json ]
	sed 's/tar-content/tar-CONTENT/' ../app.bundle >changed
	run stacker build --bundle changed
	expect_exit 1
	expect_output "bundle 'changed'" "[store/wrong-hash]"
	[ ! -e oci/index.json ]
	run stacker build --bundle ../project/base.tar
	expect_exit 1
	expect_output "[layout/"
	run stacker build --bundle absent
	expect_exit 1
	expect_output "absent"
}

@test "bundle: what is named absolutely is refused, as nobody else would find it" {
	cat >stacker.yaml <<-END
		a:
		  from: {type: scratch}
		  imports: [{path: $PWD/src/data, dest: /data}]
	END
	run stacker bundle -o ../app.bundle
	expect_exit 1
	expect_output "stacker.yaml:3:" "[bundle/absolute-path]"
	[ ! -e ../app.bundle ]
	run stacker bundle
	expect_exit 2
}
