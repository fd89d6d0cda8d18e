import OTP
import Testing

@testable import Queue

/// Seals from the pgcrypto of PostgreSQL 15.20, and seals that must not open.
@Suite struct CodeKeysTests {
    static let secret = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF_-"
    static let zeros = String(repeating: "0", count: 32)

    struct Sealed: Sendable {
        var code: String
        var secret: String
        var id: String
        var seal: String
    }

    /// `SELECT code, secret, otp.key_id(secret), encode(otp.seal(code, secret), 'hex')`
    static let sealed = [
        Sealed(
            code: "123456", secret: secret, id: "423f81574e64f470",
            seal: "c30c04090102e5f8ae3adcfaee54d23701901fe1eef54b2427fc73198841ad0db8cc3311c7cf86043a29ce131c2cbee2"
                + "64365bf0f12a24ef327e710d9e0b46487906bfd447ae97"),
        Sealed(
            code: "0000", secret: zeros, id: "5288d7d7bee208ed",
            seal: "c30c0409010209c6406ef3eb5309d2350112f09bd8c89933e1ced079bddeb02dc82c0b3df5a9ad66f623375eb51c6bc2"
                + "b3c57fd31fb7ef9887895ab1c484a0d7211a518113"),
        Sealed(
            code: "Zq9aBcDeF012", secret: secret, id: "423f81574e64f470",
            seal: "c30c04090102f0cbdb17d3b34614d23d01c9a0d78a1e2f0a496af97126fbb0e71c654c4b08c6436a56c4395ae1723c46"
                + "482a125992f2307dbf8f20a9d3c9389e7e47a733d955e568400f039c94"),
        Sealed(
            code: "004711", secret: String(repeating: "Long-Secret_", count: 20), id: "f220e7c9aaecfcef",
            seal: "c30c040901027d012f92c6e72951d237014b48a97de34e6351e4a43567c34f03ed80df7c93bc0c29cf4b6a5c4a097751"
                + "b61ce0f44481e2fefe075e2d01bf491707a2fd9b8badf3"),
    ]

    private func bytes(_ hex: String) -> [UInt8] {
        stride(from: 0, to: hex.count, by: 2).map { offset in
            UInt8(hex.dropFirst(offset).prefix(2), radix: 16) ?? 0
        }
    }

    private func open(_ seal: [UInt8], _ secret: String) -> Code? {
        CodeKeys(Secret(secret)).opener().open(seal, secret)
    }

    @Test(arguments: sealed) func whatPostgreSQLSealedOpens(_ sealed: Sealed) throws {
        #expect(open(bytes(sealed.seal), sealed.secret) == (try Code(sealed.code)))
    }

    @Test func oneOpenerOpensManySeals() throws {
        let keys = CodeKeys(Secret(Self.secret))
        let opener = keys.opener()
        for _ in 0..<3 {
            for sealed in Self.sealed {
                let code = opener.open(bytes(sealed.seal), sealed.secret)
                #expect(code == (try Code(sealed.code)))
                // The remains of one seal open no other.
                #expect(opener.open(bytes(sealed.seal), "another secret") == nil)
            }
        }
    }

    @Test(arguments: sealed) func aSecretIsKnownByItsID(_ sealed: Sealed) {
        let other = Secret(String(repeating: "x", count: 40))
        let id = Array(sealed.id.utf8)
        #expect(CodeKeys(Secret(sealed.secret)).secret(id) == Secret(sealed.secret))
        #expect(CodeKeys(other, previous: Secret(sealed.secret)).secret(id) == Secret(sealed.secret))
        #expect(CodeKeys(other).secret(id) == nil)
        #expect(CodeKeys(Secret(sealed.secret)).secret(Array(id.dropLast())) == nil)
        #expect(CodeKeys(Secret(sealed.secret)).secret([]) == nil)
    }

    @Test(arguments: sealed) func aChangedBitIsSeen(_ sealed: Sealed) {
        let seal = bytes(sealed.seal)
        for index in seal.indices {
            for bit in 0..<8 {
                var changed = seal
                changed[index] ^= 1 << UInt8(bit)
                #expect(open(changed, sealed.secret) == nil, "octet \(index), bit \(bit)")
            }
        }
    }

    @Test(arguments: sealed) func aPartIsNoSeal(_ sealed: Sealed) {
        let seal = bytes(sealed.seal)
        for length in 0..<seal.count { #expect(open(Array(seal.prefix(length)), sealed.secret) == nil) }
        #expect(open(seal + [0], sealed.secret) == nil)
        #expect(open(seal + seal, sealed.secret) == nil)
    }

    /// Made by pgcrypto with other options, or from something other than a code.
    @Test(arguments: [
        // s2k-mode=3 and AES-128, its defaults
        "c30d04070302316ec80b5b826f6a77d237014d9b8c3654c4b49c712b1417234d49601e8333a240d3fd0bd427ad9b3f40"
            + "bb326ebf02af768f6243e5fd93efb674cc1ca582d2345227",
        // compressed
        "c30c04090102f14b82b78cf09c14d23c01fa823449d4a6b4aec6b2fba8aef36bb2ebd7957f940317366ea4140c9f9699"
            + "3626b589e9b4c77bfed52c0fd3abcdfe9ea895eb88f109ac8a195062",
        // 19 characters
        "c30c04090102e5b05ef6a1017d53d244011c3f857a08aa9a68efa14acd058ab3144c83b46c181bf2013bfb2dc9b70f24"
            + "5cc33dbace8cf31cb8d48dc001d32600458d7999aa7e25391e6a8a172d3652f2a56cff49",
        // 300 characters: a length of two octets
        "c30c0409010258a277a9d6ebbd2bd2c09e0123ba2c99f84b1a2b0ada6b9b225225d4e79ceff27bb8f70efd5f2e2b20b0"
            + "d6bc695d2b938518e8ce353cc582fc9cc9181b404eeff9ce66fbc0ba17fcda12f145ec9e4aa6f1220663440deea450c7"
            + "f8c8168cabb69cd371ae74c522863bbeb53290ad4661279cfe4850ca2aecd10ae97333ce860a48596adec12447c544ba"
            + "60de5a1b451d56f26e6f1211309c6a71fcf825a1dba7458c02f98aefb301731da88e6a976deba1ebe3f4805e3aee59ab"
            + "7cc88c48906d742eb5ca8ac6beec28247e9b8890f72a2b6e8538ad996d267a1557f8d789e9b3da8c850ad986b28b0b51"
            + "23e101c7c26019a985e7aeee1c9843e3f079ceef1f3dd3db9e0f31ab7b6ab45fe73c37c46a37119bdd342eebee080e18"
            + "ba95060a521127736a366235bd26463a0d6976e5fc1cc4948cd863696bfca9b0eb2b6816df5409fa6125f5b3c7ac9e3c"
            + "fe884147c7723f868c69a1310e0f7b551f7a1faae5bf19008e187872fbbba5",
        // a blank inside
        "c30c040901027db3ac447eb26e98d237010a54669c29e90b45625548b5b1aa47f39abeccb4124a8c24db246ca5e82b8c"
            + "7637f9564a0bf8f6ac3d9449c9627dfeddfcacf9dfe7c3",
    ]) func whatIsNoSealOfACodeDoesNotOpen(_ seal: String) {
        #expect(open(bytes(seal), Self.zeros) == nil)
    }

    /// Random decryption results, with impossible lengths among them: no trap, and no code.
    @Test func lengthsThatLeadNowhere() {
        for tag: UInt8 in [0xC3, 0xD2, 0xCB, 0x00, 0xFF] {
            for length: UInt8 in [0, 1, 12, 191, 192, 223, 224, 254, 255] {
                #expect(open([tag, length], Self.zeros) == nil)
                #expect(open(bytes(Self.sealed[1].seal).prefix(14) + [tag, length], Self.zeros) == nil)
                #expect(
                    open(
                        bytes(Self.sealed[1].seal).prefix(14) + [0xD2, length] + [UInt8](repeating: 1, count: 400),
                        Self.zeros) == nil)
            }
        }
    }
}

extension CodeKeys.Opener {
    fileprivate func open(_ seal: [UInt8], _ secret: String) -> Code? {
        seal.withUnsafeBytes { open($0, Secret(secret)) }
    }
}

extension CodeKeys {
    fileprivate func secret(_ id: [UInt8]) -> Secret? { id.withUnsafeBytes { secret($0) } }
}
