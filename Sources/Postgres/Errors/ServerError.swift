internal import CLibpq

/// What the server said in an ErrorResponse or a NoticeResponse, field by field.
public struct ServerError: Sendable, Equatable, CustomStringConvertible {
    /// `ERROR`, `FATAL`, `PANIC`; of notices `WARNING`, `NOTICE`, `INFO`, `LOG`, `DEBUG`. Never localised.
    public var severity: String
    /// Five characters (PostgreSQL, Appendix A); empty when libpq made the message up by itself.
    public var sqlstate: String
    /// The primary message. May quote a value of the statement when `sqlstate` begins with 22.
    public var message: String
    /// May quote whole rows: never for logs.
    public var detail: String?
    /// What PostgreSQL suggests.
    public var hint: String?
    /// The constraint that was violated.
    public var constraint: String?
    /// The table concerned.
    public var table: String?
    /// The column concerned.
    public var column: String?
    /// The function of PostgreSQL's source that raised it: what tells messages apart in any language.
    public var routine: String?

    /// A message of these fields.
    public init(severity: String, sqlstate: String, message: String) {
        self.severity = severity
        self.sqlstate = sqlstate
        self.message = message
    }

    /// Severity, SQLSTATE, message, constraint and hint; never the detail, and no message that quotes a value.
    public var description: String {
        // Class 22, data exceptions, quote what they could not read.
        let said =
            sqlstate.hasPrefix("22") ? "a value was refused (the message may quote it, so it is left out)" : message
        var text = "\(severity)"
        if !sqlstate.isEmpty { text += " \(sqlstate)" }
        text += ": \(said)"
        if let constraint { text += " (constraint \(constraint))" }
        if let hint, !hint.isEmpty { text += ". \(hint)" }
        return text
    }

    /// A `FATAL` or `PANIC`: the server ends the connection after it.
    public var endsConnection: Bool { severity == "FATAL" || severity == "PANIC" }

    /// Reads the fields of `result`, which the caller owns; nothing of it is kept.
    init(_ result: OpaquePointer) {
        func field(_ code: Int32) -> String? {
            guard let value = unsafe PQresultErrorField(result, code) else { return nil }
            return unsafe String(cString: value)
        }
        let severity = field(Field.severity) ?? "ERROR"
        let whole = unsafe PQresultErrorMessage(result)
        let message = field(Field.message) ?? (unsafe whole.map { unsafe String(cString: $0) } ?? "")
        self.init(severity: severity, sqlstate: field(Field.sqlstate) ?? "", message: trimmed(message))
        detail = field(Field.detail)
        hint = field(Field.hint)
        constraint = field(Field.constraint)
        table = field(Field.table)
        column = field(Field.column)
        routine = field(Field.routine)
    }

    /// `PG_DIAG_*` of postgres_ext.h, which as character macros don't reach Swift.
    private enum Field {
        static let severity = Int32(UInt8(ascii: "V"))
        static let sqlstate = Int32(UInt8(ascii: "C"))
        static let message = Int32(UInt8(ascii: "M"))
        static let detail = Int32(UInt8(ascii: "D"))
        static let hint = Int32(UInt8(ascii: "H"))
        static let table = Int32(UInt8(ascii: "t"))
        static let column = Int32(UInt8(ascii: "c"))
        static let constraint = Int32(UInt8(ascii: "n"))
        static let routine = Int32(UInt8(ascii: "R"))
    }
}

/// `text` without the white space and line breaks that libpq's messages end with; inner line breaks become "; ".
func trimmed(_ text: some StringProtocol) -> String {
    text.split(whereSeparator: \.isNewline).map { line in
        var line = line.drop(while: \.isWhitespace)
        while line.last?.isWhitespace == true { line.removeLast() }
        return String(line)
    }.filter { !$0.isEmpty }.joined(separator: "; ")
}
