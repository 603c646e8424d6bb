# bats file_tags=user
# What upstream's suite shows of bases in registries: TLS and passwords, and deletions in what was published.

# shellcheck disable=SC2154 # start_registry sets registry
load ../lib/helpers

setup() { setup_work; }
teardown() {
	[ -z "${registry_pid:-}" ] || kill "$registry_pid"
	teardown_work
}

@test "upstream basic-auth: a base from a registry with TLS and a password, and its deletions" {
	command -v htpasswd >/dev/null || skip_justified "htpasswd is not installed"
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=test \
		-addext subjectAltName=IP:127.0.0.1 2>/dev/null
	htpasswd -Bbc htpasswd iam careful 2>/dev/null
	start_registry "auth: {htpasswd: {realm: test, path: $PWD/htpasswd}}" \
		"tls: {certificate: $PWD/cert.pem, key: $PWD/key.pem}"
	write_stackerfile <<-'END'
		parent: {from: {type: built, tag: base}, run: mkdir /d && touch /d/gone /d/stays}
		child: {from: {type: built, tag: parent}, run: rm /d/gone}
	END
	stacker build
	run stacker --ca-file cert.pem publish --url "docker://$registry" --tag v1 --image child \
		--username iam --password careful
	expect_success
	local digest
	digest=$(image_digest child)
	mkdir fresh
	cd fresh
	cat >stacker.yaml <<-END
		app:
		  from: {type: docker, url: "docker://$registry/child:v1@$digest"}
		  run: "[ ! -e /d/gone ] && touch /d/new"
	END
	# No password, a wrong one, no trust in the certificate: refused, and nothing is tagged.
	for auth in '{}' '{"auths": {"'"$registry"'": {"auth": "'"$(printf iam:reckless | base64)"'"}}}'; do
		echo "$auth" >auth.json
		REGISTRY_AUTH_FILE=auth.json run stacker --ca-file ../cert.pem build
		expect_exit 1
		expect_output "stacker.yaml:"
	done
	# The longest entry that fits counts.
	echo '{"auths": {"'"$registry"'": {"auth": "'"$(printf x:y | base64)"'"},
		"'"$registry"'/child": {"auth": "'"$(printf iam:careful | base64)"'"}}}' >auth.json
	REGISTRY_AUTH_FILE=auth.json run stacker build
	expect_exit 1
	refute_output careful
	[ ! -e oci/index.json ] || expect_equal "$(jq -c .manifests oci/index.json)" '[]'
	REGISTRY_AUTH_FILE=auth.json run stacker --ca-file ../cert.pem build
	expect_success
	unpack_image app app
	[ -e app/d/stays ]
	[ -e app/d/new ]
	[ ! -e app/d/gone ]
	if grep -r careful .stacker oci; then return 1; fi
}
