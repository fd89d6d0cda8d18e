internal import CLibpq

/// The fields of an ErrorResponse or a NoticeResponse from the server.
public struct ServerError: Sendable, Equatable, CustomStringConvertible {
    /// `ERROR`, `FATAL`, `PANIC`; of notices `WARNING`, `NOTICE`, `INFO`, `LOG`, `DEBUG`. Never localized.
    public var severity: String
    /// Five characters (PostgreSQL, Appendix A). Empty if the message is libpq's own.
    public var sqlstate: String
    /// The primary message. May quote a value of the statement if `sqlstate` begins with 22.
    public var message: String
    /// May quote whole rows, so never log it.
    public var detail: String?
    /// PostgreSQL's suggestion.
    public var hint: String?
    /// The constraint that was violated.
    public var constraint: String?
    /// The table concerned.
    public var table: String?
    /// The column concerned.
    public var column: String?
    /// The function in PostgreSQL's source that raised it. It identifies a message in any language.
    public var routine: String?

    /// Makes an error of these fields.
    public init(severity: String, sqlstate: String, message: String) {
        self.severity = severity
        self.sqlstate = sqlstate
        self.message = message
    }

    /// Severity, SQLSTATE, message, constraint and hint. Leaves out the detail, and any message that may quote a value.
    public var description: String {
        // Messages of class 22 (data exceptions) quote the invalid value.
        let said =
            sqlstate.hasPrefix("22") ? "a value was refused (the message may quote it, so it is left out)" : message
        var text = "\(severity)"
        if !sqlstate.isEmpty { text += " \(sqlstate)" }
        text += ": \(said)"
        if let constraint { text += " (constraint \(constraint))" }
        if let hint, !hint.isEmpty { text += ". \(hint)" }
        return text
    }

    /// Whether the server ends the connection after it: it is a `FATAL` or `PANIC`.
    public var endsConnection: Bool { severity == "FATAL" || severity == "PANIC" }

    /// Reads the fields of `result`, which the caller owns. Keeps no reference to it.
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

    /// `PG_DIAG_*` of postgres_ext.h. Swift does not import character macros.
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

/// `text` without the white space and line breaks at the end of libpq's messages. Inner line breaks become "; ".
func trimmed(_ text: some StringProtocol) -> String {
    text.split(whereSeparator: \.isNewline).map { line in
        var line = line.drop(while: \.isWhitespace)
        while line.last?.isWhitespace == true { line.removeLast() }
        return String(line)
    }.filter { !$0.isEmpty }.joined(separator: "; ")
}
