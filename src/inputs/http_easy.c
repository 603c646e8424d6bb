/* What no request of ours may do or leave out. */
#include "inputs/http_easy_internal.h"

#include <string.h>

#include "util/err.h"
#include "util/limits.h"

#define RECEIVE_BYTES (256 * KIB)

void http_easy_restrict(CURL *easy, unsigned connect_ms)
{
	EASY_SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	EASY_SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	EASY_SET(easy, CURLOPT_PROXY, ""); /* also keeps the environment's proxies out */
	EASY_SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	EASY_SET(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	EASY_SET(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	EASY_SET(easy, CURLOPT_ACCEPT_ENCODING, NULL);
	EASY_SET(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	/* One response per connection at a time: its stall is its own, and half the attack
	 * surface of HTTP/2 is not there. Parallelism comes from several connections. */
	EASY_SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	EASY_SET(easy, CURLOPT_NOSIGNAL, 1L);
	EASY_SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	/* For speed alone; a handle that is used again may have its buffer still. */
	(void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	EASY_SET(easy, CURLOPT_USERAGENT, "stacker/" STACKER_VERSION);
}

void http_easy_set_tls(CURL *easy, const struct curl_blob *ca)
{
	struct curl_blob blob = *ca;

	EASY_SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	EASY_SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	EASY_SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* From memory: by now the fetcher cannot open files any more. */
	EASY_SET(easy, CURLOPT_CAINFO, NULL);
	EASY_SET(easy, CURLOPT_CAPATH, NULL);
	if (blob.data)
		EASY_SET(easy, CURLOPT_CAINFO_BLOB, &blob);
}

bool http_is_tls_refusal(CURLcode rc)
{
	return rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CERTPROBLEM ||
	       rc == CURLE_SSL_CIPHER || rc == CURLE_SSL_CACERT_BADFILE ||
	       rc == CURLE_SSL_ISSUER_ERROR;
}

bool http_speaks_no_tls(CURLcode rc, const char *text)
{
	return rc == CURLE_SSL_CONNECT_ERROR && strstr(text, "wrong version number");
}
