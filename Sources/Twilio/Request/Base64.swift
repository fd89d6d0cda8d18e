/// Base64 (RFC 4648, 4), padded. For headers and signatures: short inputs, off the hot path.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func append(_ bytes: Span<UInt8>, to buffer: inout [UInt8]) {
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for offset in 0..<3 {
                group = group << 8 | (offset < count ? UInt32(bytes[start + offset]) : 0)
            }
            for position in 0..<4 {
                let index = Int(group >> UInt32(18 - 6 * position) & 0x3F)
                buffer.append(position <= count ? alphabet[index] : UInt8(ascii: "="))
            }
        }
    }
}
