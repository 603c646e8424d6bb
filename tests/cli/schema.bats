# The JSON Schema of stackerfiles, against python3-jsonschema.

load ../lib/helpers

setup() {
	setup_work
	stacker schema >schema.json
	ROOT=$(realpath "$REPO_LIB/../..")
}
teardown() { teardown_work; }

fits() { "$REPO_LIB/schema_check.py" schema.json "$@"; }

@test "schema: the examples and those of the documentation fit" {
	run fits "$ROOT"/examples/*/stacker.yaml* "$ROOT/docs/stackerfile.md"
	expect_success
	expect_output "fits $ROOT/examples/hello/stacker.yaml.in" "fits $ROOT/docs/stackerfile.md#9"
}

@test "schema: it knows every directive that the parser knows, and no other" {
	jq -r '."$defs" | to_entries[] | select(.value.properties) | .key as $scope |
		.value.properties | keys[] | "\($scope) \(.)"' schema.json >known
	[ "$(grep -c . known)" -ge 50 ]
	while read -r scope key; do
		case $scope in
		config) printf 'config: {%s: ~}\na: {from: {type: scratch}}\n' "$key" ;;
		limits) printf 'config: {limits: {%s: ~}}\na: {from: {type: scratch}}\n' "$key" ;;
		image) printf 'a: {from: {type: scratch}, %s: ~}\n' "$key" ;;
		from) printf 'a: {from: {type: scratch, %s: ~}}\n' "$key" ;;
		overlay) printf 'a: {from: {type: scratch}, overlay_dirs: [{%s: ~}]}\n' "$key" ;;
		import) printf 'a: {from: {type: scratch}, imports: [{%s: ~}]}\n' "$key" ;;
		*) false ;;
		esac >"x.yaml"
		run stacker eval -f x.yaml
		refute_output unknown-directive
	done <known
}

@test "schema: what the parser refuses by its shape, the schema refuses" {
	local n=0
	while IFS= read -r text; do
		printf '%b\n' "$text" >"bad$n.yaml"
		run stacker eval -f "bad$n.yaml"
		expect_exit 1
		run fits "bad$n.yaml"
		expect_exit 1
		n=$((n + 1))
	done <<-'END'
		a: {from: {type: scratch}, enviroment: {A: b}}
		a: {from: {type: scratch}, environment: [A]}
		a: {from: {type: scratch}, environment: {A: [b]}}
		a: {from: {type: scratch}, run: {a: b}}
		a: {from: {type: scratch}, volumes: /x}
		a: {from: {type: scratch}, build_only: 1}
		a: {from: {type: scratch}, binds: [/etc]}
		a: {from: {type: scratch}, imports: [[a]]}
		a: {from: {type: scratch}, imports: {path: a}}
		a: {from: {type: scratch}, imports: [{path: a, perms: 0644}]}
		a: {from: {type: scratch}, imports: [{path: a, dest: /a, mode: -1}]}
		a: {from: {type: scratch}, overlay_dirs: [a]}
		a: {from: {type: scratch, image: x}}
		a: {from: scratch}
		a: {run: x}
		a: x
		config: {prerequisites: x}\na: {from: {type: scratch}}
		config: {limits: {ram: 1GiB}}\na: {from: {type: scratch}}
		config: {source_date_epoch: -1}\na: {from: {type: scratch}}
		[a]
	END
	expect_equal "$n" 20
}

@test "schema: scalars of any kind, nulls and placeholders fit, as they parse" {
	cat >ok.yaml <<-'END'
		config:
		  source_date_epoch: "${{DATE:0}}"
		  limits: ~
		a:
		  from: {type: scratch}
		  build_only: ${{ONLY:true}}
		  environment: {VERSION: 3.10, ON: yes, DATE: 010, EMPTY: }
		  labels: ~
		  imports:
		    - ok.yaml
		    - {path: ok.yaml, dest: /x, mode: 0o4755, uid: 0}
		    - {path: ok.yaml, dest: /y, mode: 0644}
		  run: [echo a, "echo ${{B:b}}"]
		  binds: []
	END
	run stacker eval -f ok.yaml
	expect_exit 1 # a number in quotes
	expect_output "not-an-integer"
	sed -i 's/"${{DATE:0}}"/${{DATE:0}}/' ok.yaml
	sed -i '/{path: ok.yaml, dest: \/y/d' ok.yaml
	stacker eval -f ok.yaml >/dev/null
	run fits ok.yaml
	expect_success
}
