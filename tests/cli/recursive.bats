# bats file_tags=user
# recursive-build and --order-only (the suite's prerequisites.bats).

load ../lib/helpers

setup() {
	setup_work
	cd "$(realpath .)" || return 1
	local n
	for n in 1 2 3; do
		mkdir -p "p/sub$n"
		{
			[ "$n" = 1 ] || printf 'config:\n  prerequisites: [../sub%d/stacker.yaml]\n' $((n - 1))
			printf 'layer%d:\n  from: {type: scratch}\n  labels: {n: "%d"}\n' "$n" "$n"
		} >"p/sub$n/stacker.yaml"
	done
}
teardown() { teardown_work; }

order() {
	printf '%s build %s: requires: [%s]\n' "$@"
}

tags() {
	jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"]] | join(" ")' oci/index.json
}

@test "recursive: order prerequisites" {
	expect_equal "$(stacker build -f p/sub3/stacker.yaml --order-only)" \
		"$(order 0 "$PWD/p/sub1/stacker.yaml" '' 1 "$PWD/p/sub2/stacker.yaml" "$PWD/p/sub1/stacker.yaml" \
			2 "$PWD/p/sub3/stacker.yaml" "$PWD/p/sub2/stacker.yaml")"
	[ ! -e .stacker ]
	[ ! -e oci ]
	[ ! -e roots ]
}

@test "recursive: search for multiple stackerfiles using default settings" {
	printf 'other:\n  from: {type: scratch}\n' >p/stacker.yaml
	expect_equal "$(stacker recursive-build --order-only)" \
		"$(order 0 "$PWD/p/stacker.yaml" '' 1 "$PWD/p/sub1/stacker.yaml" '' \
			2 "$PWD/p/sub2/stacker.yaml" "$PWD/p/sub1/stacker.yaml" \
			3 "$PWD/p/sub3/stacker.yaml" "$PWD/p/sub2/stacker.yaml")"
}

@test "recursive: search for multiple stackerfiles using a custom search directory" {
	mkdir elsewhere
	printf 'other:\n  from: {type: scratch}\n' >elsewhere/stacker.yaml
	run stacker recursive-build -d p --order-only
	expect_success
	expect_equal "${#lines[@]}" 3
	refute_output elsewhere
}

@test "recursive: a custom search directory and a custom file path pattern, prerequisites pulled in" {
	run stacker recursive-build --search-dir p --stacker-file-pattern 'sub2/stacker\.yaml$' --order-only
	expect_success
	expect_equal "${#lines[@]}" 2
	expect_output "0 build $PWD/p/sub1/stacker.yaml: requires: []" "1 build $PWD/p/sub2/stacker.yaml"
}

@test "recursive: build layers and prerequisites using the recursive-build command" {
	run stacker recursive-build -d p
	expect_success
	expect_equal "$(tags)" "layer1 layer2 layer3"
	run stacker recursive-build -d p -A layer2
	expect_success
	expect_output "found cached layer layer2"
	refute_output "layer3"
}

@test "recursive: build layers and prerequisites using the build command" {
	run stacker build -f p/sub2/stacker.yaml
	expect_success
	expect_equal "$(tags)" "layer1 layer2"
}

@test "recursive: recurisve-build default matching only builds reasonable things" {
	mkdir q
	printf 'mine:\n  from: {type: scratch}\n' >q/stacker.yaml
	for name in test_stacker.yaml .stacker.yaml.swp stacker.yaml.orig stacker.yml; do
		echo 'not: a stackerfile' >"q/$name"
	done
	mkdir q/stacker.yaml.d q/dir && mkdir q/dir/stacker.yaml
	ln -s ../p q/link
	ln -s ../p/sub1/stacker.yaml q/dir/link
	run stacker recursive-build -d q
	expect_success
	expect_equal "$(tags)" mine
}

@test "recursive: stacker's own directories are not searched" {
	mkdir q
	printf 'mine:\n  from: {type: scratch}\n  imports:\n    - {path: stacker.yaml, dest: /stacker.yaml}\n' >q/stacker.yaml
	cd q
	stacker recursive-build
	run stacker recursive-build
	expect_success
	expect_output "found cached layer mine"
}

@test "recursive: what cannot be is said" {
	run stacker recursive-build -d nowhere
	expect_exit 1
	expect_output "'nowhere'"
	run stacker recursive-build -d p -p '('
	expect_exit 2
	expect_output "'('" "[build/bad-pattern]"
	run stacker recursive-build -d p -p nothing
	expect_exit 2
	expect_output "[build/no-stackerfiles]" "'p'"
	[ ! -e oci ]
}

@test "recursive: names are unique over all files that are found" {
	sed -i 's/layer3/layer1/' p/sub3/stacker.yaml
	run stacker recursive-build -d p
	expect_exit 1
	expect_output "duplicate layer name" "p/sub3/stacker.yaml:3:1: error: "
}
