/*
 * The options that every libcurl handle of ours has, whatever it is for. Everything libcurl
 * would do by itself beyond one request to one origin is switched off: redirects, proxies,
 * netrc, cookies, authentication, content decoding.
 */
#ifndef INPUTS_HTTP_EASY_INTERNAL_H
#define INPUTS_HTTP_EASY_INTERNAL_H

#include <curl/curl.h>
#include <stdbool.h>

/* An option that does not take would be a protection that is missing. */
#define EASY_SET(easy, option, value)                                                          \
	BUG_IF(curl_easy_setopt((easy), (option), (value)) != CURLE_OK)

void http_easy_restrict(CURL *easy, unsigned connect_ms);
/* Certificates are checked against `ca` (PEM) alone; data NULL: none is accepted. */
void http_easy_set_tls(CURL *easy, const struct curl_blob *ca);
/* The certificate or the negotiation was refused, as opposed to a fault of the network. */
bool http_is_tls_refusal(CURLcode rc);
/* Plain http where TLS was expected; `text` is curl's, the only place that tells it from a
 * handshake that broke off. */
bool http_speaks_no_tls(CURLcode rc, const char *text);

#endif
