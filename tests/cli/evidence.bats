# bats file_tags=user
# What is recorded of a step, and that recording changes nothing.

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

# An image `app` whose step runs the probe with these arguments.
probe_image() {
	[ -x "$STACKER_PROBES/evidence" ] || return 1
	make_busybox_base base
	cp "$STACKER_PROBES/evidence" base/bin/evidence
	write_stackerfile <<-END
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    evidence $*
	END
}

record() {
	cat .stacker/cache/*.evidence.json
}

@test "evidence: refused calls, addresses and set-id calls are recorded with their counts" {
	probe_image tries
	run stacker build
	expect_success
	expect_equal "$(record | jq -c '[.refused_calls[] | [.call, .argument, .error, .count]] | sort')" \
		'[["call-4000",null,"ENOSYS",1],["mount",null,"EPERM",1],["ptrace",0,"EPERM",1],["socket",17,"EAFNOSUPPORT",1],["socket",40,"EAFNOSUPPORT",2]]'
	expect_equal "$(record | jq -c '[.network[] | [.call, .address, .port, .count]] | sort')" \
		'[["connect",null,null,1],["connect","192.0.2.1",80,2],["connect","2001:db8::1",443,1],["sendto","198.51.100.7",53,1]]'
	expect_equal "$(record | jq -c '[.set_ids[] | [.call, .ids]]')" \
		'[["setresgid",[33,33,33]],["setresuid",[33,33,33]],["setuid",[0]]]'
}

@test "evidence: says what isolated the step and that no limit was reached" {
	probe_image tries
	run stacker build
	expect_success
	expect_equal "$(record | jq -c '[.limits_reached, .exit_code, .isolation.seccomp, .isolation.notify]')" \
		'[[],0,"allow-list","present"]'
	expect_equal "$(record | jq -c .isolation.namespaces)" \
		'["user","mount","pid","network","ipc","uts","cgroup"]'
	expect_equal "$(record | jq -r .isolation.kernel)" "$(uname -r)"
	if [ "$(id -u)" -eq 0 ]; then
		expect_equal "$(record | jq -r .isolation.ids)" dedicated
	else
		expect_equal "$(record | jq -r .isolation.ids)" subordinate
	fi
	expect_equal "$(record | jq -r '.limits.memory_bytes.by' | sed 's/cgroup-v[12]/x/; s/watchdog/x/')" x
}

@test "evidence: is canonical JSON beside the step's log" {
	probe_image tries
	stacker build
	local file
	for file in .stacker/cache/*.evidence.json; do
		[ -e "${file%.evidence.json}.log" ]
		expect_equal "$(jq -cS . "$file")" "$(cat "$file")"
		expect_equal "$(jq -r .recipe "$file")" "sha256:$(basename "${file%.evidence.json}")"
	done
}

@test "evidence: --evidence shows it, of a fresh and of a cached build" {
	probe_image tries
	run stacker build --evidence
	expect_success
	expect_output "evidence of the step of app" "socket(40) EAFNOSUPPORT (2 times)" \
		"connect to 192.0.2.1 port 80 (2 times)" "setresuid(33,33,33) (1 times)" "reached: none"
	run stacker build --evidence
	expect_success
	expect_output "found cached layer app" "connect to 2001:db8::1 port 443 (1 times)"
	run stacker build
	refute_output "evidence of the step"
}

@test "evidence: --evidence --json puts it into the results" {
	probe_image tries
	expect_equal "$(stacker --quiet build --json --evidence |
		jq -r '.[] | select(.name == "app") | .evidence.network | length')" 4
	expect_equal "$(stacker --quiet build --json | jq -c '[.[] | has("evidence")] | any')" false
}

@test "evidence: a program with set-id bits that is executed is recorded, however it is named" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    cp /bin/busybox /bin/su && chmod 4755 /bin/su && ln -s /bin/su /link
		    mkdir -p /root2/bin && cp /bin/busybox /root2/bin/sg && chmod 2755 /root2/bin/sg
		    /bin/su true || true; cd /bin; ./su true || true; ./su true || true; /link true || true
		    busybox chroot /root2 /bin/sg true || true
		    /bin/busybox true; /missing || true
	END
	run stacker build --evidence
	expect_success
	expect_output "/bin/su of mode 4755 executed, without effect of its bits (1 times)"
	expect_equal "$(record | jq -c '[.set_id_programs[] | [.path, .mode, .count]]')" \
		'[["/bin/su","4755",1],["./su","4755",2],["/link","4755",1],["/bin/sg","2755",1]]'
}

@test "evidence: a flood of refused calls is counted in full and gets its errors" {
	probe_image flood 20000
	run stacker build
	expect_success
	expect_output "20000 refused"
	expect_equal "$(record | jq -c '[.refused_calls[] | [.call, .count]]')" '[["mount",20000]]'
}

@test "evidence: processes that are killed while they ask keep nothing up" {
	probe_image orphans
	STACKER_TIMEOUT=30 run stacker build
	expect_success
	[ "$(record | jq '.refused_calls[0].count')" -gt 0 ]
}

@test "evidence: is kept when the step fails, and shown" {
	probe_image tries "; exit 3"
	run stacker build --evidence
	expect_exit 1
	expect_output "[step/failed]" "mount EPERM (1 times)"
	expect_equal "$(record | jq -c '[.exit_code, (.refused_calls | length)]')" '[3,5]'
}

@test "evidence: enters neither the image nor the digests" {
	probe_image tries
	stacker build
	local first
	first=$(image_digest app)
	rm -rf .stacker/cache/*.evidence.json
	stacker build --no-cache
	expect_equal "$(image_digest app)" "$first"
	run grep -rl refused_calls oci
	expect_equal "$output" ""
}
