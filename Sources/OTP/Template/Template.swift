/// The text of a message with placeholders for the app's name, the code and the minutes that it has left.
///
/// Parsed once, when the templates are loaded. Rendered per send into a reused buffer, without making a string.
public struct Template: Sendable, Hashable {
    /// A placeholder: `{app}`, `{code}` or `{minutes}`.
    public enum Placeholder: String, Sendable, Hashable, CaseIterable {
        case app, code, minutes
    }

    enum Part: Sendable, Hashable {
        /// A stretch of ``literals``.
        case literal(Range<Int>)
        case placeholder(Placeholder)
    }

    let literals: [UInt8]
    let parts: [Part]

    /// Parses a template. Everything in braces is a placeholder; a literal brace cannot be written.
    ///
    /// With a host, the message ends with the line `@host #code` and no line break after it (`WebOTPHost`).
    public init(_ text: String, webOTPHost: String? = nil) throws(Problem) {
        try self.init(parsing: text, webOTPHost: webOTPHost, needsCode: true)
    }

    /// Parses the subject of a mail, which need not have the code.
    public init(subject: String) throws(Problem) {
        try self.init(parsing: subject, webOTPHost: nil, needsCode: false)
    }

    private init(parsing text: String, webOTPHost: String?, needsCode: Bool) throws(Problem) {
        var literals: [UInt8] = []
        var parts: [Part] = []
        var start = 0
        // Searches bytes, as PostgreSQL does for `{code}`. A `Character` would merge a brace with a combining mark
        // after it.
        let (opening, closing) = (UInt8(ascii: "{"), UInt8(ascii: "}"))
        var rest = Array(text.utf8)[...]
        func closeLiteral() {
            if literals.count > start { parts.append(.literal(start..<literals.count)) }
            start = literals.count
        }
        guard !text.utf8.contains(0) else { throw .containsNUL }
        while let brace = rest.firstIndex(where: { $0 == opening || $0 == closing }) {
            literals.append(contentsOf: rest[..<brace])
            guard rest[brace] == opening, let close = rest[brace...].firstIndex(of: closing) else {
                throw .unbalancedBrace
            }
            let name = String(decoding: rest[(brace + 1)..<close], as: UTF8.self)
            guard let placeholder = Placeholder(rawValue: name) else { throw .unknownPlaceholder(name) }
            closeLiteral()
            parts.append(.placeholder(placeholder))
            rest = rest[(close + 1)...]
        }
        literals.append(contentsOf: rest)
        closeLiteral()
        guard !needsCode || parts.contains(.placeholder(.code)) else { throw .noCode }
        if let webOTPHost {
            guard let host = WebOTPHost(webOTPHost) else { throw .notAHost }
            literals.append(contentsOf: "\n@\(host.name) #".utf8)
            closeLiteral()
            parts.append(.placeholder(.code))
        }
        self.literals = literals
        self.parts = parts
    }

    /// Parses the words of a call (`call_text`), which have the placeholders of a message.
    public init(callText text: String) throws(Problem) {
        do throws(Problem) {
            try self.init(text)
        } catch .noCode {
            throw .noSpokenCode
        }
    }

    /// Appends the message as UTF-8. `app` is UTF-8; `minutes` as from ``minutes(lifeLeft:)``.
    public func render(into buffer: inout [UInt8], app: [UInt8], code: Code, minutes: Int) {
        for part in parts {
            switch part {
            case .literal(let range): buffer.append(contentsOf: literals[range])
            case .placeholder(.app): buffer.append(contentsOf: app)
            case .placeholder(.code): code.append(to: &buffer)
            case .placeholder(.minutes): Template.append(minutes, to: &buffer)
            }
        }
    }

    /// A part of a text, for a format that encodes the text in its own way.
    public enum TextPart: Sendable, Hashable {
        /// UTF-8.
        case literal(ArraySlice<UInt8>)
        case placeholder(Placeholder)
    }

    /// Calls `body` with each part, in order.
    public func forEachPart(_ body: (TextPart) -> Void) {
        for part in parts {
            switch part {
            case .literal(let range): body(.literal(literals[range]))
            case .placeholder(let name): body(.placeholder(name))
            }
        }
    }

    /// The minutes that a message names: the life left, rounded to the nearest whole minute, and at least one.
    ///
    /// It is rounded because a five-minute code is a second or two old when its message is written.
    public static func minutes(lifeLeft: Duration) -> Int {
        max(1, Int((lifeLeft + .seconds(30)).components.seconds / 60))
    }

    private static func append(_ number: Int, to buffer: inout [UInt8]) {
        if number >= 10 { append(number / 10, to: &buffer) }
        buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: max(0, number) % 10))
    }
}

extension Template {
    /// Why a text is not a valid template, in the words of SQL (`templates_before_write`). A template's text is no
    /// secret, so the error names the placeholder.
    public enum Problem: Error, Sendable, Hashable, CustomStringConvertible {
        case noCode
        /// Of the words of a call.
        case noSpokenCode
        case notContentSID
        case unknownPlaceholder(String)
        case unbalancedBrace
        case containsNUL
        case notAHost

        public var description: String {
            switch self {
            case .noCode: "body must contain {code}. Without it a user never gets the code."
            case .noSpokenCode: "call_text must contain {code}. Without it a user never hears the code."
            case .notContentSID:
                "content_sid is not a content SID. Copy it from the Twilio console: HX and 32 hexadecimal digits."
            case .unknownPlaceholder(let name):
                "unknown placeholder {\(name)}. The placeholders are {app}, {code} and {minutes}."
            case .unbalancedBrace:
                "unmatched brace. The placeholders are {app}, {code} and {minutes}. A text cannot have other braces."
            case .containsNUL: "body has a NUL character. Remove it."
            case .notAHost:
                "web_otp_host is not a host name. Write the host in lower case, such as example.com, without https://, "
                    + "port or path."
            }
        }
    }
}
