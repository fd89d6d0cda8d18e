// libcurl for Swift. Swift cannot call a variadic C function, so each function here wraps one with a typed argument. A
// value of the wrong kind does not compile.
#pragma once
#include <curl/curl.h>

// curl_easy_setopt(3), by the kind of its argument.
static inline CURLcode easy_set_long(CURL *easy, CURLoption option, long value) {
  return curl_easy_setopt(easy, option, value);
}
static inline CURLcode easy_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(easy, option, value);
}
static inline CURLcode easy_set_string(CURL *easy, CURLoption option, const char *value) { // libcurl copies it
  return curl_easy_setopt(easy, option, value);
}
static inline CURLcode easy_set_pointer(CURL *easy, CURLoption option, void *value) { // must outlive the handle's use
  return curl_easy_setopt(easy, option, value);
}
static inline CURLcode easy_set_headers(CURL *easy, struct curl_slist *list) { // not copied: must outlive the transfer
  return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
}
static inline CURLcode easy_set_read(CURL *easy, curl_read_callback callback) {
  return curl_easy_setopt(easy, CURLOPT_READFUNCTION, callback);
}
static inline CURLcode easy_set_seek(CURL *easy, curl_seek_callback callback) {
  return curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, callback);
}
static inline CURLcode easy_set_write(CURL *easy, CURLoption option, curl_write_callback callback) {
  return curl_easy_setopt(easy, option, callback); // WRITEFUNCTION and HEADERFUNCTION
}
static inline CURLcode easy_set_open_socket(CURL *easy, curl_opensocket_callback callback) {
  return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, callback);
}
static inline CURLcode easy_set_close_socket(CURL *easy, curl_closesocket_callback callback) {
  return curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, callback);
}

// curl_easy_getinfo(3), by the kind of its result. 0 or NULL if libcurl has no value.
static inline long easy_get_long(CURL *easy, CURLINFO info) {
  long value = 0;
  return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : 0;
}
static inline curl_off_t easy_get_offset(CURL *easy, CURLINFO info) {
  curl_off_t value = 0;
  return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : 0;
}
static inline void *easy_get_private(CURL *easy) {
  char *value = NULL;
  return curl_easy_getinfo(easy, CURLINFO_PRIVATE, &value) == CURLE_OK ? value : NULL;
}
// The socket of a connection made with CURLOPT_CONNECT_ONLY; CURL_SOCKET_BAD without one.
static inline curl_socket_t easy_get_socket(CURL *easy) {
  curl_socket_t value = CURL_SOCKET_BAD;
  return curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &value) == CURLE_OK ? value : CURL_SOCKET_BAD;
}

// curl_multi_setopt(3), by the kind of its argument.
static inline CURLMcode multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}
static inline CURLMcode multi_set_pointer(CURLM *multi, CURLMoption option, void *value) {
  return curl_multi_setopt(multi, option, value);
}
static inline CURLMcode multi_set_socket(CURLM *multi, curl_socket_callback callback) {
  return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, callback);
}
static inline CURLMcode multi_set_timer(CURLM *multi, curl_multi_timer_callback callback) {
  return curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, callback);
}

// Values of CURLOPT_USE_SSL. In libcurl 7.88 they are an enumeration and in 8.22 macros, which Swift sees as different types.
static const long use_ssl_none = CURLUSESSL_NONE;
static const long use_ssl_all = CURLUSESSL_ALL;

// Swift cannot use the macro CURLVERSION_NOW.
static inline curl_version_info_data *version_info(void) { return curl_version_info(CURLVERSION_NOW); }
