/* /etc/subuid and /etc/subgid: whatever is found is a range that a sandbox may have. */
#include <stddef.h>
#include <stdint.h>

#include "sandbox/idmap.h"
#include "sandbox/idmap_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct err e = ERR_INIT;
	uint32_t first = 0;
	bool found = false;
	int r = idmap_subids_parse((const char *)bytes, len, "subuid", "ann", 1000,
				   SANDBOX_IDS - 1, &first, &found, &e);
	BUG_IF(r < 0 && e.code != ERR_SANDBOX);
	BUG_IF(r == 0 && found && (first == 0 || first > UINT32_MAX - (SANDBOX_IDS - 1)));
	return 0;
}
