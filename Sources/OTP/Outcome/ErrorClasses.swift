/// The classes of Twilio's error codes, as rows of `otp.error_classes`: data that operators may edit.
///
/// Twilio's API description says not to branch on codes in programs, and codes are split now and then. So a code that
/// no row names has a safe default and is an alert.
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

    /// What is known of a code.
    public struct Entry: Sendable, Hashable {
        public let code: Int
        /// Nil where no row names the code.
        public let errorClass: ErrorClass?
        public let stage: Stage?
        public let explanation: String
        public let remedy: String
    }

    /// Rows that cannot be used, in words: all of them at once.
    public struct Problem: Sendable, Hashable, CustomStringConvertible {
        public let rows: [Row]

        public var description: String {
            let classes = ErrorClass.allCases.map(\.rawValue).joined(separator: ", ")
            let stages = Stage.allCases.map(\.rawValue).joined(separator: ", ")
            let named = rows.map { "\($0.code) (class \"\($0.className)\", stage \"\($0.stage)\")" }
            return """
                otp.error_classes has rows that mean nothing: \(named.joined(separator: ", ")). \
                Use a class of \(classes); and a stage of \(stages)
                """
        }
    }

    private let entries: [Int: Entry]
    /// Rows that can't be used; their codes have the safe default.
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

    /// No rows at all: every code has the safe default. What a worker has before it has read the table.
    public static let none = ErrorClasses([])

    public var count: Int { entries.count }

    /// What is known of a code; the safe default where no row names it.
    public func entry(code: Int, httpStatus: Int? = nil) -> Entry {
        if let entry = entries[code] { return entry }
        if httpStatus == 401 {
            return Entry(
                code: code, errorClass: .pauseWorker, stage: .create,
                explanation: "Twilio does not accept our account or credentials",
                remedy: "check TWILIO_ACCOUNT_SID, the credentials and the account's state in the Twilio console")
        }
        return Entry(
            code: code, errorClass: nil, stage: nil,
            explanation: "Twilio answered with error \(code), which otp.error_classes does not have",
            remedy: "look the code up in Twilio's error list and add it to otp.error_classes")
    }
}
