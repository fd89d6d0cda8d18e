/// A one-time code: one to sixteen visible ASCII characters. It never prints itself.
///
/// Held inline, so that a code costs no allocation on the way from the database to the message.
public struct Code: Sendable, Equatable {
    private let packed: UInt128
    /// How many characters the code has.
    public let count: Int

    /// The longest code, in characters.
    public static let maximumLength = 16

    /// Why a value cannot be a code. Never echoes it.
    public enum FormError: Error, Sendable, Hashable, CustomStringConvertible {
        case empty, tooLong, notVisibleASCII

        public var description: String {
            switch self {
            case .empty: "the code is empty. Supply a code, or leave it out to let otpd generate one."
            case .tooLong: "the code is longer than \(Code.maximumLength) characters. Supply a shorter one."
            case .notVisibleASCII: "the code has characters other than visible ASCII. Supply letters and digits."
            }
        }
    }

    public init(_ bytes: Span<UInt8>) throws(FormError) {
        guard !bytes.isEmpty else { throw .empty }
        guard bytes.count <= Code.maximumLength else { throw .tooLong }
        var packed: UInt128 = 0
        for index in bytes.indices {
            guard (0x21...0x7E).contains(bytes[index]) else { throw .notVisibleASCII }
            packed = packed << 8 | UInt128(bytes[index])
        }
        self.packed = packed
        count = bytes.count
    }

    public init(_ text: String) throws(FormError) {
        guard text.utf8.count <= Code.maximumLength else { throw .tooLong }
        try self.init(text.utf8.span)
    }

    /// Appends the code's characters. The buffer's owner is responsible for where they go.
    public func append(to buffer: inout [UInt8]) {
        forEachCharacter { buffer.append($0) }
    }

    /// Calls `body` with each character, in order. `body` is responsible for where they go.
    public func forEachCharacter(_ body: (UInt8) -> Void) {
        for index in stride(from: (count - 1) * 8, through: 0, by: -8) {
            body(UInt8(truncatingIfNeeded: packed >> UInt128(index)))
        }
    }

    /// Compares in constant time: all sixteen characters at once.
    public static func == (left: Code, right: Code) -> Bool {
        (left.packed ^ right.packed) | UInt128(left.count ^ right.count) == 0
    }
}

extension Code: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "redacted" }
    public var debugDescription: String { "redacted" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
