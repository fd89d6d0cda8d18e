import Testing

@testable import Queue

/// The provider by what its server shows in SQL.
@Suite struct DatabaseProviderTests {
    private func provider(
        _ roles: Set<String> = [], _ prefixes: Set<String> = [], isSuperuser: Bool = false, aurora: Bool = false
    ) -> DatabaseProvider? {
        DatabaseProvider(
            .init(isSuperuser: isSuperuser, roles: roles, prefixes: prefixes, hasAuroraVersion: aurora))
    }

    @Test func byItsRole() {
        #expect(provider(["rds_superuser"]) == .rds)
        #expect(provider(["neon_superuser"]) == .neon)
        #expect(provider(["azure_pg_admin"]) == .azure)
        #expect(provider(["cloudsqlsuperuser"]) == .cloudSQL)
        #expect(provider(["supabase_admin"]) == .supabase)
        #expect(provider(["rds_superuser"], ["rds"], aurora: true) == .aurora)
    }

    @Test func byItsParameters() {
        #expect(provider([], ["rds"]) == .rds)
        #expect(provider([], ["neon"]) == .neon)
        #expect(provider([], ["azure"]) == .azure)
        #expect(provider([], ["cloudsql"]) == .cloudSQL)
    }

    @Test func yourOwnServer() {
        #expect(provider() == nil)
        // The roles came with a dump of the globals. No provider has a user that is a superuser.
        for role in DatabaseProvider.roles { #expect(provider([role], isSuperuser: true) == nil) }
    }

    @Test func everyMarkIsRead() {
        for name in DatabaseProvider.roles + DatabaseProvider.prefixes { #expect(ReadServer.sql.contains(name)) }
        #expect(Set(DatabaseProvider.allCases.map(\.name)).count == DatabaseProvider.allCases.count)
    }
}
