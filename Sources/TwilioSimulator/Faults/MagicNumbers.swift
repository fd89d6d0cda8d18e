/// Numbers with a fixed outcome. otpd's own are valid Saudi mobiles, so that SQL accepts them:
///
///     +96659 00 CCCCC   creation refused with Twilio error CCCCC
///     +96659 01 CCCCC   accepted, ends undelivered with error CCCCC (failed for 30001 and 30002);
///                       +966590100000 ends at `sent`: a carrier without receipts
///     +96659 02 FFFFF   a fault, the first time only; see `fault`
///
/// Twilio's own test numbers are those in its documentation of test credentials.
enum MagicNumbers {
    enum Fate: Equatable {
        case refused(code: Int)
        case ends(Outcome, errorCode: UInt32)
        case faultOnce(Fault)
    }

    /// The outcome of a message to that number, or nil.
    static func fate(to: [UInt8]) -> Fate? {
        if to.count == 12, to.starts(with: "+1500555000".utf8) {
            return twilioRecipient(to[11]).map { .refused(code: $0) }
        }
        guard to.count == 13, to.starts(with: "+966590".utf8), let code = Int(String(utf8: to[8...])) else {
            return nil
        }
        switch to[7] {
        case UInt8(ascii: "0"): return .refused(code: code)
        case UInt8(ascii: "1") where code == 0: return .ends(.sent, errorCode: 0)
        case UInt8(ascii: "1"):
            return .ends(code == 30001 || code == 30002 ? .failed : .undelivered, errorCode: UInt32(code))
        case UInt8(ascii: "2"): return fault(code).map { .faultOnce($0) }
        default: return nil
        }
    }

    /// The error code that refuses that sender, or nil.
    static func refusal(from: [UInt8]) -> Int? {
        guard from.count == 12, from.starts(with: "+1500555000".utf8) else { return nil }
        return switch from[11] {
        case UInt8(ascii: "1"): 21212
        case UInt8(ascii: "7"): 21606
        case UInt8(ascii: "8"): 21611
        default: nil
        }
    }

    private static func twilioRecipient(_ digit: UInt8) -> Int? {
        switch digit {
        case UInt8(ascii: "1"): 21211
        case UInt8(ascii: "2"): 21612
        case UInt8(ascii: "3"): 21408
        case UInt8(ascii: "4"): 21610
        case UInt8(ascii: "9"): 21614
        default: nil
        }
    }

    private static func fault(_ code: Int) -> Fault? {
        switch code {
        case 429: .tooManyRequests(retryAfter: "1")
        case 430: .tooManyRequests(retryAfter: nil)
        case 403: .blocked(status: 403)
        case 500: .serverError(created: false)
        case 503: .unavailable
        case 1: .readThenClose
        case 2: .createThenClose
        case 3: .closeMidAnswer
        case 4: .garbage
        case 5: .slow(milliseconds: 3000)
        case 6: .never
        default: nil
        }
    }

    /// The table, for `--help`.
    static let help = """
        Magic numbers (To), valid Saudi mobiles:
          +96659 00 CCCCC  refused with Twilio error CCCCC, e.g. +966590021211 invalid, +966590021608 unverified on
                           trial, +966590021610 opted out, +966590021614 landline, +966590021408 no permission
          +96659 01 CCCCC  accepted, ends undelivered with error CCCCC (failed for 30001, 30002);
                           +966590100000 ends at sent (no receipt)
          and these, the first time only; later messages are delivered:
          +966590200429    429 with Retry-After: 1
          +966590200430    429 without Retry-After
          +966590200403    403 with an HTML page, as a firewall or a proxy answers
          +966590200500    500                     +966590200503  503 with an HTML body
          +966590200001    read, then closed: not created
          +966590200002    created, then closed without an answer
          +966590200003    created, closed in the middle of the answer
          +966590200004    created, the answer is garbage
          +966590200005    created, answered after 3 s
          +966590200006    created, never answered
        Twilio's own: To +15005550001 21211, …0002 21612, …0003 21408, …0004 21610, …0009 21614;
          From +15005550001 21212, …0007 21606, …0008 21611.
        """
}
