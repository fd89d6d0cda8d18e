// libphonenumber's metadata, made ready once for the question that every send asks: may this E.164 number get a text?
//
// Why: libphonenumber takes 25,000 instructions for it (it makes an ICU matcher for each of a dozen patterns), a sixth of
// what otpd computed for a send, and 3.5 MB. This says yes where libphonenumber does, of the same type and region; what it
// does not say yes to, libphonenumber is asked about. PhoneNumberTests holds the two together.
#ifndef OTPD_NUMBER_PLANS_H
#define OTPD_NUMBER_PLANS_H

#include "CPhoneNumber.h"

namespace NumberPlans {

/// Whether these one to fifteen digits, E.164 without its plus, are a number that can receive a text and that a parser
/// reads as itself; then `type` and `region` of `out` are written. False for all that is not known here.
bool accept(const uint8_t *digits, size_t length, otpd_phone_number *out);

/// Whether a parser might read this number, which is international already, as another one: then only parsing tells.
bool mayRewrite(int code, const uint8_t *national, size_t length);

bool canReceiveText(otpd_phone_type type);

}  // namespace NumberPlans

#endif
