#include "NumberPlans.h"

#include <google/protobuf/io/coded_stream.h>
#include <phonenumbers/phonemetadata.pb.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace i18n {
namespace phonenumbers {
// libphonenumber's own metadata, as it is compiled into the library: exported, but in no installed header.
int metadata_size();
const void *metadata_get();
}  // namespace phonenumbers
}  // namespace i18n

namespace {

using i18n::phonenumbers::PhoneMetadata;
using i18n::phonenumbers::PhoneNumberDesc;

/// One step of a pattern over digits.
struct Step {
    enum Kind : uint16_t { set, fork, jump, end };
    Kind kind : 2;
    /// `set`: a bit for each digit that it takes.
    uint16_t digits : 10;
    /// `set`: how many digits it takes. `fork`: after the next step has failed, how far on to try. `jump`: how far on to go.
    uint16_t count;
};

using Steps = std::vector<Step>;

/// Whether the digits (or a beginning of them) are what the steps describe.
bool matches(const Step *step, const uint8_t *at, const uint8_t *end, bool beginning) {
    for (;;) {
        switch (step->kind) {
        case Step::end: return beginning || at == end;
        case Step::jump: step += step->count; continue;
        case Step::fork:
            if (matches(step + 1, at, end, beginning)) return true;
            step += step->count;
            continue;
        case Step::set:
            if (size_t(end - at) < step->count) return false;
            for (unsigned i = 0; i < step->count; ++i) {
                if ((step->digits >> (*at++ - '0') & 1) == 0) return false;
            }
            ++step;
        }
    }
}

/// Reads what the metadata writes its patterns in: digits, `\d`, `[0-35]`, `(?:…|…)`, `?`, `{2}`, `{2,5}`. Throws for all
/// else: such a calling code is left to libphonenumber.
class PatternReader {
public:
    explicit PatternReader(const std::string &pattern) : at(pattern.data()), end(at + pattern.size()) {}

    Steps read() {
        Steps steps = alternatives();
        if (at != end) refuse();
        steps.push_back({Step::end, 0, 0});
        if (steps.size() > UINT16_MAX) refuse();  // Then a count may have wrapped.
        steps.shrink_to_fit();
        return steps;
    }

private:
    const char *at, *end;

    [[noreturn]] static void refuse() { throw std::invalid_argument("a pattern of another kind"); }
    bool take(char c) { return at != end && *at == c ? ++at, true : false; }
    static void add(Steps &to, const Steps &more) { to.insert(to.end(), more.begin(), more.end()); }

    Steps alternatives() {
        std::vector<Steps> all;
        do all.push_back(sequence());
        while (take('|'));
        Steps made = all.back();
        for (size_t i = all.size() - 1; i-- > 0;) {
            Steps longer{{Step::fork, 0, uint16_t(all[i].size() + 2)}};
            add(longer, all[i]);
            longer.push_back({Step::jump, 0, uint16_t(made.size() + 1)});
            add(longer, made);
            made = std::move(longer);
        }
        return made;
    }

    Steps sequence() {
        Steps made;
        while (at != end && *at != '|' && *at != ')') add(made, repeated(atom()));
        return made;
    }

    Steps atom() {
        if (take('(')) {
            if (!take('?') || !take(':')) refuse();
            Steps inner = alternatives();
            if (!take(')')) refuse();
            return inner;
        }
        uint16_t digits = 0;
        if (take('\\')) {
            if (!take('d')) refuse();
            digits = 0x3FF;
        } else if (take('[')) {
            while (!take(']')) {
                const int first = digit();
                const int last = take('-') ? digit() : first;
                if (last < first) refuse();
                for (int d = first; d <= last; ++d) digits |= uint16_t(1u << d);
            }
        } else {
            digits = uint16_t(1u << digit());
        }
        return {{Step::set, digits, 1}};
    }

    Steps repeated(const Steps &once) {
        int least = 1, most = 1;
        if (take('?')) {
            least = 0;
        } else if (take('{')) {
            least = most = number();
            if (take(',')) most = number();
            if (!take('}') || most < least) refuse();
        }
        Steps made;
        if (once.size() == 1 && once[0].kind == Step::set) {
            if (least > 0) made.push_back({Step::set, once[0].digits, uint16_t(least)});
        } else {
            for (int i = 0; i < least; ++i) add(made, once);
        }
        Steps optional;
        for (int i = least; i < most; ++i) {
            Steps longer{{Step::fork, 0, uint16_t(once.size() + optional.size() + 1)}};
            add(longer, once);
            add(longer, optional);
            optional = std::move(longer);
        }
        add(made, optional);
        return made;
    }

    int digit() {
        if (at == end || *at < '0' || *at > '9') refuse();
        return *at++ - '0';
    }

    int number() {
        int value = digit();
        while (at != end && *at >= '0' && *at <= '9') value = value * 10 + digit();
        if (value > 20) refuse();
        return value;
    }
};

/// The numbers of one kind in one region.
struct Kind {
    /// A bit for each length that they may have; where the metadata names none, all.
    uint32_t lengths = 0;
    /// Empty where there are no such numbers.
    Steps steps;

    Kind() = default;
    explicit Kind(const PhoneNumberDesc &desc) {
        if (desc.national_number_pattern().empty()) return;
        for (int length : desc.possible_length()) {
            if (length >= 0 && length < 32) lengths |= 1u << length;
        }
        if (desc.possible_length_size() == 0) lengths = ~0u;
        if (lengths != 0) steps = PatternReader(desc.national_number_pattern()).read();
    }

    bool has(const uint8_t *national, size_t length) const {
        return (lengths >> length & 1) != 0 && matches(steps.data(), national, national + length, false);
    }
};

/// The numbers of one region.
struct Region {
    char name[4] = {};
    /// Where not empty: what its numbers begin with, and those of its neighbours with the same calling code do not.
    Steps leading;
    Kind general, fixedLine, mobile;
    /// The other kinds, in the order in which libphonenumber looks at them.
    std::array<std::pair<Kind, otpd_phone_type>, 8> others;
    bool areMobileAndFixedLineOne = false;

    explicit Region(const PhoneMetadata &from)
        : general(from.general_desc()), fixedLine(from.fixed_line()), mobile(from.mobile()),
          others{{{Kind(from.premium_rate()), OTPD_PHONE_TYPE_PREMIUM_RATE},
                  {Kind(from.toll_free()), OTPD_PHONE_TYPE_TOLL_FREE},
                  {Kind(from.shared_cost()), OTPD_PHONE_TYPE_SHARED_COST},
                  {Kind(from.voip()), OTPD_PHONE_TYPE_VOIP},
                  {Kind(from.personal_number()), OTPD_PHONE_TYPE_PERSONAL_NUMBER},
                  {Kind(from.pager()), OTPD_PHONE_TYPE_PAGER},
                  {Kind(from.uan()), OTPD_PHONE_TYPE_UAN},
                  {Kind(from.voicemail()), OTPD_PHONE_TYPE_VOICEMAIL}}},
          areMobileAndFixedLineOne(from.same_mobile_and_fixed_line_pattern()) {
        std::memcpy(name, from.id().data(), std::min(from.id().size(), sizeof name - 1));
        if (from.has_leading_digits()) leading = PatternReader(from.leading_digits()).read();
    }

    /// As `PhoneNumberUtil::GetNumberType` has it.
    otpd_phone_type type(const uint8_t *national, size_t length) const {
        if (!general.has(national, length)) return OTPD_PHONE_TYPE_UNKNOWN;
        for (const auto &[kind, type] : others) {
            if (kind.has(national, length)) return type;
        }
        if (fixedLine.has(national, length)) {
            return areMobileAndFixedLineOne || mobile.has(national, length) ? OTPD_PHONE_TYPE_FIXED_LINE_OR_MOBILE
                                                                            : OTPD_PHONE_TYPE_FIXED_LINE;
        }
        return !areMobileAndFixedLineOne && mobile.has(national, length) ? OTPD_PHONE_TYPE_MOBILE
                                                                         : OTPD_PHONE_TYPE_UNKNOWN;
    }
};

/// The numbers of one calling code.
struct Plan {
    /// The main one first.
    std::vector<Region> regions;
    /// The national prefix that a parser strips, where that is plain digits.
    std::string prefix;
    /// Whether a parser matches or rewrites more than that, as in Mexico (+52 1 …) and Argentina.
    bool isRewritten = false;
    /// Whether a pattern could not be read.
    bool isForeign = false;

    void add(const PhoneMetadata &metadata) {
        // Of countries that share a code, the parser takes the main one's rules.
        if ((regions.empty() && !isForeign) || metadata.main_country_for_code()) {
            prefix = metadata.national_prefix_for_parsing();
            const bool isPlain = std::all_of(prefix.begin(), prefix.end(), [](char c) { return c >= '0' && c <= '9'; });
            isRewritten = !isPlain || metadata.has_national_prefix_transform_rule();
        }
        try {
            regions.emplace(metadata.main_country_for_code() ? regions.begin() : regions.end(), metadata);
        } catch (const std::invalid_argument &) {
            isForeign = true;
        }
    }

    bool mayRewrite(const uint8_t *national, size_t length) const {
        return isRewritten
            || (!prefix.empty() && length >= prefix.size() && std::memcmp(national, prefix.data(), prefix.size()) == 0);
    }

    /// As `PhoneNumberUtil::GetRegionCodeForNumber` finds it; null where it is in none.
    const Region *region(const uint8_t *national, size_t length) const {
        if (regions.size() == 1) return &regions[0];
        for (const Region &region : regions) {
            if (region.leading.empty() ? region.type(national, length) != OTPD_PHONE_TYPE_UNKNOWN
                                       : matches(region.leading.data(), national, national + length, true)) {
                return &region;
            }
        }
        return nullptr;
    }
};

/// By calling code, which has one to three digits; made once, under the lock of a static's initialisation.
const std::vector<Plan> &plans() {
    static const std::vector<Plan> all = [] {
        // A PhoneMetadataCollection, read a member at a time: as a whole it takes 1.5 MB.
        google::protobuf::io::CodedInputStream input(
            static_cast<const uint8_t *>(i18n::phonenumbers::metadata_get()), i18n::phonenumbers::metadata_size());
        std::vector<Plan> made(1000);
        PhoneMetadata metadata;
        while (input.ReadTag() != 0) {
            const auto end = input.ReadLengthAndPushLimit();
            if (!metadata.ParseFromCodedStream(&input)) {
                throw std::runtime_error("libphonenumber's metadata cannot be read");
            }
            input.PopLimit(end);
            made.at(metadata.country_code()).add(metadata);
        }
        for (Plan &plan : made) plan.regions.shrink_to_fit();
        return made;
    }();
    return all;
}

}  // namespace

bool NumberPlans::accept(const uint8_t *digits, size_t length, otpd_phone_number *out) {
    // No calling code begins another, so the first that is known is the one.
    int code = 0;
    size_t at = 0;
    do code = code * 10 + (digits[at++] - '0');
    while (plans()[code].regions.empty() && at < length && at < 3);
    const Plan &plan = plans()[code];
    const uint8_t *national = digits + at;
    length -= at;
    if (length == 0 || plan.isForeign || plan.mayRewrite(national, length)) return false;
    const Region *region = plan.region(national, length);
    if (region == nullptr) return false;
    const otpd_phone_type type = region->type(national, length);
    if (!canReceiveText(type)) return false;
    out->type = type;
    std::memcpy(out->region, region->name, sizeof out->region);
    return true;
}

bool NumberPlans::mayRewrite(int code, const uint8_t *national, size_t length) {
    const Plan &plan = plans().at(code);
    return plan.regions.empty() || plan.isForeign || plan.mayRewrite(national, length);
}

bool NumberPlans::canReceiveText(otpd_phone_type type) {
    switch (type) {
    case OTPD_PHONE_TYPE_MOBILE:
    case OTPD_PHONE_TYPE_FIXED_LINE_OR_MOBILE:
    case OTPD_PHONE_TYPE_VOIP:
    case OTPD_PHONE_TYPE_PERSONAL_NUMBER:
        return true;
    case OTPD_PHONE_TYPE_FIXED_LINE:
    case OTPD_PHONE_TYPE_TOLL_FREE:
    case OTPD_PHONE_TYPE_PREMIUM_RATE:
    case OTPD_PHONE_TYPE_SHARED_COST:
    case OTPD_PHONE_TYPE_PAGER:
    case OTPD_PHONE_TYPE_UAN:
    case OTPD_PHONE_TYPE_VOICEMAIL:
    case OTPD_PHONE_TYPE_UNKNOWN:
        return false;
    }
    return false;
}
