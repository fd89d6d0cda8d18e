/// Numbers with a fixed outcome. otpd's own are valid Saudi mobiles, so that SQL accepts them:
///
///     +96659 00 CCCCC   creation refused with Twilio error CCCCC
///     +96659 01 CCCCC   accepted, ends undelivered with error CCCCC (failed for 30001 and 30002);
///                       +966590100000 ends at `sent`: a carrier without receipts
///     +96659 02 FFFFF   a fault, the first time only; see `fault`
///     +96659 03 CCCCC   WhatsApp alone: ends undelivered with error CCCCC; +966590300000 ends at `read`
///     +96659 04 0000N   calls alone: end busy, no-answer, failed or canceled; see `callOutcome`
///     +96659 05 CCCCC   SMS alone: ends undelivered with error CCCCC
///     +96659 06 CCCCC   SMS alone: creation refused with Twilio error CCCCC
///     +96659 07 00SSS   Lookup: the risk SSS, from 0 to 100; without one for any other number SSS. See `risk`
///
/// The first three groups are for all channels of Twilio. A call of the group 01 ends as failed.
///
/// Twilio's own test numbers are those in its documentation of test credentials.
enum MagicNumbers {
    enum Fate: Equatable {
        case refused(code: Int)
        case ends(Outcome, errorCode: UInt32)
        case callEnds(CallOutcome)
        case faultOnce(Fault)
    }

    /// The outcome of a message or a call to that number, or nil.
    static func fate(to: [UInt8], _ channel: Channel) -> Fate? {
        if to.count == 12, to.starts(with: "+1500555000".utf8) {
            let code = channel == .call ? twilioCallee(to[11]) : twilioRecipient(to[11])
            return code.map { .refused(code: $0) }
        }
        guard to.count == 13, to.starts(with: "+966590".utf8), let code = Int(String(utf8: to[8...])) else {
            return nil
        }
        switch (to[7], channel) {
        case (UInt8(ascii: "0"), _), (UInt8(ascii: "6"), .sms): return .refused(code: code)
        case (UInt8(ascii: "1"), .call): return code == 0 ? nil : .callEnds(.failed)
        case (UInt8(ascii: "3"), .whatsapp) where code == 0: return .ends(.read, errorCode: 0)
        case (UInt8(ascii: "1"), _) where code == 0: return .ends(.sent, errorCode: 0)
        case (UInt8(ascii: "1"), _), (UInt8(ascii: "3"), .whatsapp), (UInt8(ascii: "5"), .sms):
            return .ends(code == 30001 || code == 30002 ? .failed : .undelivered, errorCode: UInt32(code))
        case (UInt8(ascii: "2"), _): return fault(code).map { .faultOnce($0) }
        case (UInt8(ascii: "4"), .call): return callOutcome(code).map { .callEnds($0) }
        default: return nil
        }
    }

    private static func callOutcome(_ code: Int) -> CallOutcome? {
        switch code {
        case 1: .busy
        case 2: .noAnswer
        case 3: .failed
        case 4: .canceled
        default: nil
        }
    }

    /// The risk of a number by Lookup, from 0 to 100; nil if Twilio knows none. It is 10 for all numbers but the magic ones.
    static func risk(of number: [UInt8]) -> Int? {
        guard number.count == 13, number.starts(with: "+9665907".utf8), let score = Int(String(utf8: number[8...]))
        else { return 10 }
        return score <= 100 ? score : nil
    }

    /// The error code that refuses that sender, or nil.
    static func refusal(from: [UInt8], _ channel: Channel = .sms) -> Int? {
        guard from.count == 12, from.starts(with: "+1500555000".utf8) else { return nil }
        return switch (from[11], channel) {
        case (UInt8(ascii: "1"), _): 21212
        case (UInt8(ascii: "7"), .call), (UInt8(ascii: "8"), .call): 21210
        case (UInt8(ascii: "7"), .whatsapp): 63007
        case (UInt8(ascii: "7"), _): 21606
        case (UInt8(ascii: "8"), _): 21611
        default: nil
        }
    }

    private static func twilioCallee(_ digit: UInt8) -> Int? {
        switch digit {
        case UInt8(ascii: "1"): 21217
        case UInt8(ascii: "2"): 21214
        case UInt8(ascii: "3"): 21215
        case UInt8(ascii: "4"): 21216
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
          +96659 03 CCCCC  WhatsApp alone: accepted, ends undelivered with error CCCCC, e.g. +966590363024 without
                           WhatsApp; +966590300000 ends at read
          +96659 04 0000N  calls alone: end busy (1), no-answer (2), failed (3) or canceled (4)
          +96659 05 CCCCC  SMS alone: accepted, ends undelivered with error CCCCC
          +96659 06 CCCCC  SMS alone: refused with Twilio error CCCCC, e.g. +966590621614 landline
          +96659 07 00SSS  Lookup: the risk SSS of 0 to 100, e.g. +966590700097; none for 101 and above. The risk of any
                           other number is 10
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
          From +15005550001 21212, …0007 21606, …0008 21611. Calls: To +15005550001 21217, …0002 21214, …0003 21215,
          …0004 21216; From …0007 and …0008 21210. WhatsApp: From …0007 63007.
        """
}
