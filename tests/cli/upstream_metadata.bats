# bats file_tags=user
# What upstream's suite shows of manifests and configurations: annotations, commands, platforms.

# shellcheck disable=SC2016 # what is in single quotes is meant as it is
load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

one_image() {
	printf 'app:\n  from: {type: scratch}\n%s\n' "$1" >stacker.yaml
}

@test "annotations: ours are in io.stackeroci or the namespace that was given, none in the builder's name" {
	one_image '  annotations: {a.b.c: "x y"}'
	run stacker build
	expect_success
	expect_equal "$(image_manifest app | jq -c '.annotations | keys')" \
		'["a.b.c","io.stackeroci.stacker.format","io.stackeroci.stacker.recipe"]'
	expect_equal "$(image_manifest app | jq -r '.annotations["a.b.c"]')" "x y"
	local default
	default=$(image_digest app)
	run stacker build --annotations-namespace io.stackeroci
	expect_output "found cached layer app"
	expect_equal "$(image_digest app)" "$default"

	run stacker build --annotations-namespace org.example
	expect_success
	refute_output "found cached"
	expect_equal "$(image_manifest app | jq -c '.annotations | keys')" \
		'["a.b.c","org.example.stacker.format","org.example.stacker.recipe"]'
	run stacker verify --annotations-namespace org.example app
	expect_success
	run stacker verify app
	expect_exit 3
	expect_output "manifest.annotations"

	run stacker build --annotations-namespace 'a b'
	expect_exit 2
	expect_output "[build/bad-namespace]"
	one_image '  annotations: {org.example.stacker.recipe: x}'
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:1:1: error: " "[recipe/reserved-annotation]"
}

@test "annotations: what the base's builder said of its work is not said of another image" {
	one_image '  annotations: {kept: "yes", own: base}'
	stacker --oci-dir base build --annotations-namespace org.base
	printf 'app:\n  from: {type: oci, url: base:app}\n  annotations: {own: mine}\n' >stacker.yaml
	stacker build
	expect_equal "$(image_manifest app | jq -c '.annotations | del(.["io.stackeroci.stacker.recipe"])')" \
		'{"io.stackeroci.stacker.format":"1","kept":"yes","own":"mine"}'
}

@test "upstream entrypoint: cmd, entrypoint and full_command over images" {
	cat >stacker.yaml <<-'END'
		base: {from: {type: scratch}, cmd: foo}
		layer1: {from: {type: built, tag: base}, entrypoint: bar}
		layer2: {from: {type: built, tag: layer1}, full_command: baz "a b"}
		layer3: {from: {type: built, tag: layer2}, cmd: [x, y], entrypoint: [z]}
		layer4: {from: {type: built, tag: layer3}, full_command: ""}
	END
	stacker build
	for image in base layer1 layer2 layer3 layer4; do
		image_config $image | jq -c '.config | [.Cmd, .Entrypoint]'
	done >got
	expect_equal "$(cat got)" '[["foo"],null]
[["foo"],["bar"]]
[null,["baz","a b"]]
[["x","y"],["z"]]
[null,null]'
}

@test "upstream multi-arch: os and arch are in the configuration, and may not be empty" {
	one_image $'  os: darwin\n  arch: arm64'
	stacker build
	expect_equal "$(image_config app | jq -r '.os + "/" + .architecture')" darwin/arm64
	expect_equal "$(jq -r '.manifests[0].platform | .os + "/" + .architecture' oci/index.json)" darwin/arm64
	for line in '  os:' '  arch: ""' '  os: ~'; do
		one_image "$line"
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:3:" "value cannot be empty"
	done
}

@test "upstream reproducible: the date of the recipe is in config, history and files, and steps see it" {
	write_stackerfile <<-'END'
		config: {source_date_epoch: 1700000000}
		app:
		  from: {type: built, tag: base}
		  run: "[ $SOURCE_DATE_EPOCH = 1700000000 ] && touch /new && touch -d '2001-01-01 00:00:00' /old"
		  environment: {B: "1", A: "2", C: "3"}
		  labels: {z: "1", y: "2"}
		child: {from: {type: built, tag: app}, run: touch /child}
	END
	sed -i '/^config/{h;d}; $G' stacker.yaml
	# The environment's date is no input; that it differs is said.
	SOURCE_DATE_EPOCH=not-a-number run stacker build
	expect_success
	expect_output "SOURCE_DATE_EPOCH=not-a-number of the environment is not used"
	expect_equal "$(image_config app | jq -r '.created, .author, .history[-1].created, .history[-1].created_by, .history[-1].author')" \
		"2023-11-14T22:13:20Z
stacker
2023-11-14T22:13:20Z
stacker build
stacker"
	expect_equal "$(TZ=UTC tar -tvf "$(blob_path "$(image_manifest app | jq -r '.layers[1].digest')")" --full-time |
		awk '{print $4, $6}' | sort | tr '\n' ' ')" "2001-01-01 old 2023-11-14 new "
	local first
	first="$(image_digest app) $(image_digest child)"
	stacker clean
	stacker build
	expect_equal "$(image_digest app) $(image_digest child)" "$first"

	sed -i 's/1700000000/1600000000/' stacker.yaml
	run stacker build
	expect_success
	refute_output "found cached"
	expect_equal "$(image_config child | jq -r .created)" 2020-09-13T12:26:40Z
	for epoch in x -1 1.5 '"1"' 253402300800; do
		printf 'config: {source_date_epoch: %s}\napp: {from: {type: scratch}}\n' "$epoch" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:1:" "source_date_epoch"
	done
}

@test "upstream labels: from generate_labels, inherited and set" {
	cat >stacker.yaml <<-'END'
		app: {from: {type: scratch}, labels: {a: "1", b: "1"}}
		child: {from: {type: built, tag: app}, labels: {b: "2", c: "3"}}
	END
	stacker build
	expect_equal "$(image_config child | jq -c .config.Labels)" '{"a":"1","b":"2","c":"3"}'
}
