internal import Glibc

/// The address of a Unix socket: a path, or an abstract name.
struct UnixAddress {
    private var address = sockaddr_un()
    private let length: socklen_t

    /// `/path`, or `@name` for an abstract address, whose first byte is NUL.
    init(_ path: String) throws(NotifierError) {
        var bytes = Array(path.utf8)
        switch bytes.first {
        case UInt8(ascii: "/"): break
        case UInt8(ascii: "@"): bytes[0] = 0
        default: throw .unusable(path: path, reason: "it is neither a path (/…) nor an abstract name (@…)")
        }
        let isPath = bytes[0] != 0
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        // A path ends in a NUL; an abstract name ends where the address does.
        guard bytes.count + (isPath ? 1 : 0) <= capacity else {
            throw .unusable(path: path, reason: "it is longer than the \(capacity) bytes that a socket's name may have")
        }
        guard !bytes.dropFirst().contains(0) else {
            throw .unusable(path: path, reason: "it contains a NUL")
        }
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? MemoryLayout<sa_family_t>.size
        length = socklen_t(offset + bytes.count + (isPath ? 1 : 0))
    }

    /// Calls connect(2). Returns false, with errno set, when it fails.
    mutating func connect(_ descriptor: Int32) -> Bool {
        let length = length
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(descriptor, $0, length) == 0
            }
        }
    }

    /// Calls bind(2). Returns false, with errno set, when it fails.
    mutating func bind(_ descriptor: Int32) -> Bool {
        let length = length
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.bind(descriptor, $0, length) == 0
            }
        }
    }
}

/// Why systemd could not be notified.
enum NotifierError: Error, Equatable, CustomStringConvertible {
    case unusable(path: String, reason: String)
    case notSent(reason: String)

    var description: String {
        switch self {
        case .unusable(let path, let reason):
            "NOTIFY_SOCKET is \(SingleLine.quoted(path)), which cannot be used: \(reason). "
                + "If systemd does not start otpd, unset it"
        case .notSent(let reason):
            "cannot notify systemd: \(reason). Check NotifyAccess= in the unit"
        }
    }
}
