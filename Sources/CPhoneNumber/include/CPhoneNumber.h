// A C face on libphonenumber (C++): what Swift may call.
//
// Why a shim at all: libphonenumber is C++ with protobuf and absl in its headers. Here no exception crosses the border
// (anything thrown becomes OTPD_PHONE_INTERNAL), nothing is printed (libphonenumber logs to standard output unless told
// otherwise), nothing is allocated that the caller would have to free, and no pointer is kept after a call returns.
// Every function may be called from any thread: the library's one instance is made once and only read afterwards.
#ifndef OTPD_CPHONENUMBER_H
#define OTPD_CPHONENUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What a case is called in Swift.
#define OTPD_SWIFT_NAME(name) __attribute__((swift_name(name)))

#ifdef __cplusplus
extern "C" {
#endif

/// The longest input that is looked at, in bytes; libphonenumber's own limit. Anything longer is OTPD_PHONE_TOO_LONG.
#define OTPD_PHONE_MAX_INPUT 250

typedef enum __attribute__((enum_extensibility(closed))) {
    OTPD_PHONE_OK OTPD_SWIFT_NAME("ok") = 0,
    /// Nothing but spaces and marks.
    OTPD_PHONE_EMPTY OTPD_SWIFT_NAME("empty"),
    /// Characters that no phone number has, or bytes that are not UTF-8.
    OTPD_PHONE_NOT_A_NUMBER OTPD_SWIFT_NAME("notANumber"),
    /// Letters, as in vanity numbers.
    OTPD_PHONE_LETTERS OTPD_SWIFT_NAME("letters"),
    /// An extension: a text message cannot reach one.
    OTPD_PHONE_EXTENSION OTPD_SWIFT_NAME("extension"),
    /// No country has this calling code, or none is given and the region is unknown.
    OTPD_PHONE_UNKNOWN_COUNTRY OTPD_SWIFT_NAME("unknownCountry"),
    OTPD_PHONE_TOO_SHORT OTPD_SWIFT_NAME("tooShort"),
    OTPD_PHONE_TOO_LONG OTPD_SWIFT_NAME("tooLong"),
    /// A length that may be, but no number range of its country matches.
    OTPD_PHONE_INVALID OTPD_SWIFT_NAME("invalid"),
    /// A valid number of a type that cannot receive a text.
    OTPD_PHONE_NO_SMS OTPD_SWIFT_NAME("noSms"),
    /// otpd_phone_check_e164 only: not "+" and digits, or a number that parsing would change (Mexico's old +52 1 …).
    OTPD_PHONE_NOT_E164 OTPD_SWIFT_NAME("notE164"),
    /// libphonenumber threw, for example out of memory.
    OTPD_PHONE_INTERNAL OTPD_SWIFT_NAME("internal"),
} otpd_phone_status;

/// Number types, as libphonenumber has them.
typedef enum __attribute__((enum_extensibility(closed))) {
    OTPD_PHONE_TYPE_FIXED_LINE OTPD_SWIFT_NAME("fixedLine") = 0,
    OTPD_PHONE_TYPE_MOBILE OTPD_SWIFT_NAME("mobile"),
    OTPD_PHONE_TYPE_FIXED_LINE_OR_MOBILE OTPD_SWIFT_NAME("fixedLineOrMobile"),
    OTPD_PHONE_TYPE_TOLL_FREE OTPD_SWIFT_NAME("tollFree"),
    OTPD_PHONE_TYPE_PREMIUM_RATE OTPD_SWIFT_NAME("premiumRate"),
    OTPD_PHONE_TYPE_SHARED_COST OTPD_SWIFT_NAME("sharedCost"),
    OTPD_PHONE_TYPE_VOIP OTPD_SWIFT_NAME("voip"),
    OTPD_PHONE_TYPE_PERSONAL_NUMBER OTPD_SWIFT_NAME("personalNumber"),
    OTPD_PHONE_TYPE_PAGER OTPD_SWIFT_NAME("pager"),
    OTPD_PHONE_TYPE_UAN OTPD_SWIFT_NAME("uan"),
    OTPD_PHONE_TYPE_VOICEMAIL OTPD_SWIFT_NAME("voicemail"),
    OTPD_PHONE_TYPE_UNKNOWN OTPD_SWIFT_NAME("unknown"),
} otpd_phone_type;

/// A number as E.164. `digits` is without the plus sign (no calling code begins with 0, so none is lost).
typedef struct {
    uint64_t digits;
    otpd_phone_type type;
    char region[4];  ///< "SA", "001" for non-geographical numbers; zero-terminated.
} otpd_phone_number;

/// Parses what somebody typed: UTF-8 of any digits, with the punctuation of phone numbers.
///
/// `region` is two letters ("SA"), used when the number carries no country; NULL or an unknown region means that the
/// number must carry one. `out` is written when the answer is OTPD_PHONE_OK or OTPD_PHONE_NO_SMS, and only then.
otpd_phone_status otpd_phone_parse(
    const uint8_t *_Nullable bytes, size_t length, const char *_Nullable region, otpd_phone_number *_Nonnull out);

/// Checks a number that is E.164 already ("+966501234567") without parsing: it can be refused here, never changed.
///
/// The quick way reads libphonenumber's metadata itself (NumberPlans.h); with `asks_library_alone`, libphonenumber's own
/// code does all of it, which is what tests hold the quick way against.
otpd_phone_status otpd_phone_check_e164(
    const uint8_t *_Nullable bytes, size_t length, bool asks_library_alone, otpd_phone_number *_Nonnull out);

/// How many regions libphonenumber knows: two letters each, and each non-geographical calling code ("800").
size_t otpd_phone_region_count(void);

/// The name of region `index` (sorted), or "" past the end. Lives as long as the process.
const char *_Nonnull otpd_phone_region(size_t index);

/// A number that libphonenumber gives as an example of `region` and `type`, as E.164 digits; 0 when it has none.
uint64_t otpd_phone_example(const char *_Nonnull region, otpd_phone_type type);

#ifdef __cplusplus
}
#endif
#endif
