/// A step of a conversation over SMTP, at which a fault may strike.
enum MailStep: String, CaseIterable, Sendable {
    /// The greeting.
    case connect
    case ehlo, starttls, auth, mail, rcpt, data
    /// While the mail arrives, before its final dot.
    case content
    /// The final dot.
    case final
}

/// A fault of one step.
enum MailFault: Equatable {
    /// This reply, and no effect.
    case reply(code: Int, text: String)
    /// The connection is closed without a reply, and nothing is kept.
    case close
    /// The step takes effect, and the connection is closed without a reply.
    case keepThenClose
    /// The reply comes after this time.
    case slow(milliseconds: Int)
    /// The step takes effect, and no reply ever comes on the open connection.
    case never

    static let names = ["reply", "close", "keep_then_close", "slow", "never"]

    /// The name that `/_sim/faults` and the statistics use.
    var name: String {
        switch self {
        case .reply: "reply"
        case .close: "close"
        case .keepThenClose: "keep_then_close"
        case .slow: "slow"
        case .never: "never"
        }
    }

    /// The fault of that name, or nil. `code` and `text` are for `reply`, `milliseconds` for `slow`.
    init?(name: String, code: Int, text: String?, milliseconds: Int) {
        switch name {
        case "reply": self = .reply(code: code, text: text ?? Self.text(code))
        case "close": self = .close
        case "keep_then_close": self = .keepThenClose
        case "slow": self = .slow(milliseconds: milliseconds)
        case "never": self = .never
        default: return nil
        }
    }

    /// The words of a reply with that code, after the enhanced status code that fits it.
    static func text(_ code: Int) -> String {
        switch code {
        case 421: "4.3.2 Service shutting down"
        case 450: "4.2.1 Mailbox busy, try again later"
        case 451: "4.3.0 Local error, try again later"
        case 452: "4.3.1 Insufficient system storage"
        case 535: "5.7.8 Authentication credentials invalid"
        case 550: "5.1.1 No such user here"
        case 552: "5.2.2 Mailbox full"
        case 554: "5.7.1 Message refused"
        default: "\(code / 100).0.0 Simulated reply"
        }
    }
}
