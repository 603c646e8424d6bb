/*
 * Which addresses belong to this machine or its link. Looked at when the socket is made and
 * again before a request goes out on a pooled connection, so that neither a name nor an odd
 * spelling of a number gets around it.
 */
#include "inputs/transfer_internal.h"

#include <netinet/in.h>
#include <string.h>

static bool is_internal_v4(const uint8_t b[4])
{
	return b[0] == 127 || b[0] == 0 || (b[0] == 169 && b[1] == 254);
}

static bool is_internal_v6(const uint8_t b[16])
{
	static const uint8_t zeros[12];

	/* ::, ::1 and the old IPv4-compatible form share twelve zero bytes. */
	if (memcmp(b, zeros, 12) == 0)
		return true;
	if (memcmp(b, zeros, 10) == 0 && b[10] == 0xff && b[11] == 0xff)
		return is_internal_v4(b + 12);
	return b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
}

bool transfer_address_is_internal(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		return is_internal_v4((const uint8_t *)&v4.sin_addr);
	}
	if (address->sa_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		return is_internal_v6(v6.sin6_addr.s6_addr);
	}
	return true;
}
