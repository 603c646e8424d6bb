# bats file_tags=user
# Why something is built again: in a line by build, in full by explain-miss.

# shellcheck disable=SC2016,SC2012,SC2143 # scripts for other shells; names of our own
load ../lib/helpers

setup() {
	setup_work
	export HOME=$PWD
	mkdir -p src/sub
	echo a >src/a
	echo b >src/sub/b
	echo n >note
	write
}
teardown() { teardown_work; }

# write [SED-EXPRESSION]: the stackerfile, changed.
write() {
	write_stackerfile <<-'END'
		parent:
		  build_only: true
		  from:
		    type: built
		    tag: base
		  imports:
		    - path: src
		      dest: /src
		app:
		  from:
		    type: built
		    tag: parent
		  imports:
		    - note
		  run: |
		    #!/bin/busybox sh
		    echo one > /one
		    echo two > /two
		  environment:
		    A: "1"
		    B: "2"
	END
	sed -i "${1:-}" stacker.yaml
}

# misses TEXT...: build says so in a line, and it is so: after it, everything is cached.
misses() {
	run stacker build
	expect_success
	expect_output "$@"
	run stacker build
	expect_success
	refute_output "cache miss"
	expect_output "found cached layer app"
}

@test "explain-miss: what was never built, and what is cached" {
	run stacker explain-miss app
	expect_success
	expect_equal "$output" "app: to be built: nothing is known of an earlier build"
	[ ! -e oci ]
	stacker build
	run stacker explain-miss
	expect_success
	expect_equal "$output" "app: cached
parent: cached
base: cached"
	run stacker explain-miss nope
	expect_exit 2
	expect_output "[build/no-such-image]"
}

@test "explain-miss: a changed line of the script" {
	stacker build
	write 's/echo two/echo zwei/'
	run stacker explain-miss app
	expect_success
	expect_output "app: to be built again: cache miss because layer definition was changed: run" \
		"stacker.yaml:22:3: run (line 3 of the script): 'echo two > /two' -> 'echo zwei > /two'"
	misses "app: cache miss because layer definition was changed: run"
}

@test "explain-miss: one entry of a map, added, changed, removed" {
	stacker build
	write 's/A: "1"/C: "3"/; s/B: "2"/B: two/'
	run stacker explain-miss app
	expect_success
	expect_output "stacker.yaml:27:5: environment.C: added '3'" \
		"stacker.yaml:28:5: environment.B: '2' -> 'two'" "environment.A: removed '1'"
	misses "cache miss because layer definition was changed: environment."
}

@test "explain-miss: files of an imported directory, through the parent" {
	stacker build
	echo changed >src/a
	rm src/sub/b
	echo new >src/c
	mkdir src/d
	run stacker explain-miss app
	expect_success
	expect_output "app: to be built again: cache miss because base layer was changed" \
		"from (parent): that image changed" \
		"parent: to be built again: cache miss because import dir content changed: src" \
		"stacker.yaml:14:13: imports[0] (src): changed" \
		"    content  a" "    added    c" "    added    d" "    removed  sub/b"
	stacker explain-miss --json app >json
	expect_equal "$(jq -c '[.[1].changes[0].files[] | .path + ":" + .change]' json)" \
		'["a:content","c:added","d:added","sub/b:removed"]'
	expect_equal "$(jq -r '.[1].changes[0] | "\(.file):\(.line)"' json)" stacker.yaml:14
	expect_equal "$(jq -r '.[0].changes[0].image' json)" parent
	misses "parent: cache miss because import dir content changed: src" \
		"app: cache miss because base layer was changed"
}

@test "explain-miss: a single file, its mode, another import, the order" {
	stacker build
	echo other >note
	run stacker explain-miss app
	expect_output "cache miss because import content changed: note" "    content  note"
	misses "cache miss because import content changed: note"
	chmod 0755 note
	run stacker explain-miss app
	expect_output "    mode     note"
	misses "import content changed: note"
	echo x >extra
	write 's/^    - note$/    - note\n    - extra/'
	run stacker explain-miss app
	expect_output "cache miss because of new import: extra" "stacker.yaml:22:7: imports[1] (extra): added"
	misses "cache miss because of new import: extra"
	write 's/^    - note$/    - extra\n    - note/'
	run stacker explain-miss app
	expect_output "imports (their order)"
	write 's/^    - note$/    - extra/'
	run stacker explain-miss app
	expect_output "imports: removed" '"name":"note"'
}

@test "explain-miss: the date of the recipe, and another kind of base" {
	stacker build
	write '1i config:\n  source_date_epoch: 1000000000'
	misses "cache miss because SOURCE_DATE_EPOCH changed"
	write '/^app:/,$s/type: built/type: scratch/; /^app:/,$s/    tag: parent//; /^app:/,$s/^  run.*//; /^    #!/d; /^    echo/d'
	run stacker explain-miss app
	expect_success
	expect_output "layer definition was changed" "from: 'built' -> 'scratch'" "run: removed"
}

@test "explain-miss: a result that is gone, and a state that was damaged" {
	stacker build
	rm .stacker/store/blobs/sha256/"$(image_manifest app | jq -r '.layers[-1].digest[7:]')"
	run stacker explain-miss app
	expect_success
	expect_output "cache miss because what was built is no longer in the store"
	misses "app: cache miss because what was built is no longer in the store"
	for f in .stacker/last/*.json; do echo '{' >"$f"; done
	run stacker explain-miss app
	expect_success
	expect_output "unusable" "app: cached"
	for f in .stacker/cache/*.json; do
		jq -c 'if .canonical then .canonical.name = "x" else . end' "$f" >changed
		cat changed >"$f"
	done
	write 's/two/zwei/'
	misses "preparing image app"
}

@test "explain-miss: what failed keeps its record" {
	stacker build
	write 's/echo two/false/'
	run stacker build
	expect_exit 1
	write 's/echo two/echo deux/'
	run stacker explain-miss app
	expect_output "'echo two > /two' -> 'echo deux > /two'"
}
