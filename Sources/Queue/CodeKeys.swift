internal import CCrypto
internal import Glibc
public import OTP
internal import Postgres

/// The secrets that codes are sealed with, and the code that opens a seal: the counterpart of SQL's `otp.seal`.
///
/// A seal is the output of pgcrypto's `pgp_sym_encrypt`, an OpenPGP message (RFC 9580). First comes a Symmetric-Key
/// Encrypted Session Key packet (5.3.1: AES-256, S2K salted, with SHA-1). Then comes a Symmetrically Encrypted and
/// Integrity Protected Data packet (5.13.1). It holds one Literal Data packet (5.9), not compressed, and the SHA-1 of
/// everything before it.
///
/// The worker opens seals, which makes a claim a third cheaper for PostgreSQL (15 → 10 µs a row, and 1 µs here). A code
/// is readable only in the worker that writes its text.
@safe public final class CodeKeys: Sendable {
    private let keys: [(id: [UInt8], secret: Secret)]
    /// Their `key_id`s: sixteen hexadecimal digits each, which reveal nothing about the secrets.
    public var ids: [String] { keys.map { String(decoding: $0.id, as: UTF8.self) } }
    /// From libcrypto, freed with this object. Never changed, so any thread may use it.
    private nonisolated(unsafe) let cipher: OpaquePointer
    private nonisolated(unsafe) let digest: OpaquePointer

    /// - Parameter previous: the secret of codes that were sealed before a rotation.
    public init(_ current: Secret, previous: Secret? = nil) {
        guard let cipher = unsafe EVP_CIPHER_fetch(nil, "AES-256-CFB", nil),
            let digest = unsafe EVP_MD_fetch(nil, "SHA1", nil)
        else {
            preconditionFailure("libcrypto lacks AES-256-CFB or SHA-1, which are needed to open codes")
        }
        unsafe self.cipher = cipher
        unsafe self.digest = digest
        keys = [current, previous].compactMap { $0 }.map { (Self.id(of: $0), $0) }
    }

    deinit {
        unsafe EVP_CIPHER_free(cipher)
        unsafe EVP_MD_free(digest)
    }

    /// Identifies a secret without revealing it, as SQL's `otp.key_id` does.
    private static func id(of secret: Secret) -> [UInt8] {
        var text = Array("otp key id ".utf8)
        secret.withBytes { bytes in for index in bytes.indices { text.append(bytes[index]) } }
        defer { unsafe text.withUnsafeMutableBytes { unsafe explicit_bzero($0.baseAddress!, $0.count) } }
        return Array(unsafe text.withUnsafeBytes { unsafe HexDigest.sha256($0) }.prefix(16))
    }

    /// The secret with this `key_id`; nil if it is neither of these.
    func secret(_ id: UnsafeRawBufferPointer) -> Secret? {
        keys.first { unsafe $0.id.elementsEqual(id) }?.secret
    }

    /// Makes an opener for one batch of seals, which reuses libcrypto's objects.
    func opener() -> Opener { Opener(self) }

    /// Opens seals, one after the other.
    @safe struct Opener: ~Copyable {
        /// A seal of the longest code has 57 octets in its second packet, of which 56 are encrypted.
        private static let longest = 255
        /// The length of a SHA-1 in octets.
        private static let digestLength = 20

        private let keys: CodeKeys
        private let cipherContext: OpaquePointer
        private let digestContext: OpaquePointer
        /// The IV (all zero), the key, a digest, and the decrypted octets. Wiped after each seal.
        private let memory: UnsafeMutableRawBufferPointer
        private var iv: UnsafeMutableRawPointer { unsafe memory.baseAddress! }
        private var key: UnsafeMutableRawPointer { unsafe memory.baseAddress! + 16 }
        private var computed: UnsafeMutableRawPointer { unsafe memory.baseAddress! + 64 }
        private var plain: UnsafeMutableRawPointer { unsafe memory.baseAddress! + 96 }

        init(_ keys: CodeKeys) {
            guard let cipher = unsafe EVP_CIPHER_CTX_new(), let digest = unsafe EVP_MD_CTX_new() else {
                preconditionFailure("libcrypto is out of memory")
            }
            self.keys = keys
            unsafe cipherContext = cipher
            unsafe digestContext = digest
            unsafe memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 96 + Self.longest, alignment: 16)
            unsafe _ = memory.initializeMemory(as: UInt8.self, repeating: 0)
        }

        deinit {
            unsafe EVP_CIPHER_CTX_free(cipherContext)
            unsafe EVP_MD_CTX_free(digestContext)
            unsafe memory.deallocate()
        }

        /// The code of a row whose next two columns are `sealed_code` and `key_id`. Nil if none of the secrets opens
        /// it.
        func code(_ row: inout RowReader) -> Code? {
            unsafe row.withNextTwo { seal, id in
                guard let seal = unsafe seal, let secret = unsafe id.flatMap({ unsafe keys.secret($0) }) else {
                    return nil
                }
                return unsafe open(seal, secret)
            }
        }

        /// The code in a seal. Nil if the seal was changed, or made with another secret.
        func open(_ seal: UnsafeRawBufferPointer, _ secret: Secret) -> Code? {
            var packets = unsafe Packets(seal)
            // Version 4, AES-256, a salted S2K, SHA-1; eight octets of salt. Then version 1.
            guard let sessionKey = unsafe packets.next(3), sessionKey.count == 12,
                unsafe sessionKey.starts(with: [4, 9, 1, 2]),
                let data = unsafe packets.next(18), packets.isAtEnd, unsafe data.first == 1,
                (18 + 2 + Self.digestLength...Self.longest).contains(data.count - 1)
            else { return nil }
            defer { unsafe explicit_bzero(memory.baseAddress!, memory.count) }
            guard unsafe decrypt(data.dropFirst(), sessionKey.dropFirst(4), secret) else {
                preconditionFailure("libcrypto could not compute an AES-256 or a SHA-1")
            }
            // Sixteen random octets and the last two again, the packet, and the digest in a packet of its own.
            let digestAt = data.count - 1 - Self.digestLength
            guard unsafe memcmp(plain + 14, plain + 16, 2) == 0,
                unsafe memcmp(plain + digestAt, computed, Self.digestLength) == 0
            else { return nil }
            var inner = unsafe Packets(UnsafeRawBufferPointer(start: plain + 18, count: digestAt - 18))
            // A format, a name after its length, four octets of date; then the code.
            guard let literal = unsafe inner.next(11), literal.count >= 2,
                unsafe inner.rest.elementsEqual([0xD3, UInt8(Self.digestLength)])
            else { return nil }
            let code = unsafe UnsafeRawBufferPointer(rebasing: literal.dropFirst(2 + Int(literal[1]) + 4))
            return unsafe try? Code(Span(_unsafeBytes: code))
        }

        /// Decrypts into `plain` (OpenPGP's CFB, from an IV of zero), and computes the digest of everything but the
        /// digest itself. False if libcrypto failed.
        private func decrypt(
            _ sealed: Slice<UnsafeRawBufferPointer>, _ salt: Slice<UnsafeRawBufferPointer>, _ secret: Secret
        ) -> Bool {
            let (sealed, salt) = unsafe (
                UnsafeRawBufferPointer(rebasing: sealed), UnsafeRawBufferPointer(rebasing: salt)
            )
            return secret.withBytes { secret in
                unsafe secret.withUnsafeBytes { secret in
                    var length: Int32 = 0
                    // The key has 32 octets, made of two digests: of salt and secret, and of these after a zero.
                    return unsafe hash(zeros: 0, salt, secret, into: key)
                        && hash(zeros: 1, salt, secret, into: key + Self.digestLength)
                        && EVP_DecryptInit_ex2(cipherContext, keys.cipher, key, iv, nil) == 1
                        && EVP_DecryptUpdate(cipherContext, plain, &length, sealed.baseAddress!, Int32(sealed.count))
                            == 1
                        && hash(
                            zeros: 0, UnsafeRawBufferPointer(start: plain, count: sealed.count - Self.digestLength),
                            UnsafeRawBufferPointer(start: nil, count: 0), into: computed)
                }
            }
        }

        private func hash(
            zeros: Int, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer,
            into digest: UnsafeMutableRawPointer
        ) -> Bool {
            unsafe EVP_DigestInit_ex2(digestContext, keys.digest, nil) == 1
                && EVP_DigestUpdate(digestContext, iv, zeros) == 1
                && EVP_DigestUpdate(digestContext, first.baseAddress, first.count) == 1
                && EVP_DigestUpdate(digestContext, second.baseAddress, second.count) == 1
                && EVP_DigestFinal_ex(digestContext, digest, nil) == 1
        }
    }

    /// OpenPGP packets in sequence, with headers of the new format (RFC 9580, 4.2.1) and one or two octets of length.
    /// pgcrypto writes these for short texts.
    @safe private struct Packets {
        private(set) var rest: UnsafeRawBufferPointer

        init(_ bytes: UnsafeRawBufferPointer) { unsafe rest = bytes }

        var isAtEnd: Bool { unsafe rest.isEmpty }

        /// The body of the next packet; nil unless it has this tag.
        mutating func next(_ tag: UInt8) -> UnsafeRawBufferPointer? {
            guard unsafe rest.count >= 2, unsafe rest[0] == 0xC0 | tag else { return nil }
            var (start, length) = unsafe (2, Int(rest[1]))
            if length >= 192 {
                guard length < 224, unsafe rest.count >= 3 else { return nil }
                (start, length) = unsafe (3, (length - 192) << 8 + Int(rest[2]) + 192)
            }
            guard unsafe rest.count >= start + length else { return nil }
            defer { unsafe rest = UnsafeRawBufferPointer(rebasing: rest[(start + length)...]) }
            return unsafe UnsafeRawBufferPointer(rebasing: rest[start..<start + length])
        }
    }
}
