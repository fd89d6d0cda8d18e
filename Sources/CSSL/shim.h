// OpenSSL's TLS for the simulator's sink of e-mails. CCrypto has the hashes alone, so that otpd is not linked with this.
#pragma once
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// SSL_CTX_set_min_proto_version(3) is a macro with casts, which Swift does not import.
static inline int tls_require_1_2(SSL_CTX *context) {
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
