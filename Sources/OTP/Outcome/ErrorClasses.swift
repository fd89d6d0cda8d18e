/// The classes of Twilio's error codes, as rows of `otp.error_classes`: data that operators may edit.
///
/// Twilio's API description says not to branch on codes in programs, and Twilio splits codes now and then. So a code
/// without a row gets a safe default and raises an alert.
public struct ErrorClasses: Sendable {
    /// One row of `otp.error_classes`.
    public struct Row: Sendable, Hashable {
        public let code: Int
        public let className: String
        public let stage: String
        public let explanation: String
        public let remedy: String

        public init(code: Int, className: String, stage: String, explanation: String, remedy: String) {
            self.code = code
            self.className = className
            self.stage = stage
            self.explanation = explanation
            self.remedy = remedy
        }
    }

    /// When a code turns up.
    public enum Stage: String, Sendable, Hashable, CaseIterable {
        /// In the answer to our request.
        case create
        /// In the status of a message, later.
        case delivery
        case verify
        case inbound
    }

    /// The row of a code, or the safe default.
    public struct Entry: Sendable, Hashable {
        public let code: Int
        /// Nil if no row names the code.
        public let errorClass: ErrorClass?
        public let stage: Stage?
        public let explanation: String
        public let remedy: String
    }

    /// All the rows that cannot be used, reported together.
    public struct Problem: Sendable, Hashable, CustomStringConvertible {
        public let rows: [Row]

        public var description: String {
            let classes = ErrorClass.allCases.map(\.rawValue).joined(separator: ", ")
            let stages = Stage.allCases.map(\.rawValue).joined(separator: ", ")
            let named = rows.map { "\($0.code) (class \"\($0.className)\", stage \"\($0.stage)\")" }
            return """
                rows of otp.error_classes have an unknown class or stage: \(named.joined(separator: ", ")). \
                Use one of the classes \(classes) and one of the stages \(stages).
                """
        }
    }

    private let entries: [Int: Entry]
    /// The rows that cannot be used; their codes get the safe default.
    public let problem: Problem?

    /// Reads every row. The last row of a code wins.
    public init(_ rows: [Row]) {
        var entries: [Int: Entry] = [:]
        var bad: [Row] = []
        for row in rows {
            guard let errorClass = ErrorClass(rawValue: row.className), let stage = Stage(rawValue: row.stage) else {
                bad.append(row)
                continue
            }
            entries[row.code] = Entry(
                code: row.code, errorClass: errorClass, stage: stage,
                explanation: row.explanation, remedy: row.remedy)
        }
        self.entries = entries
        problem = bad.isEmpty ? nil : Problem(rows: bad)
    }

    /// No rows: every code gets the safe default. A worker starts with this, until it has read the table.
    public static let none = ErrorClasses([])

    public var count: Int { entries.count }

    /// The row of a code, or the safe default if no row names it.
    public func entry(code: Int, httpStatus: Int? = nil) -> Entry {
        if let entry = entries[code] { return entry }
        if httpStatus == 401 {
            return Entry(
                code: code, errorClass: .pauseWorker, stage: .create,
                explanation: "Twilio does not accept our account or credentials",
                remedy: "Check TWILIO_ACCOUNT_SID, the credentials and the account's state in the Twilio console.")
        }
        return Entry(
            code: code, errorClass: nil, stage: nil,
            explanation: "Twilio answered with error \(code), which has no row in otp.error_classes",
            remedy: "Look it up at https://www.twilio.com/docs/api/errors/\(code) and add a row to otp.error_classes.")
    }
}
