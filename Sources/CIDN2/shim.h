// libidn2 for Swift: domains of any script as ASCII. libcurl's own conversion reads the locale's character set, which is
// ASCII in a daemon, and an image without locales has no other.
#pragma once
#include <idn2.h>

// The rules of IDNA 2008, with the mapping of capital letters and of wide forms (UTS 46). Swift cannot combine C flags.
static inline int idn2_to_ascii(const char *domain, uint8_t **ascii) {
  return idn2_lookup_u8((const uint8_t *)domain, ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
}
