import Queue
import Testing

@testable import otpd

/// Whether the schema still is as it was migrated.
@Suite struct IntegrityChecksTests {
    private func owner(_ name: String, isSuperuser: Bool = false, _ attributes: [String] = []) -> Finding {
        IntegrityChecks.owner(
            ReadOwner.Owner(
                name: name, isSuperuser: isSuperuser, canLogIn: false, attributes: attributes,
                hasMembershipOptions: true))
    }

    @Test func theOwnerHasNoOtherRights() {
        #expect(IntegrityChecks.owner(nil).verdict == .skip)
        #expect(owner("otp_owner").verdict == .pass)
        #expect(owner("app").verdict == .pass)
        let more = owner("app", ["CREATEROLE", "CREATEDB"])
        #expect(more.verdict == .warn)
        #expect(more.found.contains("CREATEROLE, CREATEDB"))
        #expect(more.remedy?.contains("GRANT otp_owner TO app WITH SET TRUE, INHERIT TRUE;") == true)
        #expect(owner("postgres", isSuperuser: true).verdict == .fail(.privileges))
        #expect(owner("otp_owner", isSuperuser: true).remedy?.contains("ALTER ROLE otp_owner NOSUPERUSER;") == true)
    }

    @Test func whatWasTakenAwayIsNamedWithItsStatement() {
        #expect(IntegrityChecks.rights([]).verdict == .pass)
        let rights = (1...5).map { ReadMissingRights.Right(trouble: "trouble \($0)", remedy: "GRANT \($0)") }
        let finding = IntegrityChecks.rights(rights)
        #expect(finding.verdict == .fail(.privileges))
        #expect(finding.found == "trouble 1; trouble 2; trouble 3; and 2 more")
        #expect(finding.remedy?.hasSuffix("GRANT 1; GRANT 2; GRANT 3; GRANT 4; GRANT 5;") == true)
    }

    @Test func aSequenceBehindIsNamedWithItsStatement() {
        #expect(IntegrityChecks.sequences([]).verdict == .pass)
        let finding = IntegrityChecks.sequences([.init(sequence: "otp.send_jobs_id_seq", last: 3, used: 9)])
        #expect(finding.verdict == .fail(.configuration))
        #expect(finding.remedy?.contains("SELECT setval('otp.send_jobs_id_seq', 9);") == true)
    }
}
