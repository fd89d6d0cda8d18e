import Testing

@testable import OTP

struct PausesTests {
    private static func number(_ e164: String) throws -> PhoneNumber { try PhoneNumber(e164: e164) }
    private static func pause(_ scope: String, _ key: String = "") throws -> Pause {
        Pause(try #require(PauseScope(scope: scope, key: key)), reason: "because", remedy: nil, isProbed: true)
    }

    @Test(arguments: [
        ("all", "", "all"), ("country", "SA", "country SA"), ("country", "001", "country 001"),
        ("prefix", "+1", "prefix +1"), ("prefix", "+96650123456", "prefix +96650123456"),
    ])
    func scopesAreRead(scope: String, key: String, name: String) throws {
        let read = try #require(PauseScope(scope: scope, key: key))
        #expect(read.name == name && read.scope == scope && read.key == key)
    }

    /// Values that the table's CHECK refuses are refused here too. A whole number is not a prefix.
    @Test(arguments: [
        ("all", "SA"), ("country", ""), ("country", "sa"), ("country", "SAU"), ("prefix", ""), ("prefix", "+"),
        ("prefix", "96650"), ("prefix", "+0"), ("prefix", "+9665a"), ("prefix", "+966501234567"), ("worker", "1"),
    ])
    func otherScopesAreRefused(scope: String, key: String) { #expect(PauseScope(scope: scope, key: key) == nil) }

    @Test func aPauseHoldsItsOwnNumbersAndNoOthers() throws {
        let saudi = (try Self.number("+966501234567"), "SA")
        let other = (try Self.number("+962790123456"), "JO")
        func holding(_ pauses: Pauses, _ to: (PhoneNumber, String)) -> Pause? {
            pauses.pause(holding: to.0, of: to.1, butFor: nil)
        }
        #expect(holding(Pauses(), saudi) == nil)
        for (scope, key) in [("country", "SA"), ("prefix", "+966501"), ("prefix", "+9"), ("prefix", "+96650123456")] {
            let pauses = Pauses([try Self.pause(scope, key)])
            #expect(holding(pauses, saudi)?.scope.key == key)
            #expect((holding(pauses, other) != nil) == (key == "+9"))
        }
        #expect(holding(Pauses([try Self.pause("prefix", "+9665012345")]), other) == nil)
        #expect(holding(Pauses([try Self.pause("all")]), other)?.scope == .all)
        // The country comes from the row, also if several share a country code, and if it has none.
        let kazakh = (try Self.number("+77010001234"), "KZ")
        #expect(holding(Pauses([try Self.pause("country", "RU")]), kazakh) == nil)
        #expect(holding(Pauses([try Self.pause("country", "KZ")]), kazakh) != nil)
        #expect(holding(Pauses([try Self.pause("country", "001")]), (kazakh.0, "001")) != nil)
        #expect(holding(Pauses([try Self.pause("country", "KZ")]), (kazakh.0, "")) == nil)
    }

    /// A probe of one pause is still held by other pauses.
    @Test func aProbePassesItsOwnPauseAlone() throws {
        let number = try Self.number("+966501234567")
        var pauses = Pauses([try Self.pause("country", "SA")])
        #expect(pauses.pause(holding: number, of: "SA", butFor: "country SA") == nil)
        #expect(pauses.pause(holding: number, of: "SA", butFor: "country JO")?.scope.name == "country SA")
        pauses.insert(try Self.pause("prefix", "+96650"))
        #expect(pauses.pause(holding: number, of: "SA", butFor: "country SA")?.scope.name == "prefix +96650")
        #expect(pauses.pause(holding: number, of: "SA", butFor: "prefix +96650")?.scope.name == "country SA")
        #expect(pauses.pause(holding: number, of: "SA", butFor: nil)?.scope.name == "country SA", "the widest first")
        pauses.remove("country SA")
        pauses.remove("country JO")
        #expect(pauses.names == ["prefix +96650"])
        pauses.remove("prefix +96650")
        #expect(pauses.pause(holding: number, of: "SA", butFor: nil) == nil)
    }

    @Test func fraudHoldsABlockOfTenThousand() throws {
        #expect(NumberPrefix(blockOf: try Self.number("+966501234567")).description == "+96650123")
        #expect(NumberPrefix(blockOf: try Self.number("+12015550123")).description == "+1201555")
        let pauses = Pauses([
            Pause(
                .prefix(NumberPrefix(blockOf: try Self.number("+966501234567"))), reason: "", remedy: "", isProbed: true
            )
        ])
        #expect(pauses.pause(holding: try Self.number("+966501239999"), of: "SA", butFor: nil) != nil)
        #expect(pauses.pause(holding: try Self.number("+966501244567"), of: "SA", butFor: nil) == nil)
    }

    @Test func wordsSayWhatAndHowItEnds() throws {
        for (scope, key) in [("all", ""), ("country", "SA")] {
            let pause = try Self.pause(scope, key)
            #expect(pause.message.contains("because") && pause.message.contains(key))
            #expect(pause.endRemedy == "Run otpd resume --\(scope)\(key.isEmpty ? "" : " \(key)") to send again.")
        }
        // Both texts appear beside masked numbers.
        let prefix = try Self.pause("prefix", "+96650123")
        #expect(prefix.message.contains("because") && prefix.endRemedy.contains("--prefix"))
        #expect(!(prefix.message + prefix.endRemedy).contains("6650"))
    }
}
