# bats file_tags=user
# What upstream's suite shows of building: steps, stages, caching, whiteouts, order. tests/cli/README.md says
# which test of upstream's each stands for.

# shellcheck disable=SC2016 # what is in single quotes is meant as it is
load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

layer_count() { image_manifest "$1" | jq '.layers | length'; }

layer_names() {
	tar -tf "$(blob_path "$(image_manifest "$1" | jq -er ".layers[$2].digest")")"
}

@test "upstream run: no imports, patterns of the shell, another interpreter" {
	write_stackerfile <<-'END'
		plain:
		  from: {type: built, tag: base}
		  run: |
		    mkdir /a && touch /a/1 /a/2 /a/3
		    ls /a/* >/list
		list:
		  from: {type: built, tag: plain}
		  run:
		    - cd /a
		    - rm [12]
		    - "! false"
		custom:
		  from: {type: built, tag: base}
		  run:
		    - "#!/bin/sed -nf"
		    - "1w /written"
	END
	run stacker build
	expect_success
	expect_equal "$(image_file plain list | tr '\n' ' ')" "/a/1 /a/2 /a/3 "
	unpack_image list list
	expect_equal "$(ls list/a)" 3
	# Tracing is on by default, so that each command is in the output.
	expect_output "plain: + mkdir /a"
}

@test "upstream basic: a changed import rebuilds, four times in a row" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports: foo
		  run: cp /stacker/imports/foo /foo
	END
	for i in 1 2 3 4; do
		echo $i >foo
		run stacker build
		expect_success
		refute_output "found cached layer app"
		expect_equal "$(image_file app foo)" $i
	done
}

@test "upstream basic: everything at once" {
	mkdir srv
	echo data >srv/file
	start_fault_server srv
	make_busybox_base root
	tar -C root -cf root.tar .
	echo '#!/bin/sh' >executable
	chmod +x executable
	cat >values.yaml <<-END
		FAVICON: file
		URL: $URL
	END
	cat >stacker.yaml <<-END
		app:
		  from: {type: tar, url: root.tar}
		  import:
		  imports:
		    - path: \${{URL}}/ok/\${{FAVICON}}
		      hash: $(sha256sum <srv/file | cut -d' ' -f1)
		    - ./executable
		  run: |
		    cp /stacker/imports/\${{FAVICON}} /\${{FAVICON}}
		    [ -x /stacker/imports/executable ]
		    cp /stacker/imports/executable /usr-bin-executable
		  entrypoint: echo hello world
		  environment: {FOO: bar}
		  volumes: [/data/db]
		  labels: {foo: bar, bar: baz}
		  working_dir: /meow/mix
		layer1:
		  from: {type: built, tag: app}
		  run: rm /\${{FAVICON}}
	END
	run stacker build --substitute-file values.yaml
	stop_fault_server
	expect_success
	expect_equal "$(image_config app | jq -cS '.config | del(.Env)')" \
		'{"Entrypoint":["echo","hello","world"],"Labels":{"bar":"baz","foo":"bar"},"Volumes":{"/data/db":{}},"WorkingDir":"/meow/mix"}'
	expect_equal "$(image_config app | jq -r '.config.Env[0]')" FOO=bar
	[[ $(image_config app | jq -r '.config.Env[1]') == PATH=* ]]
	unpack_image app app
	unpack_image layer1 layer1
	expect_equal "$(cat app/file)" data
	[ -x app/usr-bin-executable ]
	[ ! -e app/stacker ]
	[ ! -e layer1/file ]
	run stacker grab app:/file
	expect_success
	expect_equal "$(cat file)" data
}

@test "upstream whiteouts: files, directories and opacity across three images" {
	write_stackerfile <<-'END'
		image:
		  from: {type: built, tag: base}
		  run: |
		    mkdir -p /a1/b1 /hello; touch /foo /hello/foo /a1/b1/x
		image_a:
		  from: {type: built, tag: image}
		  run: |
		    rm /foo; rm -rf /hello /a1
		    mkdir -p /a1/b2; touch /a1/b2/y; mkdir /newdir
		image_b:
		  from: {type: built, tag: image_a}
		  run: touch /a1/b2/z
	END
	stacker build
	expect_equal "$(layer_names image_a 2 | sort | tr '\n' ' ')" ".wh.foo .wh.hello a1/ a1/.wh..wh..opq a1/b2/ a1/b2/y newdir/ "
	# What is opaque in one layer is not in the next.
	expect_equal "$(layer_names image_b 3 | sort | tr '\n' ' ')" "a1/b2/z "
	unpack_image image_b b
	expect_equal "$(cd b && find . -path ./bin -prune -o -print | sort | tr '\n' ' ')" ". ./a1 ./a1/b2 ./a1/b2/y ./a1/b2/z ./newdir "
}

@test "upstream whiteouts: a directory that apt renames into place leaves none" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    mkdir -p /etc/sensors.d.dpkg-new /lib-new/x
		    echo x >/etc/sensors.d.dpkg-new/.placeholder
		    mv /etc/sensors.d.dpkg-new /etc/sensors.d
		    rm /etc/sensors.d/.placeholder; mkdir /etc/tmp; rmdir /etc/tmp
		child:
		  from: {type: built, tag: app}
		  run: |
		    mkdir /etc/sensors.d.dpkg-new
		    mv /etc/sensors.d /etc/sensors.d.old; mv /etc/sensors.d.dpkg-new /etc/sensors.d; rmdir /etc/sensors.d.old
		    mkdir -p /new/dir && touch /new/dir/file
	END
	stacker build
	expect_equal "$(layer_names app 1 | sort | tr '\n' ' ')" "etc/ etc/sensors.d/ lib-new/ lib-new/x/ "
	if layer_names child 2 | grep -F .wh.; then return 1; fi
	unpack_image child child
	[ -d child/etc/sensors.d ]
	[ -e child/new/dir/file ]
}

@test "upstream build_only: what a stage makes, its child removes" {
	write_stackerfile <<-'END'
		parent: {build_only: true, from: {type: built, tag: base}, run: mkdir /dir && touch /dir/file /stays}
		child: {from: {type: built, tag: parent}, run: rm -r /dir}
		noop: {from: {type: built, tag: parent}, cmd: x}
	END
	stacker build
	unpack_image child child
	[ ! -e child/dir ]
	[ -e child/stays ]
	expect_equal "$(image_file noop stays)" ""
	expect_equal "$(layer_count noop) $(layer_count child)" "2 3"
	run image_digest parent
	[ "$status" -ne 0 ]
	# A stage can be looked into all the same.
	run stacker grab parent:/dir/file
	expect_success
	[ -e file ]
}

@test "upstream build_only: a failed stage is built again when it is mended" {
	write_stackerfile <<-'END'
		stage: {build_only: true, from: {type: built, tag: base}, run: echo before >/f; FAILS}
		app: {from: {type: built, tag: stage}, run: cat /f}
	END
	run stacker build
	expect_exit 1
	expect_output "run commands failed for image 'stage'"
	sed -i 's/FAILS/echo after >>\/f/' stacker.yaml
	run stacker build
	expect_success
	expect_equal "$(image_file app f)" $'before\nafter'
}

@test "upstream build_only: a rebuild begins with a clean root, whatever modes were left" {
	write_stackerfile <<-'END'
		stage:
		  build_only: true
		  from: {type: built, tag: base}
		  imports: [in]
		  run: |
		    mkdir -p /closed/in && touch /closed/in/x "/$(cat /stacker/imports/in)" && chmod 500 /closed/in /closed
		app: {from: {type: built, tag: stage}, run: ls /}
	END
	for text in one two; do
		echo $text >in
		stacker build
	done
	unpack_image app app
	[ -e app/two ]
	[ ! -e app/one ]
	chmod -R u+w app
}

@test "upstream build_only: of many stages only the leaf is built anew" {
	write_stackerfile <<-'END'
		one: {build_only: true, from: {type: built, tag: base}, run: touch /1}
		two: {build_only: true, from: {type: built, tag: one}, run: touch /2}
		leaf: {from: {type: built, tag: two}, run: touch /RUN}
	END
	stacker build
	sed -i 's/RUN/other/' stacker.yaml
	run stacker build
	expect_success
	expect_output "preparing image leaf"
	refute_output "preparing image two"
	expect_equal "$(layer_count leaf)" 4
}

@test "upstream built: parent and child have what they should, after a second build too" {
	write_stackerfile <<-'END'
		parent: {from: {type: built, tag: base}, run: touch /root}
		child: {from: {type: built, tag: parent}, run: touch /child}
	END
	stacker build
	stacker build
	unpack_image parent parent
	unpack_image child child
	[ -e parent/root ]
	[ ! -e parent/child ]
	[ -e child/root ]
	[ -e child/child ]
}

@test "upstream caching: a changed tar or OCI base rebuilds" {
	for text in one two; do
		echo $text >content
		tar -cf base.tar content
		rm -rf layout
		python3 "$REPO_LIB/oci_layout.py" layout tag --layer base.tar
		cat >stacker.yaml <<-'END'
			tar: {from: {type: tar, url: base.tar}}
			oci: {from: {type: oci, url: "layout:tag"}}
		END
		run stacker build
		expect_success
		refute_output "found cached"
		expect_equal "$(image_file tar content) $(image_file oci content)" "$text $text"
	done
	run stacker build
	expect_output "found cached layer tar" "found cached layer oci"
}

@test "upstream caching: imports, through links of the tree, their modes, and what is removed" {
	mkdir -p one two tree
	echo first >one/file
	echo second >two/file
	ln -s one current
	touch tree/{a,b}
	write_stackerfile <<-'END'
		parent: {build_only: true, from: {type: built, tag: base}, run: touch /parent}
		app:
		  from: {type: built, tag: parent}
		  imports: [current/file, tree]
		  run: cp -r /stacker/imports /in
	END
	stacker build
	expect_equal "$(image_file app in/file)" first
	ln -sfn two current
	stacker build
	expect_equal "$(image_file app in/file)" second
	chmod 755 two/file
	stacker build
	unpack_image app app
	[ -x app/in/file ]
	[ -e app/in/tree/b ]
	rm tree/b
	stacker build
	rm -rf app
	unpack_image app app
	[ -e app/in/tree/a ]
	[ ! -e app/in/tree/b ]
	run stacker build
	expect_output "found cached layer app"
}

@test "upstream caching: an entry that another version made is put aside with a word" {
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, run: touch /x}
	END
	stacker build
	local digest entry
	digest=$(image_digest app)
	for entry in .stacker/cache/*.json; do
		jq -e .manifest "$entry" >/dev/null || continue
		echo '{"schema":"https://stacker-hermetic.invalid/result/v0"}' >"$entry"
	done
	run stacker build
	expect_success
	expect_output "is unusable, building again"
	expect_equal "$(image_digest app)" "$digest"
}

@test "upstream caching: the older import and stacker:// over prerequisites" {
	make_busybox_base base
	cat >first.yaml <<-'END'
		base: {build_only: true, from: {type: scratch}, imports: [{path: base/, dest: /}]}
		my-base:
		  from: {type: built, tag: base}
		  build_only: true
		  import: [first.yaml]
		  run: cp /stacker/first.yaml /file
	END
	cat >stacker.yaml <<-'END'
		config: {prerequisites: [first.yaml]}
		app:
		  from: {type: built, tag: base}
		  import: [stacker://my-base/file]
		  run: cp /stacker/file /copy
	END
	run stacker build
	expect_success
	run stacker build
	expect_output "found cached layer app"
	cmp <(image_file app copy) first.yaml
}

@test "upstream stacker://: out of an image without cp, and of one without anything else" {
	mkdir only
	echo x >only/file
	tar -C only -cf only.tar .
	cat >stacker.yaml <<-'END'
		only: {build_only: true, from: {type: tar, url: only.tar}}
		app:
		  from: {type: scratch}
		  imports: [{path: stacker://only/file, dest: /copied}]
	END
	stacker build
	expect_equal "$(image_file app copied)" x
}

@test "upstream order: what is missing is named, what is out of order is found" {
	cat >stacker.yaml <<-'END'
		a: {from: {type: built, tag: missing}}
	END
	run stacker build
	expect_exit 1
	expect_output "couldn't resolve some dependencies" "missing"
	cat >stacker.yaml <<-'END'
		a:
		  from: {type: scratch}
		  imports: [stacker://first/x, stacker://second/y]
	END
	run stacker build
	expect_exit 1
	expect_output "couldn't resolve some dependencies" "first"
	make_busybox_base base
	cat >stacker.yaml <<-'END'
		last: {from: {type: built, tag: middle}, imports: [stacker://other/x], run: cp /stacker/imports/x /last}
		middle: {from: {type: built, tag: base}, run: touch /middle}
		other: {build_only: true, from: {type: built, tag: middle}, run: echo x >/x}
		base: {build_only: true, from: {type: scratch}, imports: [{path: base/, dest: /}]}
	END
	run stacker build
	expect_success
	expect_equal "$(image_file last last)" x
}

@test "upstream dirlinks: what is written through a linked directory lands behind it" {
	write_stackerfile <<-'END'
		links: {from: {type: built, tag: base}, run: mkdir -p /usr/lib && ln -s usr/lib /lib && touch /lib/one}
		app: {from: {type: built, tag: links}, run: touch /lib/two && rm /lib/one}
	END
	stacker build
	expect_equal "$(layer_names app 2 | sort | tr '\n' ' ')" "usr/lib/.wh.one usr/lib/two "
	unpack_image app app
	expect_equal "$(readlink app/lib) $(ls app/usr/lib)" "usr/lib two"
}

@test "upstream empty layers: a step that changes nothing adds none, but a history entry" {
	write_stackerfile <<-'END'
		parent: {from: {type: built, tag: base}, run: touch /x}
		same: {from: {type: built, tag: parent}, run: cat /x; cp /x /y; rm /y}
	END
	stacker build
	expect_equal "$(layer_count same)" "$(layer_count parent)"
	expect_equal "$(image_config same | jq '.history | length')" $(($(image_config parent | jq '.history | length') + 1))
	[ "$(image_digest same)" != "$(image_digest parent)" ]
}

@test "upstream clean: removes what was made, and nothing else" {
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, run: mkdir -m 000 /closed}
	END
	stacker build
	run stacker clean
	expect_success
	[ ! -e oci ]
	[ ! -e roots ]
	[ ! -e .stacker ]
	[ -e stacker.yaml ]
}

@test "upstream unprivileged: mode 000, and what is in /stacker is not in the image" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports: [stacker.yaml]
		  run: |
		    echo x >/none && chmod 000 /none
		    ls /stacker/imports
		again:
		  from: {type: built, tag: app}
		  run: "[ ! -e /stacker/imports/stacker.yaml ] && [ \"$(cat /none)\" = x ]"
	END
	run stacker build
	expect_success
	unpack_image app app
	[ ! -e app/stacker ]
	expect_equal "$(stat -c %a app/none)" 0
	chmod -R u+rwX app
	tar -C app -cf again.tar .
	printf 'app: {from: {type: tar, url: again.tar}, run: touch /y}\n' >tar.yaml
	run stacker build -f tar.yaml
	expect_success
}

@test "upstream unprivileged: a read-only import is read again when it changes" {
	mkdir d
	touch d/one
	chmod -w d
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, imports: [d], run: cp -r /stacker/imports/d /}
	END
	stacker build
	chmod +w d
	touch d/two
	chmod -w d
	run stacker build
	chmod +w d
	expect_success
	unpack_image app app
	expect_equal "$(echo app/d/*)" "app/d/one app/d/two"
	chmod -R u+w app
}

@test "upstream oci: the same layout to read from and to write to" {
	make_busybox_base root
	tar -C root -cf root.tar .
	python3 "$REPO_LIB/oci_layout.py" oci busybox --layer root.tar:gzip
	printf 'output1: {from: {type: oci, url: "oci:busybox"}, run: touch /1}\n' >1.yaml
	printf 'output2: {from: {type: oci, url: "oci:output1"}, run: touch /2}\n' >2.yaml
	stacker build -f 1.yaml
	stacker build -f 2.yaml
	expect_equal "$(jq -c '[.manifests[].annotations["org.opencontainers.image.ref.name"]]' oci/index.json)" \
		'["busybox","output1","output2"]'
	expect_equal "$(layer_count output2)" 3
}

@test "upstream oci: only one's own tags in the output; colons in tags" {
	make_busybox_base root
	tar -C root -cf root.tar .
	python3 "$REPO_LIB/oci_layout.py" dest base:1.2:3 --layer root.tar
	printf 'app: {from: {type: oci, url: "dest:base:1.2:3"}, run: touch /x}\n' >stacker.yaml
	run stacker build
	expect_success
	expect_equal "$(jq -c '[.manifests[].annotations["org.opencontainers.image.ref.name"]]' oci/index.json)" '["app"]'
	printf 'app: {from: {type: oci, url: "dest:base"}}\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "[layout/no-such-tag]" "'base:1.2:3'"
}

@test "upstream whiteouts: a deletion in a layout that was handed on still hides the file" {
	write_stackerfile <<-'END'
		parent: {from: {type: built, tag: base}, run: mkdir /d && touch /d/gone /d/stays}
		child: {from: {type: built, tag: parent}, run: rm /d/gone}
	END
	stacker build
	skopeo copy -q oci:oci:child oci:published:child
	printf 'app: {from: {type: oci, url: "published:child"}, run: "[ ! -e /d/gone ] && touch /d/new"}\n' >next.yaml
	run stacker build -f next.yaml
	expect_success
	unpack_image app app
	expect_equal "$(echo app/d/*)" "app/d/new app/d/stays"
}
