#include "CPhoneNumber.h"
#include "NumberPlans.h"

#include <phonenumbers/logger.h>
#include <phonenumbers/phonenumber.pb.h>
#include <phonenumbers/phonenumberutil.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace {

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

/// E.164 has at most 15 digits (ITU-T E.164, 6.1); libphonenumber tolerates more for Germany, Twilio does not.
constexpr int kMaxDigits = 15;

/// The library's one instance, silenced. Made once, under the lock of a static's initialisation.
const PhoneNumberUtil &util() {
    static const PhoneNumberUtil &instance = []() -> const PhoneNumberUtil & {
        PhoneNumberUtil *made = PhoneNumberUtil::GetInstance();
        made->SetLogger(new i18n::phonenumbers::NullLogger());  // It takes ownership.
        return *made;
    }();
    return instance;
}

// The shim's types are libphonenumber's, in its order: a cast translates them.
static_assert(int(OTPD_PHONE_TYPE_FIXED_LINE) == int(PhoneNumberUtil::FIXED_LINE), "types in order");
static_assert(int(OTPD_PHONE_TYPE_MOBILE) == int(PhoneNumberUtil::MOBILE), "types in order");
static_assert(int(OTPD_PHONE_TYPE_FIXED_LINE_OR_MOBILE) == int(PhoneNumberUtil::FIXED_LINE_OR_MOBILE), "types in order");
static_assert(int(OTPD_PHONE_TYPE_TOLL_FREE) == int(PhoneNumberUtil::TOLL_FREE), "types in order");
static_assert(int(OTPD_PHONE_TYPE_PREMIUM_RATE) == int(PhoneNumberUtil::PREMIUM_RATE), "types in order");
static_assert(int(OTPD_PHONE_TYPE_SHARED_COST) == int(PhoneNumberUtil::SHARED_COST), "types in order");
static_assert(int(OTPD_PHONE_TYPE_VOIP) == int(PhoneNumberUtil::VOIP), "types in order");
static_assert(int(OTPD_PHONE_TYPE_PERSONAL_NUMBER) == int(PhoneNumberUtil::PERSONAL_NUMBER), "types in order");
static_assert(int(OTPD_PHONE_TYPE_PAGER) == int(PhoneNumberUtil::PAGER), "types in order");
static_assert(int(OTPD_PHONE_TYPE_UAN) == int(PhoneNumberUtil::UAN), "types in order");
static_assert(int(OTPD_PHONE_TYPE_VOICEMAIL) == int(PhoneNumberUtil::VOICEMAIL), "types in order");
static_assert(int(OTPD_PHONE_TYPE_UNKNOWN) == int(PhoneNumberUtil::UNKNOWN), "types in order");

/// What a typed character is to a phone number.
enum class Character { digit, plus, punctuation, space, mark, letter, extension, foreign };

/// The next code point of UTF-8, or -1 where the bytes are not UTF-8 (overlong, surrogate, past U+10FFFF, cut off).
int32_t next(const uint8_t *&at, const uint8_t *end) {
    const uint8_t first = *at++;
    if (first < 0x80) return first;
    int more;
    int32_t value, least;
    if ((first & 0xE0) == 0xC0) { more = 1; value = first & 0x1F; least = 0x80; }
    else if ((first & 0xF0) == 0xE0) { more = 2; value = first & 0x0F; least = 0x800; }
    else if ((first & 0xF8) == 0xF0) { more = 3; value = first & 0x07; least = 0x10000; }
    else return -1;
    for (; more > 0; --more) {
        if (at == end || (*at & 0xC0) != 0x80) return -1;
        value = (value << 6) | (*at++ & 0x3F);
    }
    if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return -1;
    return value;
}

/// Whether libphonenumber reads these bytes (one code point) as a decimal digit of some script.
bool isDecimalDigit(const uint8_t *bytes, size_t length) {
    std::string one(reinterpret_cast<const char *>(bytes), length);
    util().NormalizeDigitsOnly(&one);
    return one.size() == 1;
}

Character classify(int32_t point, const uint8_t *bytes, size_t length) {
    if (point >= '0' && point <= '9') return Character::digit;
    if ((point >= 'A' && point <= 'Z') || (point >= 'a' && point <= 'z')) return Character::letter;
    switch (point) {
    case '+': case 0xFF0B: return Character::plus;
    case '-': case '(': case ')': case '.': case '/': case '[': case ']': case '~':
    case 0x2010: case 0x2011: case 0x2012: case 0x2013: case 0x2014: case 0x2015: case 0x2212: case 0x30FC:
    case 0xFF0D: case 0xFF0E: case 0xFF0F: case 0xFF08: case 0xFF09: case 0xFF3B: case 0xFF3D:
    case 0x2053: case 0x223C: case 0xFF5E:
        return Character::punctuation;
    case ' ': case '\t': case '\n': case '\r': case 0x00A0: case 0x202F: case 0x205F: case 0x3000:
        return Character::space;
    // Marks that keyboards and address books put around and into numbers, which nobody sees: soft hyphen, Arabic
    // letter mark, zero-width spaces and joiners, direction marks, embeddings and isolates, byte order mark.
    case 0x00AD: case 0x061C: case 0x180E: case 0x200B: case 0x200C: case 0x200D: case 0x200E: case 0x200F:
    case 0x202A: case 0x202B: case 0x202C: case 0x202D: case 0x202E: case 0x2060:
    case 0x2066: case 0x2067: case 0x2068: case 0x2069: case 0xFEFF:
        return Character::mark;
    case '#': case ',': case ';': case '=': case 0xFF03: return Character::extension;
    default: break;
    }
    if (point < 0x80) return Character::foreign;
    if (point >= 0x2000 && point <= 0x200A) return Character::space;
    if ((point >= 0x0660 && point <= 0x0669) || (point >= 0x06F0 && point <= 0x06F9)) return Character::digit;
    if (isDecimalDigit(bytes, length)) return Character::digit;
    // Symbols and private use are no letters; whatever else is written beside digits is taken for one.
    if (point < 0x00C0 || (point >= 0x2000 && point <= 0x2BFF) || (point >= 0xE000 && point <= 0xF8FF)
        || (point >= 0x1F000 && point <= 0x1FAFF) || point >= 0xF0000) return Character::foreign;
    return Character::letter;
}

/// The E.164 digits of a number, or 0 when there are more than E.164 allows.
uint64_t digitsOf(const PhoneNumber &number) {
    std::string national;
    util().GetNationalSignificantNumber(number, &national);
    const std::string all = std::to_string(number.country_code()) + national;
    return all.size() > size_t(kMaxDigits) ? 0 : std::stoull(all);
}

/// Judges a number whose country and national part are known.
otpd_phone_status judge(const PhoneNumber &number, uint64_t digits, otpd_phone_number *out) {
    const auto type = util().GetNumberType(number);
    if (type == PhoneNumberUtil::UNKNOWN) {
        switch (util().IsPossibleNumberWithReason(number)) {
        case PhoneNumberUtil::INVALID_COUNTRY_CODE: return OTPD_PHONE_UNKNOWN_COUNTRY;
        case PhoneNumberUtil::TOO_SHORT: return OTPD_PHONE_TOO_SHORT;
        case PhoneNumberUtil::IS_POSSIBLE_LOCAL_ONLY: return OTPD_PHONE_TOO_SHORT;
        case PhoneNumberUtil::TOO_LONG: return OTPD_PHONE_TOO_LONG;
        case PhoneNumberUtil::INVALID_LENGTH: return OTPD_PHONE_INVALID;
        case PhoneNumberUtil::IS_POSSIBLE: return OTPD_PHONE_INVALID;
        }
        return OTPD_PHONE_INVALID;
    }
    if (digits == 0) return OTPD_PHONE_TOO_LONG;
    std::string region;
    util().GetRegionCodeForNumber(number, &region);
    out->digits = digits;
    out->type = otpd_phone_type(type);
    std::memset(out->region, 0, sizeof out->region);
    std::memcpy(out->region, region.data(), std::min(region.size(), sizeof out->region - 1));
    return NumberPlans::canReceiveText(out->type) ? OTPD_PHONE_OK : OTPD_PHONE_NO_SMS;
}

/// Whether the parser reads a number of this calling code, given in E.164, as that very number.
bool readsAsItself(int code, uint64_t digits) {
    const std::string text = "+" + std::to_string(digits);
    const size_t at = 1 + std::to_string(code).size();
    const auto national = reinterpret_cast<const uint8_t *>(text.data()) + at;
    if (!NumberPlans::mayRewrite(code, national, text.size() - at)) return true;
    PhoneNumber parsed;
    return util().Parse(text, "ZZ", &parsed) == PhoneNumberUtil::NO_PARSING_ERROR && digitsOf(parsed) == digits;
}

otpd_phone_status parse(const uint8_t *bytes, size_t length, const char *region, otpd_phone_number *out) {
    std::string text;
    text.reserve(length);
    bool letters = false, extension = false, foreign = false, digit = false, content = false;
    for (const uint8_t *at = bytes, *end = bytes + length; at != end;) {
        const uint8_t *start = at;
        const int32_t point = next(at, end);
        if (point < 0) return OTPD_PHONE_NOT_A_NUMBER;
        const Character kind = classify(point, start, size_t(at - start));
        switch (kind) {
        case Character::mark: continue;
        case Character::space: text.push_back(' '); continue;
        case Character::foreign: foreign = true; continue;
        case Character::letter: letters = true; break;
        case Character::extension: extension = true; break;
        case Character::digit: digit = true; break;
        case Character::plus: case Character::punctuation: break;
        }
        content = true;
        text.append(reinterpret_cast<const char *>(start), size_t(at - start));
    }
    if (foreign) return letters ? OTPD_PHONE_LETTERS : OTPD_PHONE_NOT_A_NUMBER;
    if (!content) return OTPD_PHONE_EMPTY;

    std::string home = region == nullptr ? "ZZ" : region;
    for (char &c : home) if (c >= 'a' && c <= 'z') c = char(c - 'a' + 'A');

    PhoneNumber number;
    const auto error = util().Parse(text, home, &number);
    if (letters || extension) {
        // libphonenumber would dial letters on a keypad and cut extensions off: neither is what a text can be sent to.
        if (error == PhoneNumberUtil::NO_PARSING_ERROR && number.has_extension()) return OTPD_PHONE_EXTENSION;
        return letters ? OTPD_PHONE_LETTERS : OTPD_PHONE_NOT_A_NUMBER;
    }
    switch (error) {
    case PhoneNumberUtil::NO_PARSING_ERROR: break;
    case PhoneNumberUtil::INVALID_COUNTRY_CODE_ERROR: return OTPD_PHONE_UNKNOWN_COUNTRY;
    case PhoneNumberUtil::NOT_A_NUMBER: return digit ? OTPD_PHONE_TOO_SHORT : OTPD_PHONE_NOT_A_NUMBER;
    case PhoneNumberUtil::TOO_SHORT_AFTER_IDD: return OTPD_PHONE_TOO_SHORT;
    case PhoneNumberUtil::TOO_SHORT_NSN: return OTPD_PHONE_TOO_SHORT;
    case PhoneNumberUtil::TOO_LONG_NSN: return OTPD_PHONE_TOO_LONG;
    }
    if (number.has_extension()) return OTPD_PHONE_EXTENSION;
    const uint64_t digits = digitsOf(number);
    otpd_phone_number judged;
    const otpd_phone_status status = judge(number, digits, &judged);
    if (status != OTPD_PHONE_OK && status != OTPD_PHONE_NO_SMS) return status;
    // As +52 1 1 …: with one prefix stripped it is valid, and with the next one it is another number.
    if (!readsAsItself(number.country_code(), digits)) return OTPD_PHONE_INVALID;
    *out = judged;
    return status;
}

otpd_phone_status checkE164(const uint8_t *bytes, size_t length, bool asksLibraryAlone, otpd_phone_number *out) {
    if (length < 2 || bytes[0] != '+' || bytes[1] == '0') return OTPD_PHONE_NOT_E164;
    uint64_t digits = 0;
    for (size_t i = 1; i < length; ++i) {
        if (bytes[i] < '0' || bytes[i] > '9') return OTPD_PHONE_NOT_E164;
        digits = digits * 10 + uint64_t(bytes[i] - '0');  // Wraps only where the length is refused just below.
    }
    if (length - 1 > size_t(kMaxDigits)) return OTPD_PHONE_TOO_LONG;
    if (!asksLibraryAlone && NumberPlans::accept(bytes + 1, length - 1, out)) {
        out->digits = digits;
        return OTPD_PHONE_OK;
    }
    // Calling codes have one to three digits and none begins another, so the first that is known is the one.
    int code = 0;
    size_t at = 1;
    std::string region;
    while (at < length && at <= 3) {
        code = code * 10 + (bytes[at++] - '0');
        util().GetRegionCodeForCountryCode(code, &region);
        if (region != "ZZ") break;
    }
    if (region == "ZZ") return OTPD_PHONE_UNKNOWN_COUNTRY;
    if (at == length) return OTPD_PHONE_TOO_SHORT;

    uint64_t national = 0;
    int zeros = 0;
    for (size_t i = at; i < length; ++i) {
        national = national * 10 + uint64_t(bytes[i] - '0');
        if (national == 0 && i + 1 < length) ++zeros;  // The last digit is the number itself, as libphonenumber has it.
    }
    PhoneNumber number;
    number.set_country_code(code);
    number.set_national_number(national);
    if (zeros > 0) {
        number.set_italian_leading_zero(true);
        if (zeros > 1) number.set_number_of_leading_zeros(zeros);
    }
    otpd_phone_number judged;
    const otpd_phone_status status = judge(number, digits, &judged);
    if (status != OTPD_PHONE_OK && status != OTPD_PHONE_NO_SMS) return status;
    if (!readsAsItself(code, digits)) return OTPD_PHONE_NOT_E164;
    *out = judged;
    return status;
}

/// Every region, and every non-geographical calling code as its digits ("800"), sorted.
const std::vector<std::string> &regions() {
    static const std::vector<std::string> all = [] {
        std::set<std::string> geographical;
        util().GetSupportedRegions(&geographical);
        std::set<int> global;
        util().GetSupportedGlobalNetworkCallingCodes(&global);
        std::vector<std::string> names;
        for (int code : global) names.push_back(std::to_string(code));
        names.insert(names.end(), geographical.begin(), geographical.end());
        return names;
    }();
    return all;
}

}  // namespace

otpd_phone_status otpd_phone_parse(
    const uint8_t *bytes, size_t length, const char *region, otpd_phone_number *out) {
    if (length == 0) return OTPD_PHONE_EMPTY;
    if (length > OTPD_PHONE_MAX_INPUT) return OTPD_PHONE_TOO_LONG;
    try {
        return parse(bytes, length, region, out);
    } catch (...) {
        return OTPD_PHONE_INTERNAL;
    }
}

otpd_phone_status otpd_phone_check_e164(
    const uint8_t *bytes, size_t length, bool asks_library_alone, otpd_phone_number *out) {
    if (length == 0) return OTPD_PHONE_EMPTY;
    if (length > OTPD_PHONE_MAX_INPUT) return OTPD_PHONE_TOO_LONG;
    try {
        return checkE164(bytes, length, asks_library_alone, out);
    } catch (...) {
        return OTPD_PHONE_INTERNAL;
    }
}

size_t otpd_phone_region_count(void) {
    try {
        return regions().size();
    } catch (...) {
        return 0;
    }
}

const char *otpd_phone_region(size_t index) {
    try {
        return index < regions().size() ? regions()[index].c_str() : "";
    } catch (...) {
        return "";
    }
}

uint64_t otpd_phone_example(const char *region, otpd_phone_type type) {
    try {
        PhoneNumber number;
        const bool global = region[0] >= '0' && region[0] <= '9';
        if (global) {
            // A non-geographical calling code has one example, of whatever type it is.
            if (!util().GetExampleNumberForNonGeoEntity(std::stoi(region), &number)) return 0;
            if (int(util().GetNumberType(number)) != int(type)) return 0;
        } else if (!util().GetExampleNumberForType(region, PhoneNumberUtil::PhoneNumberType(type), &number)) {
            return 0;
        }
        return digitsOf(number);
    } catch (...) {
        return 0;
    }
}
