internal import CPhoneNumber

/// What kind of line a number is, as libphonenumber's ranges tell it.
public enum NumberType: String, Sendable, Hashable, CaseIterable {
    case fixedLine = "fixed_line"
    case mobile
    /// Where one cannot tell from the number, as in the United States.
    case fixedLineOrMobile = "fixed_line_or_mobile"
    case tollFree = "toll_free"
    case premiumRate = "premium_rate"
    case sharedCost = "shared_cost"
    case voip
    case personalNumber = "personal_number"
    case pager
    /// Universal access ("company") numbers.
    case uan
    case voicemail

    /// Whether a text message may reach such a line: those known not to are refused before Twilio is asked.
    public var canReceiveText: Bool {
        switch self {
        case .mobile, .fixedLineOrMobile, .voip, .personalNumber: true
        case .fixedLine, .tollFree, .premiumRate, .sharedCost, .pager, .uan, .voicemail: false
        }
    }

    init(_ type: otpd_phone_type) {
        self =
            switch type {
            case .fixedLine: .fixedLine
            case .mobile: .mobile
            case .fixedLineOrMobile: .fixedLineOrMobile
            case .tollFree: .tollFree
            case .premiumRate: .premiumRate
            case .sharedCost: .sharedCost
            case .voip: .voip
            case .personalNumber: .personalNumber
            case .pager: .pager
            case .uan: .uan
            case .voicemail: .voicemail
            case .unknown: .fixedLineOrMobile
            }
    }

    var cValue: otpd_phone_type {
        switch self {
        case .fixedLine: .fixedLine
        case .mobile: .mobile
        case .fixedLineOrMobile: .fixedLineOrMobile
        case .tollFree: .tollFree
        case .premiumRate: .premiumRate
        case .sharedCost: .sharedCost
        case .voip: .voip
        case .personalNumber: .personalNumber
        case .pager: .pager
        case .uan: .uan
        case .voicemail: .voicemail
        }
    }
}
