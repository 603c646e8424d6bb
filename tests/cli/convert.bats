# bats file_tags=user
# convert: twenty Dockerfiles, each converted and linted; those that need no network are built.

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

# What the Dockerfiles copy: root/ is a root file system of busybox, data/ and others are files.
make_context() {
	local applet dir
	mkdir -p root/bin data/sub cmd/server src crates .mvn static tests var
	cp /bin/busybox root/bin/busybox
	for applet in sh cat chmod chown cp dirname echo false find id ln mkdir mv pwd rm sed sort \
		su test touch true; do
		ln -sf busybox root/bin/$applet
	done
	printf '1\n' >data/one.txt
	printf '2\n' >data/two.txt
	printf 'space\n' >"data/with space.txt"
	printf 'deep\n' >data/sub/deep.txt
	tar --sort=name -cf bundle.tar -C data one.txt
	for dir in cmd/server src crates static tests; do
		echo "$dir" >$dir/file
	done
	for dir in go.mod go.sum Cargo.toml Cargo.lock package.json package-lock.json requirements.txt \
		mvnw pom.xml composer.json composer.lock index.html docker-entrypoint.sh \
		docker-ensure-initdb.sh Gemfile Gemfile.lock; do
		echo "$dir" >$dir
	done
	echo wrapper >.mvn/file
}

# The Dockerfile of that number, as ./Dockerfile.
take() {
	local file
	file=$(echo "$BATS_TEST_DIRNAME/dockerfiles/$1"-*.Dockerfile)
	cp "$file" Dockerfile
	rm -f stacker.yaml stacker-subs.yaml .dockerignore
	make_context
}

convert() {
	take "$1"
	run stacker convert
	expect_success
}

convert_and_build() {
	convert "$1"
	run stacker lint
	expect_success
	run stacker build
	expect_success
}

# `FILE MODE UID:GID` of all files below some paths of an image, which is left in unpacked/.
files_of() {
	local tag=$1
	shift
	rm -rf unpacked
	unpack_image "$tag" unpacked
	(cd unpacked && find "$@" -type f -printf '%p %m\n' | LC_ALL=C sort)
}

# Owners as the layers have them, also where an ordinary user unpacks.
owner_in_layers() {
	local tag=$1 path=$2 layer found=
	while IFS= read -r layer; do
		found=$(zcat -f "$(blob_path "$layer")" | tar -tv --numeric-owner -f - |
			awk -v p="$path" '$6 == p { print $2 }')
		[ -z "$found" ] || last=$found
	done < <(image_manifest "$tag" | jq -r '.layers[].digest')
	echo "$last"
}

@test "convert: lint accepts or explains twenty Dockerfiles" {
	local file number
	for file in "$BATS_TEST_DIRNAME"/dockerfiles/*.Dockerfile; do
		number=$(basename "$file")
		number=${number%%-*}
		convert "$number"
		comments=$(grep -c '^# line ' stacker.yaml || true)
		stacker -q lint --json >findings || [ $? -eq 1 ]
		# Explained: with a hint, and nothing but pins to be found and habits.
		expect_equal "$(jq '[.[] | select(.hint == "")] | length' findings)" 0
		jq -r 'group_by(.id) | map("\(.[0].id)=\(length)") | join(" ")' findings |
			sed "s/^/$number comments=$comments /; s/ *\$//" >>got
	done
	diff "$BATS_TEST_DIRNAME/dockerfiles/expected" got
}

@test "convert: every converted file is one that lint can read whole" {
	local file number
	for file in "$BATS_TEST_DIRNAME"/dockerfiles/*.Dockerfile; do
		number=$(basename "$file")
		convert "${number%%-*}"
		stacker -q lint --json >findings || [ $? -eq 1 ]
		expect_equal "$(jq -c '[.[] | select(.severity == "error") | .id] | unique - ["recipe/unpinned"]' findings)" '[]'
		expect_equal "$(stacker -q lint --json --substitute-file stacker-subs.yaml || true)" "$(cat findings)"
	done
}

@test "convert: here-documents of each kind give what Docker gives" {
	convert_and_build 09
	expect_equal "$(image_file image out/one)" "one /root"
	expect_equal "$(image_file image out/two)" two
	expect_equal "$(image_file image out/three)" three
	expect_equal "$(image_file image out/both)" $'a\nb'
	expect_equal "$(image_file image out/files/EOF)" "hello world"
	# shellcheck disable=SC2016 # text
	expect_equal "$(image_file image out/files/RAW)" 'hello ${NAME}'
	# shellcheck disable=SC2016 # text
	expect_equal "$(image_file image out/script)" $'#!/bin/sh\necho it$x'
	expect_equal "$(files_of image out/script)" "out/script 750"
	expect_equal "$(owner_in_layers image out/script)" 7/8
	[ ! -e unpacked/tmp/dockerfile-run ]
	expect_equal "$(image_config image | jq -c .config.Cmd)" '["/bin/sh","-c","cat /out/one"]'
	stacker build --substitute ARG_NAME=you
	expect_equal "$(image_file image out/files/EOF)" "hello you"
}

@test "convert: ARG and ENV have Docker's scopes, operators and quotes" {
	convert_and_build 10
	expect_equal "$(image_file image env.1)" \
		'the   old form     goes on|z|$A|a b|set|fallback||x y|archive|tar.gz|_rchive.t_r.gz|shared|a b'
	expect_equal "$(image_file image env.2)" "late|shared"
	expect_equal "$(image_file image env.3)" env-wins
	expect_equal "$(image_file image env.4)" "z|env-wins|gone|gone"
	expect_equal "$(image_config image | jq -c '.config.Labels')" '{"multi":"one two","version":"z"}'
	expect_equal "$(image_config image | jq -c '.config.Env | map(select(startswith("AA=") or startswith("B=")))')" \
		'["AA=x y","B=$A"]'
}

@test "convert: COPY and ADD put files where Docker does, with owners and modes" {
	take 11
	# Owners by name need the image's files of users.
	mkdir -p root/etc
	echo 'daemon:x:1:1::/:/bin/sh' >root/etc/passwd
	echo 'daemon:x:1:' >root/etc/group
	run stacker convert
	expect_success
	run stacker build
	expect_success
	expect_equal "$(files_of image contents contents-too from globbed many mode owned parents plain unpacked work)" \
		"contents-too/one.txt 644
contents-too/sub/deep.txt 644
contents-too/two.txt 644
contents-too/with space.txt 644
contents/one.txt 644
contents/sub/deep.txt 644
contents/two.txt 644
contents/with space.txt 644
from/app.bin 750
from/dir/file 644
from/numbered/file 644
globbed/one.txt 644
globbed/two.txt 644
globbed/with space.txt 644
many/one.txt 644
many/two.txt 644
mode 600
owned/deep.txt 644
parents/data/sub/deep.txt 644
plain 644
unpacked/one.txt 644
work/renamed here.txt 644
work/two.txt 644"
	expect_equal "$(owner_in_layers image plain)" 5/6
	expect_equal "$(owner_in_layers image from/app.bin)" 9/9
	expect_equal "$(owner_in_layers image from/dir/file)" 0/0
	expect_equal "$(owner_in_layers image owned/deep.txt)" 1/1
}

@test "convert: ONBUILD is done where a stage begins, and the image runs" {
	convert_and_build 12
	expect_equal "$(image_file image app/greeting)" $'hi\n1'
	run stacker -q exec image cat /app/greeting
	expect_success
	expect_output hi
}

@test "convert: SHELL and the exec form run what Docker runs" {
	convert_and_build 13
	expect_equal "$(image_file image shell.1)" "single 'quoted' and 2"
	expect_equal "$(image_file image shell.2)" "1; it's"
	expect_equal "$(image_file image shell.3)" "zero two words"
	expect_equal "$(image_config image | jq -c '[.config.Entrypoint, .config.Cmd]')" \
		'[["/bin/sh","-eu","-c","exec cat"],["/bin/busybox","sh","-c","cat /shell.1 /shell.2"]]'
}

@test "convert: USER and WORKDIR hold for what follows" {
	convert_and_build 14
	expect_equal "$(image_file image srv/deeper/here)" /srv/deeper
	expect_equal "$(image_file image home/app/who)" $'1234\n/home/app\n/home/app'
	expect_equal "$(image_file image home/app/form)" exec
	expect_equal "$(image_file image root.who)" 0
	expect_equal "$(owner_in_layers image home/app/who)" 1234/2345
	expect_equal "$(image_config image | jq -c '[.config.User, .config.WorkingDir]')" '["1234:2345","/home/app"]'
}

@test "convert: another escape character" {
	convert_and_build 15
	# shellcheck disable=SC2028 # text
	expect_equal "$(image_file image joined)" "$(printf '%s\n' 'one two' 'c:\dir')"
	expect_equal "$(image_config image | jq -r '.config.Env[]' | grep -v ^PATH= | sort)" "$(printf '%s\n' 'QUOTED=a "b" c' 'WINDOWS=c:\dir')"
}

@test "convert: mounts leave nothing behind" {
	convert_and_build 18
	expect_equal "$(files_of image w cache scratch-space | cut -d' ' -f1 | tr '\n' ' ')" \
		"w/alone w/copied w/kit w/result "
	expect_equal "$(image_file image w/copied)" 1
	expect_equal "$(image_file image w/kit)" kit
	[ ! -e unpacked/kit ]
}

@test "convert: metadata is in the image's configuration" {
	convert_and_build 19
	expect_equal "$(image_config image | jq -cS '.config | del(.Env)')" \
		'{"Entrypoint":["/app","--flag","with \"quotes\" and \\ and ${{ braces }}"],"Labels":{"com.example.empty":"","com.example.vendor":"ACME Incorporated","old":"form of a label","org.opencontainers.image.revision":""},"User":"1000:1000","Volumes":{"/data":{},"/logs":{},"/more":{},"/var/cache/app":{}},"WorkingDir":"/data"}'
	expect_equal "$(image_manifest image | jq -r '.annotations["org.opencontainers.image.authors"]')" \
		"Example Maintainers <team@example.org>"
	stacker build --substitute ARG_REVISION=abc
	expect_equal "$(image_config image | jq -r '.config.Labels["org.opencontainers.image.revision"]')" abc
}

@test "convert: .dockerignore counts, and an ARG chooses the stage" {
	take 20
	printf 'root\n*\n!data\ndata/sub\n!root\n' >.dockerignore
	run stacker convert
	expect_success
	run stacker build
	expect_success
	expect_equal "$(image_file final mode)" debug
	expect_equal "$(image_file final files)" "/ctx/data/one.txt
/ctx/data/two.txt
/ctx/data/with space.txt
/ctx/root/bin/busybox"
	# What stacker itself wrote is no part of the context, so a second build finds all in the cache.
	first=$(image_digest final)
	run stacker build
	expect_success
	expect_equal "$(image_digest final)" "$first"
	grep -q '^# line 9: FROM: the stage is the one that the default of an ARG names' stacker.yaml
	run stacker convert --force --build-arg VARIANT=release
	expect_success
	run stacker build
	expect_success
	expect_equal "$(image_file final mode)" release
}

# An image in the layout ./bases whose programs are scripts on busybox.
make_base() {
	local tag=$1
	make_context
	mkdir -p tools/usr/local/bin
	cat >tools/usr/local/bin/"$2"
	chmod 0755 tools/usr/local/bin/"$2"
	printf '%s:\n  from: {type: scratch}\n  imports:\n    - {path: root/, dest: /}\n    - {path: tools/, dest: /}\n' \
		"$tag" >base.yaml
	stacker --oci-dir bases --stacker-dir base-state --roots-dir base-roots build -f base.yaml
	rm -rf tools base.yaml
}

@test "convert: a Go service of two stages builds upon a local base and starts from nothing" {
	make_base golang go <<-'END'
		#!/bin/sh
		set -e
		case $1 in
		mod) echo "$2 $(cat go.mod)" >/modules ;;
		build)
			while [ "$1" != -o ]; do
				shift
			done
			mkdir -p /out /etc/ssl/certs
			echo "$GOOS/$GOARCH cgo=$CGO_ENABLED $VERSION $(cat cmd/server/file)" >"$2"
			echo roots >/etc/ssl/certs/ca-certificates.crt
			;;
		esac
	END
	convert 01
	sed -i 's|url: "docker://docker.io/library/golang:.*"|url: "oci:bases:golang"|' stacker.yaml
	run stacker lint
	expect_success
	run stacker build --substitute ARG_VERSION=1.5 --substitute ARG_TARGETARCH=riscv64
	expect_success
	expect_equal "$(image_file image server)" "linux/riscv64 cgo=0 1.5 cmd/server"
	expect_equal "$(files_of image .)" "./etc/ssl/certs/ca-certificates.crt 644
./server 644"
	expect_equal "$(owner_in_layers image server)" 65532/65532
	expect_equal "$(image_config image | jq -cS '.config | del(.Env)')" \
		'{"Cmd":["--listen",":8080"],"Entrypoint":["/server"],"User":"65532:65532"}'
}

@test "convert: static files on a local base, with a configuration written in place" {
	make_base nginx nginx <<<'#!/bin/sh'
	convert 07
	sed -i 's|url: "docker://docker.io/library/nginx:.*"|url: "oci:bases:nginx"|' stacker.yaml
	run stacker build
	expect_success
	expect_equal "$(image_file image etc/nginx/conf.d/default.conf)" \
		"$(sed -n '/^server/,/^}/p' Dockerfile | sed 's/\\\$/$/')"
	expect_equal "$(files_of image usr/share)" "usr/share/nginx/html/index.html 644
usr/share/nginx/html/static/file 644"
}

@test "convert: files are written whole, or not at all, and never over others" {
	take 12
	echo mine >stacker-subs.yaml
	run stacker convert
	expect_exit 2
	expect_output "'stacker-subs.yaml' exists" "--force" "[convert/exists]"
	expect_equal "$(cat stacker-subs.yaml)" mine
	[ ! -e stacker.yaml ]
	run stacker convert --force
	expect_success
	expect_output "wrote 'stacker.yaml' and 'stacker-subs.yaml'"
	cp stacker.yaml before
	printf 'FROM scratch\nFORM x\n' >Dockerfile
	run stacker convert --force
	expect_exit 1
	expect_output "Dockerfile:2:1: error: unknown instruction 'FORM'" "did you mean 'FROM'?"
	cmp stacker.yaml before
}

@test "convert: the context may lie elsewhere, and files may have other names" {
	mkdir -p project/docker out
	(cd project && make_context)
	printf 'FROM scratch\nCOPY data/one.txt /\nCOPY . /all\n' >project/docker/web.dockerfile
	printf '*\n!go.*\n' >project/docker/web.dockerfile.dockerignore
	run stacker convert -i project/docker/web.dockerfile --context project -o out/web.yaml -s out/web-subs.yaml --name web
	expect_success
	expect_equal "$(sed -n '/^web:/,$p' out/web.yaml)" "web:
  from:
    type: scratch
  imports:
    - path: \"../project/go.mod\"
      dest: /all/go.mod
    - path: \"../project/go.sum\"
      dest: /all/go.sum"
	run stacker build -f out/web.yaml
	expect_success
	expect_equal "$(image_file web all/go.mod)" go.mod
	run stacker convert -i absent
	expect_exit 1
	expect_output absent
	run stacker convert surplus
	expect_exit 2
}
