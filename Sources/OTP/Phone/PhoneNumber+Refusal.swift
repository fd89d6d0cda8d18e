internal import CPhoneNumber

extension PhoneNumber {
    /// Why a number is refused. Says what to do about it, and never echoes the number.
    public enum Refusal: String, Error, Sendable, Hashable, CaseIterable {
        case empty
        case notANumber = "not_a_number"
        case letters
        case hasExtension = "has_extension"
        case unknownCountry = "unknown_country"
        case tooShort = "too_short"
        case tooLong = "too_long"
        case invalid
        case cannotReceiveText = "cannot_receive_text"
        /// Only where E.164 is expected: something else than a plus and digits, or a number that has another E.164 form.
        case notE164 = "not_e164"
        /// libphonenumber itself failed; the number may be good.
        case checkFailed = "check_failed"

        /// What is wrong with the number, in plain words.
        public var explanation: String {
            switch self {
            case .empty: "the phone number is empty"
            case .notANumber: "the phone number has characters that no phone number has"
            case .letters: "the phone number has letters in it"
            case .hasExtension: "the phone number has an extension, and a text message cannot reach one"
            case .unknownCountry: "the phone number's country is unknown"
            case .tooShort: "the phone number is too short for its country"
            case .tooLong: "the phone number is too long for its country"
            case .invalid: "no number range of its country has this phone number"
            case .cannotReceiveText:
                "the phone number is of a kind that cannot receive text messages, such as a landline"
            case .notE164: "the stored phone number is not in E.164 form"
            case .checkFailed: "libphonenumber failed while checking the phone number"
            }
        }

        /// What to do about it.
        public var remedy: String {
            switch self {
            case .empty: "ask the user for a phone number"
            case .notANumber, .letters: "ask the user for the number in digits alone"
            case .hasExtension: "ask the user for a mobile number without an extension"
            case .unknownCountry: "ask the user for the number with its country code, such as +966…, or set the region"
            case .tooShort, .tooLong: "ask the user to check the number digit by digit"
            case .invalid: "ask the user to check the number and its country"
            case .cannotReceiveText: "ask the user for a mobile number"
            case .notE164: "see which trigger wrote e164: it must be a plus and up to fifteen digits"
            case .checkFailed: "see whether the machine is short of memory, then request the code again"
            }
        }

        /// The refusal that a status means; nil when the number is good.
        init?(_ status: otpd_phone_status) {
            switch status {
            case .ok: return nil
            case .empty: self = .empty
            case .notANumber: self = .notANumber
            case .letters: self = .letters
            case .extension: self = .hasExtension
            case .unknownCountry: self = .unknownCountry
            case .tooShort: self = .tooShort
            case .tooLong: self = .tooLong
            case .invalid: self = .invalid
            case .noSms: self = .cannotReceiveText
            case .notE164: self = .notE164
            case .internal: self = .checkFailed
            }
        }
    }
}

extension PhoneNumber.Refusal: CustomStringConvertible {
    public var description: String { "\(explanation): \(remedy)" }
}
