# bats file_tags=user
# Other places for the same bytes: mirrors of conf.yaml, and everything fetched beforehand.

load ../lib/helpers

setup() {
	setup_work
	mkdir www
	echo one >www/one
	echo two >www/two
	start_fault_server www
	HASH=$(sha256sum <www/one | cut -d' ' -f1)
	cat >stacker.yaml <<-END
		a:
		  from: {type: scratch}
		  imports:
		    - path: http://127.0.0.1:9/gone/one
		      hash: $HASH
		      dest: /one
	END
}
teardown() {
	stop_fault_server
	teardown_work
}

write_conf() {
	cat >conf.yaml
}

@test "mirror: tried in order, before the URL itself" {
	write_conf <<-END
		mirrors:
		  http://127.0.0.1:9/gone/: [$URL/wrong/, $URL/ok/]
		  http://127.0.0.1:9/: [$URL/status/404/]
	END
	run stacker --config conf.yaml build
	expect_success
	expect_output "wrong bytes" "trying '$URL/ok/one'"
	expect_equal "$(image_file a one)" one
	expect_equal "$(jq -r .path requests | tr '\n' ' ')" "/wrong/one /ok/one "
}

@test "mirror: none of them changes a recipe, and without them the URL alone is tried" {
	run stacker build
	expect_exit 1
	expect_output "[fetch/network]" "127.0.0.1:9/gone/one"
	write_conf <<-END
		mirrors:
		  http://127.0.0.1:9/gon: [$URL/ok/]
	END
	run stacker --config conf.yaml build
	expect_exit 1
	expect_output "conf.yaml:2:3:" "[cli/conf-url]"
	write_conf <<-END
		mirrors:
		  http://127.0.0.1:9/gone/: []
	END
	run stacker --config conf.yaml build
	expect_exit 1
	expect_output "conf.yaml:2:29:" "[cli/conf-type]"
	write_conf <<-END
		mirrors:
		  http://127.0.0.1:9/gone/: [docker://host/repo/]
	END
	run stacker --config conf.yaml build
	expect_exit 1
	expect_output "[cli/conf-url]"
}

@test "mirror: the other keys of conf.yaml hold repositories, and trust in nobody" {
	local text
	for text in "inputs: http://host/x" "inputs: docker://host/x:tag" "inputs: [{a: b}]" \
		"cache: {write: true}" "cache: {url: docker://host/x, write: yes}" \
		"cache: {url: docker://host/x, wriet: true}" "cache: docker://host/x@sha256:00" \
		"trust: key.pem"; do
		echo "$text" >conf.yaml
		run stacker --config conf.yaml build
		expect_exit 1
		expect_output "conf.yaml:1:" "[cli/conf-"
	done
	printf 'trust: none\ninputs: []\ncache: []\n' >conf.yaml
	run stacker --config conf.yaml check
	expect_success
}

@test "mirror: the lock looks there, too" {
	sed -i /hash:/d stacker.yaml
	write_conf <<-END
		mirrors: {"http://127.0.0.1:9/gone/": ["$URL/ok/"]}
	END
	run stacker --config conf.yaml lock
	expect_success
	grep -q "url: http://127.0.0.1:9/gone/one" stacker.lock
	grep -q "hash: sha256:$HASH" stacker.lock
	run stacker build
	expect_success
}

@test "fetch: after it, a build needs no network" {
	sed -i "s#http://127.0.0.1:9/gone#$URL/ok#" stacker.yaml
	cat >>stacker.yaml <<-END
		b:
		  from: {type: built, tag: a}
		  imports:
		    - path: $URL/ok/two
		      hash: $(sha256sum <www/two | cut -d' ' -f1)
		      dest: /two
	END
	run stacker fetch -A a
	expect_success
	expect_equal "$(jq -r .path requests)" /ok/one
	run stacker fetch
	expect_success
	expect_output "is in the store"
	stop_fault_server
	run stacker build
	expect_success
	expect_equal "$(image_file b two)" two
	run stacker fetch
	expect_success
	run stacker fetch -A nobody
	expect_exit 2
}
