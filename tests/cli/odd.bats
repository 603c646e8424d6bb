# bats file_tags=user
# Stackerfiles and trees as nobody writes them on purpose: the exact result, or a clean error. Nothing is
# changed silently.

# shellcheck disable=SC2016 # what is in single quotes is meant as it is
load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

# imports LINE...: an image from scratch with these items under imports.
imports() {
	printf 'app:\n  from: {type: scratch}\n  imports:\n' >stacker.yaml
	printf '    - %s\n' "$@" >>stacker.yaml
}

# FORMAT: every file of an image's tree, as find prints it.
tree() {
	rm -rf tree.tmp
	unpack_image app tree.tmp
	(cd tree.tmp && find . -mindepth 1 -printf "$1\n" | LC_ALL=C sort)
}

@test "odd scalars: names of images at the edge of the grammar" {
	local long
	long=$(printf 'n%.0s' $(seq 128))
	for name in a a/b/c a--b a_b.c-d+e@f 0 "'1.10'" yes "$long"; do
		printf '%s: {from: {type: scratch}}\n' "$name" >stacker.yaml
		run stacker build
		expect_success
		name=${name//\'/}
		image_digest "$name"
	done
	for name in a:b a//b /a a/ -a a- a---b a..b "'a b'" "''" "n$long" ä "\"a\\nb\""; do
		printf '%s: {from: {type: scratch}}\n' "$name" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:1:1: error: " "[recipe/bad-name]"
	done
	printf 'config: {from: {type: scratch}}\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "unknown config directive 'from'"
}

@test "odd scalars: texts reach the image as they are" {
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: scratch}
		  environment:
		    EMPTY:
		    QUOTE: 'a "b" ''c'''
		    LINES: "a\nb\ttab"
		    FOLDED: >-
		      one
		      two
		    EQUALS: a=b=c
		    UNICODE: "ä\u20ac\U0001f600"
		    DOLLAR: $HOME ${X} $(x) `x`
		    HASH: a#b
		  labels: {k/e:y@1+2: "", n: ~x}
		  cmd: ["", " ", "a b", '"']
		  entrypoint: a  'b c'd "" \e\  "f\g\"h"
	END
	stacker build
	expect_equal "$(image_config app | jq -c '.config.Env[:-1][]')" \
		'"DOLLAR=$HOME ${X} $(x) `x`"
"EMPTY="
"EQUALS=a=b=c"
"FOLDED=one two"
"HASH=a#b"
"LINES=a\nb\ttab"
"QUOTE=a \"b\" '"'c'"'"
"UNICODE=ä€😀"'
	expect_equal "$(image_config app | jq -c '.config | [.Labels, .Cmd, .Entrypoint]')" \
		'[{"k/e:y@1+2":"","n":"~x"},[""," ","a b","\""],["a","b cd","e ","f\\g\"h"]]'
}

@test "odd scalars: what could mean two things is refused" {
	local line
	for line in 'environment: {A: ~}' 'environment: {A: null}' 'environment: {"": x}' 'environment: {"A B": x}' \
		'environment: {"A=B": x}' 'labels: {"a\0b": x}' 'build_only: yes' 'build_only: "true"' 'build_only: 1' \
		'cmd: [a, ~]' 'cmd: "a b' "cmd: \"'\"" 'entrypoint: "a\\"' 'os: ~' 'arch: ""' 'arch: "a b"' \
		'runtime_user: 0x0' 'runtime_user: "1:"' 'runtime_user: -1' 'volumes: [rel]' 'volumes: /v' \
		'working_dir: rel' 'run: [x, [y]]' 'run: {a: b}' 'imports: {path: x}' 'imports: [~]' 'generate_labels: {a: b}' \
		'overlay_dirs: {source: x}' 'bom: x' 'environment: {A: a, A: b}' 'cmd: !x y' 'run: "a\0b"'; do
		printf 'app:\n  from: {type: scratch}\n  %s\n' "$line" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:" "error: "
	done
}

@test "odd substitution: placeholders as keys, numbers, flags and nothing" {
	echo x >file
	cat >stacker.yaml <<-'END'
		${{NAME:app}}:
		  from: {type: ${{TYPE:scratch}}}
		  build_only: ${{ONLY:false}}
		  ${{KEY:imports}}:
		    - {path: "file${{NOTHING:}}", dest: /${{WHERE}}, mode: ${{MODE:0640}}}
		  cmd: [a${{NOTHING:}}b, "${{A:$}}{x}"]
	END
	run stacker build --substitute WHERE=a/b
	expect_success
	expect_equal "$(tree '%m %p')" $'640 ./a/b\n755 ./a'
	expect_equal "$(image_config app | jq -c .config.Cmd)" '["ab","${x}"]'
	run stacker build --substitute 'WHERE=/x, uid: 5'
	expect_success
	expect_equal "$(tree %p)" "./x"
	run stacker build --substitute WHERE=../up
	expect_exit 1
	expect_output "[recipe/bad-path]"
}

@test "odd slashes: in path and dest, doubled, dotted and at the end" {
	mkdir -p d/sub e
	echo x >d/file
	echo y >e/f
	imports '{path: ./d//, dest: //one//}' '{path: d/., dest: /two}' '{path: "d///sub/..//file", dest: /three/./four}' \
		'{path: ./e, dest: /five//}' '{path: e/f, dest: //}' "{path: $PWD/e, dest: /.}" '{path: d, dest: /six/.}'
	run stacker build
	expect_success
	expect_equal "$(tree '%y %p')" "d ./five
d ./five/e
d ./one
d ./one/sub
d ./six
d ./six/sub
d ./three
d ./two
d ./two/sub
f ./f
f ./five/e/f
f ./one/file
f ./six/file
f ./three/four
f ./two/file"
	imports '{path: d/../../../../../../../../../../etc/hostname, dest: /h}'
	run stacker build
	expect_success # the user's own tree has no bounds; it is named by content alone
	refuse recipe/bad-path <<-'END'
		app: {from: {type: scratch}, imports: [{path: stacker://a/../b, dest: /}]}
	END
	refuse recipe/bad-path <<-'END'
		app: {from: {type: scratch}, imports: [{path: x, dest: /a/../b}]}
	END
}

@test "odd destinations: links that dangle, loop, lead out or to files" {
	echo x >file
	mkdir d
	echo y >d/in
	write_stackerfile <<-'END'
		links:
		  build_only: true
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/sh -e
		    mkdir -p /real
		    ln -s nowhere /dangling; ln -s loop2 /loop1; ln -s loop1 /loop2
		    ln -s ../../../../../../etc /out; ln -s /real/afile /tofile; echo old >/real/afile
		    ln -s /real /todir; ln -s todir /totodir
		app:
		  from: {type: built, tag: links}
		  imports: [@]
	END
	cp stacker.yaml template
	local path dest result
	while read -r path dest result; do
		sed "s|@|{path: $path, dest: $dest}|" template >stacker.yaml
		run stacker build
		if [ "$result" = ok ]; then
			expect_success
			continue
		fi
		expect_exit 1
		expect_output "stacker.yaml:19:20: error: " "[import/$result]"
	done <<-'END'
		file /dangling/ conflict
		file /dangling/x conflict
		d /dangling conflict
		file /loop1/x conflict
		file /out/x conflict
		file /tofile/ conflict
		file /tofile/x conflict
		d /tofile conflict
		file /todir dest-is-directory
		file /real/afile/x conflict
		d /real/afile conflict
		d /bin/busybox conflict
		file /dangling ok
		file /loop1 ok
	END
	sed "s|@|{path: file, dest: /tofile}, {path: file, dest: /todir/}, {path: file, dest: /totodir/deep/x}, {path: d/, dest: /totodir}, {path: d, dest: /todir/}|" template >stacker.yaml
	run stacker build
	expect_success
	expect_equal "$(tree '%y %p %l' | grep -v '/bin')" "d ./real 
d ./real/d 
d ./real/deep 
f ./real/afile 
f ./real/d/in 
f ./real/deep/x 
f ./real/file 
f ./real/in 
f ./tofile 
l ./dangling nowhere
l ./loop1 loop2
l ./loop2 loop1
l ./out ../../../../../../etc
l ./todir /real
l ./totodir todir"
	expect_equal "$(cat tree.tmp/tofile tree.tmp/real/afile)" $'x\nold'
}

@test "odd sources: links as imports, to files, directories, nowhere and away" {
	mkdir -p d/sub real
	echo x >real/file
	ln -s ../real/file d/tofile
	ln -s ../real d/todir
	ln -s /nonexistent/thing d/broken
	ln -s ../../../../../../../etc d/away
	ln -s d linked
	ln -s real/file top
	imports '{path: d, dest: /d}' '{path: top, dest: /}' '{path: linked, dest: /copied}' '{path: d/todir/file, dest: /through}' \
		'{path: linked/sub, dest: /}'
	run stacker build
	expect_success
	expect_equal "$(tree '%y %p %l')" "d ./d 
d ./d/sub 
d ./sub 
f ./through 
l ./copied d
l ./d/away ../../../../../../../etc
l ./d/broken /nonexistent/thing
l ./d/todir ../real
l ./d/tofile ../real/file
l ./top real/file"
	# A link that is to stand for its contents could have been put there by somebody else.
	refuse import/link "linked" <<-'END'
		app: {from: {type: scratch}, imports: [{path: linked/, dest: /}]}
	END
	refuse import/absent "'none' does not exist" <<-'END'
		app: {from: {type: scratch}, imports: [{path: none, dest: /}]}
	END
	refuse import/not-a-directory <<-'END'
		app: {from: {type: scratch}, imports: [{path: real/file/, dest: /}]}
	END
}

@test "odd sources: fifos, sockets and names that no text can hold" {
	mkdir d
	mkfifo d/fifo
	imports '{path: d, dest: /}'
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:4:" "d/fifo" "[import/special-file]"
	rm d/fifo
	touch "$(printf 'd/bad\377')"
	run stacker build
	expect_exit 1
	expect_output 'd/bad\xff' "[import/name-not-utf8]"
	rm d/bad*
	echo x >d/.wh.file
	run stacker build
	expect_exit 1
	expect_output ".wh.file"
	rm d/.wh.file
	touch $'d/new\nline' 'd/back\slash' 'd/ space ' d/-rf 'd/*' d/ä "d/$(printf 'x%.0s' $(seq 255))" 'd/a"b'\''c'
	mkdir -p "d/$(printf 'deep/%.0s' $(seq 100))"
	run stacker build
	expect_success
	tree '%p' >/dev/null
	diff -r d tree.tmp/d
}

@test "odd sources: mode 000, and what the user may not read" {
	mkdir d
	echo x >d/secret
	chmod 000 d/secret
	imports '{path: d, dest: /}'
	run stacker build
	if [ "$(id -u)" -eq 0 ]; then
		expect_success
		expect_equal "$(tree '%m %p')" $'0 ./d/secret\n755 ./d'
	else
		expect_exit 1
		expect_output "stacker.yaml:4:" "d/secret" "Permission denied"
	fi
	chmod 644 d/secret
	imports '{path: d, dest: /, mode: 0000}'
	run stacker build
	expect_success
	expect_equal "$(tree '%m %p')" $'0 ./d/secret\n755 ./d'
}

@test "odd steps: whiteouts of every kind of thing, and things in the place of others" {
	write_stackerfile <<-'END'
		lower:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/sh -e
		    mkdir -p /d/sub /opaque/old /becomesfile/x /l
		    echo 1 >/d/f; echo 1 >/opaque/gone; echo 1 >/becomesdir; ln -s d /link; ln -s nowhere /dangling
		    /bin/busybox mkfifo /fifo
		    echo 1 >/l/hard; ln /l/hard /l/hard2
		app:
		  from: {type: built, tag: lower}
		  run: |
		    #!/bin/sh -e
		    rm /d/f /link /dangling /l/hard2
		    rmdir /d/sub
		    rm -r /opaque && mkdir /opaque && echo 2 >/opaque/new
		    rm -r /becomesfile && echo 2 >/becomesfile
		    rm /becomesdir && mkdir -p /becomesdir/x
		    echo x >/shortlived && rm /shortlived
		    mkdir /empty && rmdir /empty
		    mv /d /moved && mkdir /d
		child:
		  from: {type: built, tag: app}
		  run: |
		    #!/bin/sh -e
		    [ ! -e /d/f ]
		    [ ! -e /opaque/gone ]
		    [ ! -e /shortlived ]
		    echo 3 >/opaque/gone
	END
	run stacker build
	expect_success
	expect_equal "$(tree '%y %p' | grep -v /bin)" "d ./becomesdir
d ./becomesdir/x
d ./d
d ./l
d ./moved
d ./opaque
f ./becomesfile
f ./l/hard
f ./opaque/new
p ./fifo"
	expect_equal "$(image_manifest app | jq -r '.layers[2].digest')" "$(image_manifest child | jq -r '.layers[2].digest')"
	local names
	names=$(tar -tf "$(blob_path "$(image_manifest app | jq -er '.layers[2].digest')")")
	for gone in .wh.link .wh.dangling l/.wh.hard2 opaque/.wh..wh..opq; do
		grep -qxF "$gone" <<<"$names"
	done
	if grep -E 'shortlived|empty|\.wh\.d$|\.wh\.becomes' <<<"$names"; then return 1; fi
	expect_equal "$(image_file child opaque/gone)" 3
}

@test "odd steps: inodes of every kind" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/sh -e
		    /bin/busybox mkfifo -m 600 /fifo
		    echo x >/hard1; ln /hard1 /hard2; mkdir /dir; ln /hard1 /dir/hard3
		    echo s >/suid; chmod 6755 /suid; chown 3:4 /dir; chmod 1777 /dir
		    echo z >/none; chmod 000 /none
		    mkdir /closed; echo in >/closed/file; chmod 000 /closed
		    ln -s '' /bad 2>/dev/null || ln -s 'a b/../c' /link
		    dd if=/dev/zero of=/sparse bs=1 count=1 seek=1048575 2>/dev/null
		    touch "/new
		    line"
		    touch -d '1970-01-01 00:00:00' /ancient; touch -d '2099-01-01 00:00:00' /future
		    if /bin/busybox mknod /dev-null c 1 3 2>/dev/null; then echo made-a-device; exit 3; fi
		    /bin/busybox mknod /whiteout c 0 0 2>/dev/null && exit 4
		    true
		child:
		  from: {type: built, tag: app}
		  run: |
		    #!/bin/sh -e
		    [ "$(stat -c %a:%u:%g /dir /suid /none /closed)" = "1777:3:4
		    6755:0:0
		    0:0:0
		    0:0:0" ]
		    [ "$(stat -c %h:%i /hard1)" = "$(stat -c %h:%i /dir/hard3)" ]
		    [ "$(cat /closed/file)" = in ]
		    [ -p /fifo ]
	END
	run stacker build
	expect_success
	expect_equal "$(image_manifest app | jq '.layers | length')" 2
	local blob
	blob=$(blob_path "$(image_manifest app | jq -er '.layers[1].digest')")
	expect_equal "$(tar --numeric-owner -tvf "$blob" | awk '{print $1, $2}' | sort | uniq -c | awk '{print $1 $2, $3}' | tr '\n' ' ')" \
		"1---------- 0/0 6-rw-r--r-- 0/0 1-rwsr-sr-x 0/0 1d--------- 0/0 1drwxrwxrwt 3/4 2hrw-r--r-- 0/0 1lrwxrwxrwx 0/0 1prw------- 0/0 "
	expect_equal "$(tar -tvf "$blob" --full-time | awk '$6 ~ /ancient|future/ {print $4}' | tr '\n' ' ')" "1970-01-01 1980-01-01 "
}

@test "odd steps: what no layer can hold is an error that names it" {
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, run: mkdir /d && echo x >/d/.wh.file}
	END
	run stacker build
	expect_exit 1
	expect_output "d/.wh.file" "[layer/reserved-name]"
	for script in 'exit 3' 'kill -9 $$' 'no-such-command' '/bin' '#!/no/such/interpreter'; do
		printf 'app:\n  from: {type: oci, url: "bases:base"}\n  run: "%s"\n' "$script" >other.yaml
		[ -d bases ] || { sed -i '/app:/d; s/build_only: true/build_only: false/' stacker.yaml && stacker --oci-dir bases build; }
		run stacker build -f other.yaml
		expect_exit 1
		expect_output "other.yaml:1:1: error: " "app"
		run image_digest app
		[ "$status" -ne 0 ]
	done
}

@test "odd graphs: diamonds, chains, and one file under two names" {
	mkdir sub
	cat >bottom.yaml <<-'END'
		bottom: {build_only: true, from: {type: scratch}, overlay_dirs: [{source: sub}]}
	END
	printf 'config: {prerequisites: [./bottom.yaml]}\nleft: {from: {type: built, tag: bottom}, cmd: l}\n' >left.yaml
	printf 'config: {prerequisites: [sub/../bottom.yaml]}\nright: {from: {type: built, tag: bottom}, cmd: r}\n' >right.yaml
	cat >stacker.yaml <<-'END'
		config: {prerequisites: [left.yaml, right.yaml, left.yaml]}
		top:
		  from: {type: built, tag: left}
		  imports: [{path: stacker://right/f, dest: /again}]
	END
	echo x >sub/f
	run stacker build
	expect_success
	expect_equal "$(image_file top again)" x
	expect_equal "$(jq -c '[.manifests[].annotations["org.opencontainers.image.ref.name"]]' oci/index.json)" \
		'["left","right","top"]'
	printf 'config: {prerequisites: [self.yaml]}\na: {from: {type: scratch}}\n' >self.yaml
	run stacker build -f self.yaml
	expect_exit 1
	expect_output "self.yaml" "[recipe/prerequisite-cycle]"
}

@test "odd graphs: images that need themselves, each other and nothing that is there" {
	refuse recipe/cycle "couldn't resolve some dependencies" "a" <<-'END'
		a: {from: {type: built, tag: a}}
	END
	refuse recipe/cycle "a" "b" "c" <<-'END'
		a: {from: {type: built, tag: b}}
		b: {from: {type: tar, url: "stacker://c/x"}}
		c: {from: {type: scratch}, imports: [stacker://a/x]}
	END
	refuse recipe/unresolved "nope" "couldn't resolve some dependencies" <<-'END'
		a: {from: {type: built, tag: nope}}
	END
	refuse recipe/unresolved "gone" <<-'END'
		a: {from: {type: scratch}, imports: [stacker://gone/x]}
	END
	echo x >x
	refuse import/source "there is no '/y'" <<-'END'
		b: {from: {type: scratch}, imports: [{path: x, dest: /x}]}
		a: {from: {type: scratch}, imports: [{path: stacker://b/y, dest: /y}]}
	END
	refuse import/empty-image <<-'END'
		b: {from: {type: scratch}}
		a: {from: {type: scratch}, imports: [{path: stacker://b/y, dest: /y}]}
	END
}
