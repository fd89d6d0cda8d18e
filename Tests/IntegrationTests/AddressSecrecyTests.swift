import Testing

/// No part of a password in an address is shown, and values that libpq would refuse stop the start.
@Suite(.database) struct AddressSecrecyTests {
    private static let commands = [
        ["run"], ["status"], ["status", "--json"], ["doctor"], ["doctor", "--json"], ["jobs", "list"],
        ["migrate", "status"],
    ]

    @Test(arguments: [
        "postgresql://otpd:Tiger/Lily77@db.example/app", "postgresql://otpd:Tiger@Lily77@db.example/app",
        "postgres://Tiger_Lily77", "host=db password=Tiger Lily77", "postgresql://otpd:Tiger%zzLily77@db.example/app",
        "Tiger:Lily77@db.example/app",
    ])
    func noPartIsShown(url: String) async throws {
        for command in Self.commands {
            let environment = try Otpd.environment("http://127.0.0.1:9", ["DATABASE_URL": url])
            let answer = try await Otpd.command(command, environment: environment)
            #expect(answer.code == 78, "\(command): \(answer.errors)")
            for part in ["Tige", "iger", "Lily", "ly77"] {
                #expect(!(answer.output + answer.errors).contains(part), "\(command): \(answer.errors)")
            }
        }
    }

    @Test(arguments: [
        ("PGSSLMODE", "REQUIRE"), ("PGPORT", "abc"), ("PGTARGETSESSIONATTRS", "primaryy"),
        ("PGCONNECT_TIMEOUT", "soon"),
        ("PGSERVICE", "no-such-service"), ("PGGSSENCMODE", "wherever"),
    ])
    func whatLibpqRefusesEndsTheStart(name: String, value: String) async throws {
        for command in [["run"], ["status"]] {
            let environment = try Otpd.environment("http://127.0.0.1:9", [name: value])
            let answer = try await Otpd.command(command, environment: environment)
            #expect(answer.code == 78, "\(answer.errors)")
            #expect(answer.errors.split(separator: "\n").count == 1 && !answer.errors.contains(value))
        }
    }
}
