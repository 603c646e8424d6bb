# bats file_tags=user
# overlay_dirs, generate_labels and the older import: what they put where.

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

@test "overlay_dirs: each is a layer after the base, seen by run, owned by root" {
	mkdir -p one/opt one/etc two/etc/deep
	echo first >one/etc/conf
	echo tool >one/opt/tool
	chmod 4755 one/opt/tool
	ln -s missing one/broken
	chmod 700 one/etc
	echo second >two/etc/conf
	write_stackerfile <<-'END'
		plain:
		  from: {type: built, tag: base}
		  overlay_dirs:
		    - source: one
		    - source: two/
		      dest: /there
		    - {source: two, dest: /}
		app:
		  from: {type: built, tag: base}
		  imports:
		    - {path: one/opt/, dest: /opt2}
		  overlay_dirs:
		    - source: one
		    - {source: two}
		  run: |
		    #!/bin/sh -e
		    [ "$(cat /etc/conf)" = second ]
		    [ "$(stat -c '%a %u %g' /opt/tool)" = "4755 0 0" ]
		    [ "$(stat -c %a /etc)" = 700 ]
		    [ -e /opt2/tool ]
	END
	run stacker build
	expect_success
	expect_equal "$(image_manifest plain | jq '.layers | length')" 4
	expect_equal "$(image_config plain | jq -c '[.history[].created_by]')" \
		'["stacker overlay dir for base","stacker overlay dir for plain","stacker overlay dir for plain","stacker overlay dir for plain","stacker build"]'
	unpack_image plain plain
	expect_equal "$(cat plain/etc/conf plain/there/etc/conf)" $'second\nsecond'
	expect_equal "$(readlink plain/broken)" missing
	expect_equal "$(stat -c %a plain/opt/tool)" 4755
	expect_equal "$(stat -c %a plain/etc)" 700
	[ -d plain/etc/deep ]
	# Overlay dirs come first, whatever the order in the file.
	expect_equal "$(image_manifest app | jq '.layers | length')" 4
	local files
	files=$(tar -tf "$(blob_path "$(image_manifest app | jq -r '.layers[3].digest')")")
	expect_equal "$(grep -v '/$' <<<"$files")" opt2/tool
}

@test "overlay_dirs: editing, adding and removing a file rebuilds; nothing else does" {
	mkdir -p d/sub
	echo 1 >d/sub/file
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  overlay_dirs: [{source: d, dest: /o}]
	END
	stacker build
	touch -d 2001-01-01 d/sub/file d
	run stacker build
	expect_output "found cached layer app"
	echo 2 >d/sub/file
	run stacker build
	refute_output "found cached layer app"
	expect_equal "$(image_file app o/sub/file)" 2
	echo x >d/more
	stacker build
	expect_equal "$(image_file app o/more)" x
	rm d/sub/file
	stacker build
	unpack_image app app
	[ -d app/o/sub ]
	[ ! -e app/o/sub/file ]
	rm -rf roots
	run stacker build
	expect_success
}

@test "overlay_dirs: a source that is absent, a file or a link is an error with its place" {
	mkdir real
	echo x >file
	ln -s real link
	for source in absent file link; do
		printf 'app:\n  from: {type: scratch}\n  overlay_dirs:\n    - {source: %s}\n' $source >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:4:16: error: " "'$source'"
		[ ! -e oci ] || [ -z "$(jq -r '.manifests[]' oci/index.json)" ]
	done
}

@test "import: the older form is at /stacker too, read-only, and leaves nothing in the image" {
	mkdir -p d/e
	echo file >f
	echo deep >d/e/g
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports:
		  import:
		    - f
		    - d
		    - path: f
		      dest: /placed
		  run: |
		    #!/bin/sh -e
		    [ "$(cat /stacker/f /stacker/imports/f)" = "file
		    file" ]
		    [ "$(cat /stacker/d/e/g /stacker/imports/d/e/g)" = "deep
		    deep" ]
		    [ ! -e /stacker/placed ]
		    for at in /stacker /stacker/d/e /stacker/imports; do
		      if touch $at/new 2>/dev/null; then exit 7; fi
		    done
		    cp -r /stacker/d /copy
	END
	run stacker build
	expect_success
	expect_output "warning: " "stacker.yaml:12: 'import' is deprecated"
	unpack_image app app
	[ -z "$(find app -iname '*stacker*')" ]
	expect_equal "$(cat app/copy/e/g app/placed)" $'deep\nfile'

	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  import: f
		  imports: f
	END
	run stacker build
	expect_exit 1
	expect_output "[recipe/import-twice]"
	mkdir -p c/run
	printf 'app: {from: {type: scratch}, import: c/, run: x}\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:1:38: error: " "/stacker/run" "[import/reserved-name]"
}

@test "imports: of two that a step would see by one name the last counts, whole" {
	mkdir -p a/x b/x
	echo 1 >a/x/old
	echo 2 >b/x/new
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports: [a/x, b/x]
		  run: |
		    #!/bin/sh -e
		    [ "$(ls /stacker/imports/x)" = new ]
	END
	run stacker build
	expect_success
}

@test "generate_labels: files become labels, labels win, nothing else stays" {
	echo s >seen
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports: [seen]
		  build_env: {ONLY_RUN: "1"}
		  run: |
		    #!/bin/sh
		    echo 1.2.3 >/version
		  generate_labels:
		    - "#!/bin/sh -e"
		    - "[ -z \"$ONLY_RUN\" ]"
		    - "[ ! -e /stacker/imports/seen ]"
		    - cat /version >/stacker/oci-labels/org.example.version
		    - printf 'two\nlines' >/oci-labels/lines
		    - echo no >/stacker/oci-labels/fixed
		    - echo leak >/leak
		    - rm /version
		  labels: {fixed: "yes"}
		child:
		  from: {type: built, tag: app}
		stage:
		  build_only: true
		  from: {type: built, tag: base}
		  generate_labels: exit 1
		end:
		  from: {type: built, tag: stage}
	END
	run stacker build
	expect_success
	expect_equal "$(image_config app | jq -c .config.Labels)" \
		'{"fixed":"yes","lines":"two\nlines","org.example.version":"1.2.3\n"}'
	expect_equal "$(image_config child | jq -c .config.Labels)" "$(image_config app | jq -c .config.Labels)"
	unpack_image app app
	[ ! -e app/leak ]
	[ ! -e app/oci-labels ]
	expect_equal "$(cat app/version)" 1.2.3
	run stacker verify app
	expect_success
}

@test "generate_labels: what is no label is an error, and so is a script that fails" {
	local body
	for body in 'mkdir /oci-labels/dir' 'ln -s /etc/passwd /oci-labels/link' \
		'printf "a\377" >/oci-labels/x' 'dd if=/dev/zero of=/oci-labels/x bs=10 count=1' \
		'dd if=/dev/zero of=/oci-labels/x bs=1M count=2' 'rm -r /oci-labels' 'exit 3' \
		'rm -r /oci-labels; ln -s /bin /oci-labels'; do
		write_stackerfile <<-END
			app:
			  from: {type: built, tag: base}
			  generate_labels: '$body'
		END
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:8:1: error: "
	done
	[ ! -e oci/index.json ] || [ -z "$(jq -r '.manifests[]' oci/index.json)" ]
}

@test "bom: is accepted and warned about" {
	printf 'app:\n  from: {type: scratch}\n  bom: {generate: true}\n' >stacker.yaml
	run stacker build
	expect_success
	expect_output "stacker.yaml:3: 'bom' has no effect"
}
