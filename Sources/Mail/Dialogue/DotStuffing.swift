internal import Glibc

/// Prepares a content for SMTP (RFC 5321 4.5.2): each line ends with CR LF, and a line that begins with a dot gets
/// another one. So no content can end itself, or begin another command.
enum DotStuffing {
    /// The line that ends a content.
    static let end = Array(".\r\n".utf8)

    private static let (cr, lf, dot) = (UInt8(ascii: "\r"), UInt8(ascii: "\n"), UInt8(ascii: "."))

    /// Does nothing to a content that needs nothing, as all of `MailMessage` do. Wipes what it replaces.
    static func apply(to content: inout [UInt8]) {
        guard !isClean(content) else { return }
        var clean: [UInt8] = []
        // The largest possible size, because a growing array would leave copies of the code behind.
        clean.reserveCapacity(2 * content.count + 2)
        var isLineStart = true
        var index = 0
        while index < content.count {
            let byte = content[index]
            index += 1
            if byte == cr || byte == lf {
                if byte == cr, index < content.count, content[index] == lf { index += 1 }
                clean.append(cr)
                clean.append(lf)
                isLineStart = true
                continue
            }
            if isLineStart, byte == dot { clean.append(dot) }
            clean.append(byte)
            isLineStart = false
        }
        if !isLineStart {
            clean.append(cr)
            clean.append(lf)
        }
        wipe(&content)
        content = clean
    }

    private static func isClean(_ content: [UInt8]) -> Bool {
        guard content.suffix(2).elementsEqual([cr, lf]), content[0] != dot else { return false }
        for index in content.indices {
            switch content[index] {
            case cr: if index + 1 == content.count || content[index + 1] != lf { return false }
            case lf: if index == 0 || content[index - 1] != cr { return false }
            case dot: if content[index - 1] == lf { return false }
            default: break
            }
        }
        return true
    }
}

/// Overwrites bytes that held a code or a password.
func wipe(_ bytes: inout [UInt8]) {
    unsafe bytes.withUnsafeMutableBytes { bytes in
        guard let start = bytes.baseAddress else { return }
        unsafe explicit_bzero(start, bytes.count)
    }
}
