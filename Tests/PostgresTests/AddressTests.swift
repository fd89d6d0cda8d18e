import Testing

@testable import Postgres

/// Connection strings are parsed with certainty, or refused without quoting a possible password.
@Suite("Addresses")
struct AddressTests {
    /// Every substring of four characters of a password.
    private func fragments(_ password: String) -> Set<String> {
        let characters = Array(password)
        guard characters.count >= 4 else { return [] }
        return Set((0...characters.count - 4).map { String(characters[$0..<$0 + 4]) })
    }

    static let raw: [(url: String, password: String)] = [
        ("postgresql://otpd:Tiger/Lily77@db.example/app", "Tiger/Lily77"),
        ("postgresql://otpd:Tiger@Lily77@db.example/app", "Tiger@Lily77"),
        ("postgresql://otpd:Tiger?Lily77@db.example/app", "Tiger?Lily77"),
        ("postgresql://otpd:Tiger/Lily77@", "Tiger/Lily77"),
        ("postgresql://otpd:7654/Lily77@db.example/app", "Lily77"),
        ("postgresql://otpd:/Lily77@db.example/app", "Lily77"),
        ("postgresql://otpd:Lily77/@db.example:5432/app", "Lily77"),
        ("postgresql://otpd:7654?Lily77@db.example/app", "Lily77"),
        ("postgresql://db.example?password=Tiger@Lily77", "Tiger@Lily77"),
        ("postgresql://db.example/app?password=Tiger@Lily77", "Tiger@Lily77"),
        ("postgresql://otpd:Lily%zz77@db.example/app", "Lily%zz77"),
        ("postgresql://otpd:100%Lily77@db.example/app", "100%Lily77"),
        ("postgresql://otpd:Lily77%@db.example/app", "Lily77%"),
        ("postgresql://otpd:Lily77%00x@db.example/app", "Lily77%00x"),
        ("postgresql://otpd:[Lily77/]@db.example/app", "[Lily77/]"),
        ("postgresql://otpd:Lily77%40db.example/app", "Lily77"),
        ("postgresql://otpd%3ALily77%40db.example/app", "Lily77"),
        ("postgresql://otpd%3ALily77@db.example/app", "Lily77"),
        ("postgresql://otpd:$$W0rd01@Lily77@db_host:5432/db_name", "$$W0rd01@Lily77"),
        ("postgresql://otpd:Lily77@a,otpd:Lily77@b/app", "Lily77"),
        ("postgresql://otpd@server:Lily77@server.postgres.example/app", "Lily77"),
        ("postgres://S3cretPw", "S3cretPw"), ("postgres://otpd:S3cretPw", "S3cretPw"),
        ("postgres://S3cretPw/", "S3cretPw"),
        ("postgresql://otpd:S3cretPw/app", "S3cretPw"), ("postgresql://otpd:76543210/app", "76543210"),
        ("otpd:Lily77@db.example/app", "Lily77"), ("otpd:Li=ly77@db.example/app", "ly77"),
        ("postgresql:/otpd:Lily77@db.example/app", "Lily77"), ("POSTGRESQL://otpd:Lily77@db.example/app", "Lily77"),
        ("jdbc:postgresql://db.example/app?user=otpd&password=Lily77", "Lily77"),
        ("postgresql+asyncpg://otpd:Lily77@db.example/app", "Lily77"), ("mysql://otpd:Lily77@db.example/app", "Lily77"),
        ("\"postgresql://otpd:Lily77@db.example/app", "Lily77"), ("'host=db password=Lily77", "Lily77"),
        ("host=db password=Tiger Lily77", "Lily77"), ("host=db password=Tiger Lily77=x", "Lily77"),
        ("host=db password='Tiger Lily77", "Lily77"), ("host= password=Lily77", "Lily77"),
        ("dbname= password=Lily77", "Lily77"), ("user= password=Lily77 host=db", "Lily77"),
        ("port= password=Lily77", "Lily77"), ("application_name= password=Lily77", "Lily77"),
        ("host=db user=otpd:Lily77", "Lily77"), ("host=otpd:Lily77@db", "Lily77"),
        ("host=db port=Lily77", "Lily77"), ("host=db sslmode=Lily77", "Lily77"),
        ("dbname=postgresql://otpd:Lily77@db.example/app", "Lily77"), ("hostaddr=Lily77", "Lily77"),
        ("host=db connect_timeout=Lily77", "Lily77"), ("host=db target_session_attrs=Lily77", "Lily77"),
        ("postgresql://otpd@db/app?passwd=Lily77", "Lily77"), ("postgresql://otpd@db/app?password=Lily77&x", "Lily77"),
        ("postgresql://otpd@db/app?password=Li=ly77", "ly77"), ("service=Lily77", "Lily77"),
        ("postgresql://otpd:Lily77@[::1/app", "Lily77"), ("postgresql://otpd:Lily77@[::1]x/app", "Lily77"),
        ("postgresql://[Lily77]x", "Lily77"), ("postgresql://otpd:Lily77@db\n/app", "Lily77"),
        ("postgresql://otpd:Lily77@db,/app?hostaddr=1.1.1.1", "Lily77"),
    ]

    @Test("what is not certain is refused, and no part of it is shown", arguments: raw)
    func refused(url: String, password: String) throws {
        let problems = ConnectionSettings.problems(url, environment: [:])
        let problem = try #require(problems.first)
        #expect(problem.variable == "DATABASE_URL")
        let settings = ConnectionSettings(url)
        let error = #expect(throws: PostgresError.self) { try settings.validate() }
        for text in problems.map(\.reason) + ["\(settings)", "\(String(describing: error))"] {
            for fragment in fragments(password) { #expect(!text.contains(fragment), "\(text)") }
        }
    }

    @Test(
        "what libpq takes apart with certainty is taken as libpq has it",
        arguments: [
            ("postgresql://otpd:Tiger%2FLily%40%3A%3F%23%25%2077@db.example/app", "Tiger/Lily@:?#% 77", "db.example"),
            ("postgresql://otpd:a:b#c[d]e@db.example:5432/app", "a:b#c[d]e", "db.example"),
            ("postgresql://otpd:a b@db.example/app", "a b", "db.example"),
            ("postgres://user%40server:pw12@server.postgres.example/app", "pw12", "server.postgres.example"),
            ("postgresql://otpd:pw12@[fe80::1%25eth0]:5432/app", "pw12", "fe80::1%eth0"),
            ("postgresql://otpd:pw12@[::1],10.0.0.1:5433/app", "pw12", "::1,10.0.0.1"),
            ("postgresql://otpd:pw12@%2Frun%2Fpostgresql/app", "pw12", "/run/postgresql"),
            ("postgresql://otpd:pw12@/app?host=/run/postgresql", "pw12", "/run/postgresql"),
            ("postgresql:///app", nil, nil), ("postgresql://", nil, nil), ("postgresql://db/app", nil, "db"),
            ("postgresql://db.example?user=otpd", nil, "db.example"), ("postgresql://otpd@db", nil, "db"),
            ("host=db_1.example. password='a b\\'c' dbname='my db'", "a b'c", "db_1.example."),
            ("host = db password = x=y", "x=y", "db"), ("user='user@server' host=db", nil, "db"),
            ("postgresql://otpd@bücher.example/app", nil, "bücher.example"),
            ("postgresql://otpd@db1:1,db2:2/app?target_session_attrs=read-write&connect_timeout=3", nil, "db1,db2"),
        ] as [(String, String?, String?)])
    func taken(url: String, password: String?, host: String?) throws {
        #expect(ConnectionSettings.problems(url, environment: [:]) == [])
        let conninfo = try Conninfo(url)
        #expect(conninfo.values["password"] == password)
        #expect(conninfo.values["host"] == host)
    }

    @Test(
        "libpq's own variables are looked at as libpq does",
        arguments: [
            ("", ["PGSSLMODE": "REQUIRE"], ["PGSSLMODE"]), ("", ["PGSSLMODE": ""], ["PGSSLMODE"]),
            ("postgresql://db/app?sslmode=require", ["PGSSLMODE": "REQUIRE"], []),
            ("", ["PGPORT": "abc"], ["PGPORT"]), ("", ["PGPORT": ""], []), ("", ["PGPORT": "5432,5433"], ["PGPORT"]),
            ("host=a,b", ["PGPORT": "5432,5433"], []), ("host=a,b", ["PGPORT": "1,2,3"], ["PGPORT"]),
            ("", ["PGPORT": "0"], ["PGPORT"]), ("", ["PGPORT": "70000"], ["PGPORT"]),
            ("", ["PGPORT": "-1"], ["PGPORT"]),
            ("", ["PGTARGETSESSIONATTRS": "primaryy"], ["PGTARGETSESSIONATTRS"]),
            ("", ["PGTARGETSESSIONATTRS": "read-write"], []),
            ("", ["PGCONNECT_TIMEOUT": "5s"], ["PGCONNECT_TIMEOUT"]), ("", ["PGCONNECT_TIMEOUT": " 5 "], []),
            ("", ["PGCONNECT_TIMEOUT": "99999999999"], ["PGCONNECT_TIMEOUT"]),
            ("", ["PGCHANNELBINDING": "on"], ["PGCHANNELBINDING"]), ("", ["PGGSSENCMODE": "on"], ["PGGSSENCMODE"]),
            ("", ["PGSSLMINPROTOCOLVERSION": "TLSv2"], ["PGSSLMINPROTOCOLVERSION"]),
            ("", ["PGSSLMINPROTOCOLVERSION": "tlsv1.2"], []),
            (
                "", ["PGSSLMINPROTOCOLVERSION": "TLSv1.3", "PGSSLMAXPROTOCOLVERSION": "TLSv1.2"],
                ["PGSSLMINPROTOCOLVERSION"]
            ),
            ("", ["PGHOSTADDR": "db.example"], ["PGHOSTADDR"]),
            ("", ["PGHOST": "a,b", "PGHOSTADDR": "1.1.1.1"], ["PGHOSTADDR"]),
            ("", ["PGHOST": "otpd:pw@db"], ["PGHOST"]),
            ("", ["PGDATABASE": "postgresql://otpd:pw@db/app"], ["PGDATABASE"]),
            ("", ["PGUSER": "otpd:pw"], ["PGUSER"]), ("", ["PGDATABASE": "password=pw"], ["PGDATABASE"]),
            (
                "", ["PGSSLMODE": "x", "PGPORT": "y", "PGCONNECT_TIMEOUT": "z"],
                ["PGPORT", "PGSSLMODE", "PGCONNECT_TIMEOUT"]
            ),
            // The service's values override these.
            ("", ["PGSSLMODE": "x", "PGSERVICE": "app"], []),
            ("", ["PGSSLNEGOTIATION": "x", "PGPASSWORD": "a:b@c/d"], []),
            ("host=db sslmode=verify-full", ["HOME": "/home/otpd"], ["DATABASE_URL"]),
            ("host=db sslmode=verify-full", ["PGSSLROOTCERT": "/there"], []),
            ("host=db sslmode=verify-full", ["PGSSLROOTCERT": "/missing"], ["PGSSLROOTCERT"]),
            ("host=db sslmode=require", ["PGSSLROOTCERT": "/missing"], []),
            ("host=/run/postgresql sslmode=verify-full", ["HOME": "/home/otpd"], []),
            ("host=db sslcert=/there sslkey=/missing", [:], ["DATABASE_URL"]),
            ("host=db sslcert=/there sslkey=/there", [:], []), ("host=db sslcert=/there sslkey=engine:key", [:], []),
        ] as [(String, [String: String], [String])])
    func variables(url: String, environment: [String: String], names: [String]) {
        let problems = ConnectionSettings.problems(url, environment: environment) { path in
            path == "/there" ? nil : "No such file or directory"
        }
        #expect(problems.map(\.variable) == names, "\(problems)")
        for problem in problems {
            for value in environment.values where value.count > 3 { #expect(!problem.reason.contains(value)) }
        }
    }
}
