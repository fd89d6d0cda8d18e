import Queue
import Testing

@testable import Postgres
@testable import otpd

/// What doctor finds and recommends at a provider, where no role is a superuser.
@Suite struct ProviderTests {
    private static let server = WellServer.server

    private func at(_ provider: DatabaseProvider?) -> Remedies { Remedies(provider, database: "app") }

    private func finding(_ provider: DatabaseProvider, _ id: String, _ change: (inout ReadServer.Server) -> Void)
        -> Finding?
    {
        let server = WellServer.with(Self.server) {
            $0.provider = provider
            change(&$0)
        }
        return ServerChecks.findings(server).first { $0.id == id }
    }

    @Test(arguments: DatabaseProvider.allCases)
    func theVersionNamesTheProvider(_ provider: DatabaseProvider) {
        #expect(finding(provider, "database-version") { _ in }?.found == "PostgreSQL 15.4 at \(provider.name)")
        let old = finding(provider, "database-version") { $0.version = 140_001 }
        #expect(old?.remedy == "Upgrade the database with the tools of \(provider.name).")
    }

    /// None of them names a superuser, ALTER SYSTEM or a command of the server's machine.
    @Test(arguments: DatabaseProvider.allCases)
    func noRemedyNeedsASuperuser(_ provider: DatabaseProvider) throws {
        let entries = ["otp.secret", "synchronous_commit", "session_replication_role"].map {
            ReadStoredSettings.Entry(
                role: "web", database: nil, name: $0, value: $0.hasPrefix("sess") ? "replica" : "off", isWebTier: true)
        }
        let log = WellServer.concealment
        let owner = ReadOwner.Owner(
            name: "app", isSuperuser: false, canLogIn: true, attributes: ["CREATEROLE"], hasMembershipOptions: true)
        let role = WellServer.role
        let bad = WellServer.with(Self.server) {
            ($0.version, $0.isStandby, $0.hasPgcrypto, $0.hasAutovacuum) = (140_009, true, false, false)
            ($0.hasFsync, $0.synchronousCommit, $0.provider) = (false, "off", provider)
        }
        let weak = WellServer.with(Self.server) { ($0.synchronousCommit, $0.provider) = ("off", provider) }
        let place = at(provider)
        let refusal = ServerError(severity: "ERROR", sqlstate: "42501", message: "permission denied")
        let all: [Finding] =
            ServerChecks.findings(bad) + [
                RoleChecks.roles(WellServer.with(role) { $0.missing = ["otp_web"] }, place),
                RoleChecks.login(WellServer.with(role) { ($0.isWorker, $0.isMember) = (false, false) }, place),
                RoleChecks.login(WellServer.with(role) { $0.isWorker = false }, place),
                RoleChecks.login(WellServer.with(role) { $0.attributes = ["BYPASSRLS"] }, place),
                IntegrityChecks.owner(owner, place),
                IntegrityChecks.owner(WellServer.with(owner) { $0.name = "otp_owner" }, place),
                IntegrityChecks.rights([.init(trouble: "x may not call y", remedy: "GRANT x TO y")], place),
                IntegrityChecks.settings(entries, place), SealChecks.stored(entries, place),
                LogChecks.failing(WellServer.with(log) { ($0.isOn, $0.ownerMay) = (false, false) }, place),
                LogChecks.parameters(WellServer.with(log) { $0.parameterLengthOnError = -1 }, stored: [], place),
                LogChecks.parameters(WellServer.with(log) { $0.logStatement = "all" }, stored: [], place),
                DurabilityChecks.disk(bad, stored: []), DurabilityChecks.disk(weak, stored: entries),
                DurabilityChecks.disk(weak, stored: []),
                DurabilityChecks.standby(bad, .init(streaming: 1, synchronous: 0, isVisible: true, name: "b")),
                RoleChecks.login.unread(.server(refusal), place),
                EncryptionCheck.finding(WellServer.with(WellServer.security) { $0.mode = "prefer" }, place),
                ListenCheck.finding(.init(isHeard: false, isPooled: true, changesBackend: true), place),
            ]
        for finding in all {
            let remedy = finding.remedy ?? ""
            for word in ["as a superuser", "ALTER SYSTEM", "pg_reload_conf", "pg_upgradecluster", "pg_ctlcluster"] {
                #expect(!remedy.contains(word), "\(finding.id): \(remedy)")
            }
        }
        // No standby that SQL does not show is missed.
        let standby = DurabilityChecks.standby(
            bad, .init(streaming: 0, synchronous: 0, isVisible: true, name: nil))
        #expect(standby.verdict == .pass)
    }

    @Test func oneHelperNamesTheRole() {
        #expect(at(nil).administrator("SELECT 1;") == "In psql as a superuser: SELECT 1;")
        for provider in DatabaseProvider.allCases {
            #expect(at(provider).administrator("SELECT 1;") == "In psql as your administrator role: SELECT 1;")
        }
    }

    private static let guide = "See deploy/docs/managed-databases.md."

    @Test(
        arguments: [
            (nil, "In psql as a superuser: ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();"),
            (.rds, "In the instance's DB parameter group, set autovacuum = on. \(guide)"),
            (.aurora, "In the DB cluster parameter group, set autovacuum = on. \(guide)"),
            (.azure, "In the Azure portal, under Server parameters, set autovacuum = on. \(guide)"),
            (.cloudSQL, "In the instance's database flags, set autovacuum = on. \(guide)"),
            (.supabase, "You cannot set autovacuum at Supabase. Ask its support. \(guide)"),
            (.neon, "You cannot set autovacuum at Neon. Ask its support. \(guide)"),
        ] as [(DatabaseProvider?, String)])
    func serverParameters(provider: DatabaseProvider?, remedy: String) {
        #expect(at(provider).parameters(["autovacuum": "on"]) == remedy)
    }

    @Test func parametersOfEveryUserAreTheDatabases() {
        #expect(
            at(.neon).sessions("synchronous_commit", "on")
                == "In psql as your administrator role: ALTER DATABASE app SET synchronous_commit = on;")
        #expect(at(nil).sessions("synchronous_commit", "on") == at(nil).parameters(["synchronous_commit": "on"]))
    }

    @Test func failingStatementsAtAProvider() {
        let open = WellServer.with(WellServer.concealment) { ($0.isOn, $0.ownerMay) = (false, false) }
        let neon = LogChecks.failing(open, at(.neon))
        #expect(neon.verdict == .warn)
        #expect(neon.found.contains("literals") && neon.found.contains("log_parameter_max_length_on_error"))
        #expect(neon.remedy?.contains("no role can keep failing statements out of the log") == true)
        let supabase = LogChecks.failing(open, at(.supabase)).remedy
        #expect(supabase?.contains("ALTER ROLE web SET log_min_error_statement = 'panic';") == true)
        let rds = LogChecks.failing(open, at(.rds)).remedy
        #expect(rds?.contains("set log_min_error_statement = panic and log_error_verbosity = terse.") == true)
        // A setting of the server, or of every backend's role, does it too.
        #expect(LogChecks.failing(WellServer.with(open) { $0.loggedRoles = [] }, at(.rds)).verdict == .pass)
        let noRoles = WellServer.with(open) { ($0.loggedRoles, $0.webRoles) = ([], []) }
        #expect(LogChecks.failing(noRoles, at(.rds)).verdict == .warn)
        #expect(LogChecks.failing(WellServer.with(noRoles) { $0.serverConceals = true }, at(.rds)).verdict == .pass)
    }

    @Test func bindParametersOfLoggedStatements() {
        let logs = WellServer.with(WellServer.concealment) { $0.logStatement = "all" }
        func remedy(_ provider: DatabaseProvider?) -> String? {
            LogChecks.parameters(logs, stored: [], at(provider)).remedy
        }
        #expect(remedy(.rds)?.contains("set log_parameter_max_length = 0.") == true)
        #expect(remedy(.azure)?.contains("set log_statement = none and log_min_duration_statement = -1.") == true)
        #expect(remedy(.supabase)?.contains("ALTER ROLE web SET log_parameter_max_length = 0;") == true)
        #expect(remedy(.neon)?.contains("You cannot set log_parameter_max_length at Neon.") == true)
        let onError = WellServer.with(WellServer.concealment) { $0.parameterLengthOnError = -1 }
        #expect(
            LogChecks.parameters(onError, stored: [], at(.azure)).remedy
                == "In psql as your administrator role: ALTER DATABASE app SET log_parameter_max_length_on_error = 0;")
    }

    @Test func azureMustAllowThePgcrypto() {
        let azure = finding(.azure, "database-pgcrypto") { $0.hasPgcrypto = false }
        #expect(azure?.remedy?.contains("add PGCRYPTO to azure.extensions.") == true)
        let rds = finding(.rds, "database-pgcrypto") { $0.hasPgcrypto = false }
        #expect(rds?.remedy?.hasPrefix("In psql as the database's owner: CREATE EXTENSION pgcrypto;") == true)
    }

    @Test func storageOfTheProvidersOwnNeedsNoFsync() {
        func verdict(_ provider: DatabaseProvider?) -> Finding.Verdict {
            let server = WellServer.with(Self.server) { ($0.hasFsync, $0.provider) = (false, provider) }
            return DurabilityChecks.disk(server, stored: []).verdict
        }
        #expect(verdict(.neon) == .pass)
        #expect(verdict(.aurora) == .pass)
        #expect(verdict(.rds) == .warn)
        #expect(verdict(nil) == .warn)
    }

    private func encryption(_ remedies: Remedies = Remedies(), _ change: (inout ConnectionSecurity) -> Void) -> Finding
    {
        EncryptionCheck.finding(WellServer.with(WellServer.security, change), remedies)
    }

    @Test func theConnectionIsEncryptedAndVerified() {
        #expect(encryption { _ in }.verdict == .pass)
        #expect(encryption { $0.mode = "verify-ca" }.verdict == .pass)
        #expect(encryption { ($0.hasTLS, $0.hasGSS, $0.mode) = (false, true, "prefer") }.verdict == .pass)
        let plain = encryption { ($0.hasTLS, $0.mode) = (false, "prefer") }
        #expect(plain.verdict == .warn && plain.found.contains("db is not encrypted (sslmode=prefer)"))
        let require = encryption { $0.mode = "require" }
        #expect(require.verdict == .warn && require.found.contains("certificate is not verified (sslmode=require)"))
        #expect(require.remedy?.contains("?sslmode=verify-full&sslrootcert=/etc/otpd/database-ca.pem") == true)
    }

    @Test(arguments: ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"])
    func loopbackNeedsNoEncryption(address: String) {
        #expect(encryption { ($0.hasTLS, $0.address) = (false, address) }.verdict == .pass)
    }

    @Test func aSocketNeedsNoEncryption() {
        #expect(encryption { ($0.hasTLS, $0.host, $0.address) = (false, "/run/postgresql", "") }.verdict == .pass)
        #expect(encryption { ($0.hasTLS, $0.host, $0.address) = (false, "db", "") }.verdict == .warn)
    }

    @Test func theCertificatesByProviderAndLibpq() {
        func remedy(_ provider: DatabaseProvider, _ version: Int32) -> String {
            encryption(at(provider)) { ($0.mode, $0.libpqVersion) = ("require", version) }.remedy ?? ""
        }
        #expect(remedy(.neon, 160_001) == "Add to DATABASE_URL: ?sslmode=verify-full&sslrootcert=system")
        #expect(
            remedy(.azure, 150_014) == "This libpq has version 15, and sslrootcert=system needs version 16. Add to "
                + "DATABASE_URL: ?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt")
        #expect(remedy(.rds, 160_001).contains("global-bundle.pem"))
        #expect(remedy(.cloudSQL, 160_001).contains("sslmode=verify-ca"))
        #expect(remedy(.supabase, 160_001).contains("dashboard"))
    }
}
