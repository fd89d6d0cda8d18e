/// One e-mail address, checked. It always prints itself masked. Only ``text`` gives the whole address, and its callers
/// are responsible for where it goes.
///
/// Accepted is the form that people use: a dot-atom before the last `@`, and a domain with at least one dot after it.
/// The local part may have characters of any script (RFC 6531), and then the mail server must support SMTPUTF8. A
/// domain of another script is converted to ASCII (IDNA 2008).
public struct MailAddress: Sendable, Hashable {
    /// The part before the `@`, as it was written.
    public let local: String
    /// The domain, in ASCII and lower case.
    public let domain: String

    /// The most bytes of an address, which is the limit of a path without its brackets, and of a local part
    /// (RFC 5321 4.5.3.1).
    static let longest = 254
    static let longestLocal = 64

    /// Why a text is not an address. Never echoes it.
    public enum FormError: Error, Sendable, Hashable, CustomStringConvertible {
        case empty, tooLong, noAt, badLocalPart, quoted, badDomain, noDot, addressLiteral

        public var description: String {
            switch self {
            case .empty: "the e-mail address is empty"
            case .tooLong: "the e-mail address is too long: at most 254 bytes, and 64 of them before the @"
            case .noAt: "the e-mail address has no @"
            case .badLocalPart: "the part before the @ has a character or a dot that cannot be there"
            case .quoted: "the part before the @ is quoted, which is not supported"
            case .badDomain: "the part after the @ is not a domain"
            case .noDot: "the part after the @ has no dot"
            case .addressLiteral: "the part after the @ is an IP address"
            }
        }
    }

    public init(_ text: String) throws(FormError) {
        // Twice the limit, because a domain may become shorter. Nothing longer is looked at.
        guard text.utf8.count <= 2 * Self.longest else { throw .tooLong }
        try self.init(bounded: Array(text.utf8))
    }

    /// Reads UTF-8.
    public init(utf8 bytes: Span<UInt8>) throws(FormError) {
        guard bytes.count <= 2 * Self.longest else { throw .tooLong }
        try self.init(bounded: bytes.indices.map { bytes[$0] })
    }

    private init(bounded bytes: [UInt8]) throws(FormError) {
        guard !bytes.isEmpty else { throw .empty }
        guard bytes.first != UInt8(ascii: "\"") else { throw .quoted }
        guard let at = bytes.lastIndex(of: UInt8(ascii: "@")) else { throw .noAt }
        guard at <= Self.longestLocal else { throw .tooLong }
        guard let local = String(validating: bytes[..<at], as: UTF8.self), Self.isDotAtom(local) else {
            throw .badLocalPart
        }
        let domain = try Self.domain(Array(bytes[(at + 1)...]))
        guard at + 1 + domain.utf8.count <= Self.longest else { throw .tooLong }
        self.local = local
        self.domain = domain
    }

    /// The whole address. Never for a log, an error or a view.
    public var text: String { "\(local)@\(domain)" }

    /// Whether the address needs no SMTPUTF8.
    public var isASCII: Bool { local.utf8.allSatisfy { $0 < 0x80 } }

    private static func domain(_ bytes: [UInt8]) throws(FormError) -> String {
        guard bytes.first != UInt8(ascii: "[") else { throw .addressLiteral }
        let isASCII = bytes.allSatisfy { $0 < 0x80 }
        let text = String(validating: bytes, as: UTF8.self)
        guard let name = isASCII ? DomainName(ascii: bytes) : text.flatMap(DomainName.init(international:)) else {
            throw .badDomain
        }
        let labels = name.text.utf8.split(separator: UInt8(ascii: "."))
        guard labels.count > 1 else { throw .noDot }
        guard !labels[labels.count - 1].allSatisfy({ (0x30...0x39).contains($0) }) else { throw .addressLiteral }
        return name.text
    }

    /// Whether the text is a dot-atom (RFC 5322 3.2.3) with the characters that RFC 6531 adds. Invisible
    /// characters are refused among those.
    private static func isDotAtom(_ text: String) -> Bool {
        // A dot in front of the first character, so that a text that begins with one is refused.
        var last: Unicode.Scalar = "."
        for scalar in text.unicodeScalars {
            if scalar == ".", last == "." { return false }
            guard scalar == "." || isAtomText(scalar) else { return false }
            last = scalar
        }
        return last != "."
    }

    private static func isAtomText(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.value >= 0x80 else {
            return switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9": true
            default: "!#$%&'*+-/=?^_`{|}~".unicodeScalars.contains(scalar)
            }
        }
        return switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            false
        default: true
        }
    }
}

extension MailAddress: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The address with most of its local part hidden, such as `a•••@example.com`.
    public var masked: String { "\(local.unicodeScalars.count > 1 ? String(local.prefix(1)) : "")•••@\(domain)" }
    public var description: String { masked }
    public var debugDescription: String { masked }
    public var customMirror: Mirror { Mirror(self, children: ["masked": masked]) }
}
