/* The files of policy/, byte for byte, as the tool was built with them. */
	.section .rodata

	.macro embed name, path
	.global policy_\name
	.global policy_\name\()_end
policy_\name:
	.incbin "policy/\path"
policy_\name\()_end:
	.byte 0
	.endm

	embed seccomp, seccomp.yaml
	embed capabilities, capabilities.yaml
	embed proc, proc.yaml
	embed limits, limits.yaml
	embed volatile, volatile.yaml

	.section .note.GNU-stack, "", %progbits
