# bats file_tags=user
# stacker eval: recipes and their digests, from the stackerfile, its pins and local files alone.

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

@test "eval: the digest is the sha256 of the recipe that is printed, and what build names" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: echo hello > /out
	END
	stacker eval app >out
	expect_equal "$(wc -l <out)" 2
	read -r name digest <out
	expect_equal "$name" app
	expect_equal "sha256:$(sed -n 2p out | tr -d '\n' | sha256sum | cut -d' ' -f1)" "$digest"
	sed -n 2p out | jq -e '.name == "app" and .run == "#!/bin/sh -xe\necho hello > /out\n"'
	expect_equal "$(stacker build --json | jq -r '.[] | select(.name == "app").recipe')" "$digest"
}

@test "eval: every image in build order, or those that are named" {
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}}
		other: {from: {type: scratch}}
	END
	expect_equal "$(stacker eval | sed -n 'p;n' | cut -d' ' -f1 | tr '\n' ' ')" "base app other "
	expect_equal "$(stacker eval --json other app | jq -r '[.[].name] | join(" ")')" "app other"
	run stacker eval oter
	expect_exit 2
	expect_output "'oter'" "it has: base, app, other" "[build/no-such-image]"
}

@test "eval: --json has file, line, needs and the recipe as it is hashed" {
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}}
	END
	stacker eval --json >out
	expect_equal "$(jq -r '.[1].recipe.from.digest' out)" "$(jq -r '.[0].digest' out)"
	expect_equal "$(jq -r '.[1].needs[]' out)" base
	expect_equal "$(jq -r '.[1] | "\(.file):\(.line) \(.build_only)"' out)" "stacker.yaml:8 false"
}

@test "eval: needs no store, makes none, and downloads nothing" {
	write_stackerfile <<-END
		app:
		  from: {type: built, tag: base}
		  imports:
		    - {path: "http://127.0.0.1:9/f", hash: $(printf '%064d' 0)}
		    - {path: pinned, hash: "sha512:$(echo text | sha512sum | cut -d' ' -f1)"}
	END
	echo text >pinned
	ls -A >before
	run stacker eval
	expect_success
	ls -A | grep -v '^before$' | diff - <(grep -v '^before$' before)
	echo changed >pinned
	run stacker eval
	expect_exit 1
	expect_output "stacker.yaml:12:14: error: " "[import/wrong-hash]"
}

@test "eval: what a local file holds moves the digest, also in a build that follows" {
	write_stackerfile <<<''
	echo one >base/file
	before=$(stacker eval base | head -1)
	echo two >base/file
	after=$(stacker eval base | head -1)
	[ "$before" != "$after" ]
	stacker build >/dev/null
	expect_equal "$(stacker eval base | head -1)" "$after"
}

@test "eval: substitutions count" {
	printf 'a:\n  from: {type: scratch}\n  labels: {v: "${{V:0}}"}\n' >stacker.yaml
	expect_equal "$(stacker eval --substitute V=1 --json | jq -r '.[0].recipe.labels.v')" 1
	expect_equal "$(stacker eval --json | jq -r '.[0].recipe.labels.v')" 0
}

@test "eval: errors are those of build, with their places" {
	printf 'a:\n  from: {type: scratch}\n  rnu: x\n' >stacker.yaml
	run stacker --log-format json eval
	expect_exit 1
	expect_equal "$(jq -r '"\(.file):\(.line):\(.column) \(.id)"' <<<"$output")" \
		"stacker.yaml:3:3 recipe/unknown-directive"
	expect_equal "$(jq -r .hint <<<"$output")" "did you mean 'run'?"
}
