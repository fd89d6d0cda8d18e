/// A service that operates the database server. Its users are no superusers, so some remedies differ there.
public enum DatabaseProvider: Sendable, Equatable, CaseIterable {
    case rds
    case aurora
    case supabase
    case neon
    case azure
    case cloudSQL

    /// The service's own name.
    public var name: String {
        switch self {
        case .rds: "Amazon RDS"
        case .aurora: "Amazon Aurora"
        case .supabase: "Supabase"
        case .neon: "Neon"
        case .azure: "Azure Database for PostgreSQL"
        case .cloudSQL: "Google Cloud SQL"
        }
    }

    /// What a server shows of its provider in SQL. Every role may read it.
    public struct Marks: Sendable, Equatable {
        /// Whether the session's role is a superuser. No provider has such users.
        public var isSuperuser: Bool
        /// Those of `DatabaseProvider.roles` that exist.
        public var roles: Set<String>
        /// Those of `DatabaseProvider.prefixes` with which names of server parameters begin.
        public var prefixes: Set<String>
        /// Whether the function `aurora_version` exists.
        public var hasAuroraVersion: Bool

        public init(
            isSuperuser: Bool = false, roles: Set<String> = [], prefixes: Set<String> = [],
            hasAuroraVersion: Bool = false
        ) {
            self.isSuperuser = isSuperuser
            self.roles = roles
            self.prefixes = prefixes
            self.hasAuroraVersion = hasAuroraVersion
        }
    }

    /// Each provider's own role.
    static let roles = ["rds_superuser", "neon_superuser", "azure_pg_admin", "cloudsqlsuperuser", "supabase_admin"]
    /// What the names of each provider's own parameters begin with, such as `rds.extensions`.
    static let prefixes = ["rds", "neon", "azure", "cloudsql"]

    /// The provider by its marks. Nil for your own server, and for a provider that is not known here.
    public init?(_ marks: Marks) {
        func shows(_ role: String, _ prefix: String? = nil) -> Bool {
            marks.roles.contains(role) || prefix.map(marks.prefixes.contains) ?? false
        }
        // A dump of another cluster's globals brings its roles to your own server.
        if marks.isSuperuser { return nil }
        if marks.hasAuroraVersion {
            self = .aurora
        } else if shows("rds_superuser", "rds") {
            self = .rds
        } else if shows("neon_superuser", "neon") {
            self = .neon
        } else if shows("azure_pg_admin", "azure") {
            self = .azure
        } else if shows("cloudsqlsuperuser", "cloudsql") {
            self = .cloudSQL
        } else if shows("supabase_admin") {
            self = .supabase
        } else {
            return nil
        }
    }
}
