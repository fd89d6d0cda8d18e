import Testing

@testable import Queue

struct NumberTableTests {
    /// The program's own table names its version and its date in the statement.
    @Test func theTableThatIsCompiledInNamesItself() {
        let table = NumberTable.embedded
        #expect(table.version.split(separator: ".").count >= 3)
        #expect(table.version.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E })
        #expect(table.releasedOn.utf8.count == 10)
        #expect(table.loadedAt == nil)
        #expect(NumberTable.sql.contains("\"region\":\"SA\""))
        #expect(NumberTable.sql.hasSuffix("\n"))
    }

    @Test(arguments: [
        "", "SELECT 1", "SELECT otp.load_numbers('9.0.43'", "-- a comment",
        "SELECT otp.load_numbers('9.0.43'; '2026-11-06', $",
    ])
    func anotherStatementIsNone(_ sql: String) { #expect(NumberTable(sql: sql) == nil) }

    /// Compared number by number, as in SQL.
    @Test(arguments: [
        ("9.0.43", "9.0.42", true), ("9.0.43", "9.0.43", false), ("9.0.43", "9.0.44", false),
        ("9.0.100", "9.0.99", true),
        ("10.0.0", "9.9.99", true), ("9.0.43.1", "9.0.43", true), ("9.0.43", "9.0.43.1", false),
        ("9.0.44", "9.0.43.7", true),
        ("8.12.57", "9.0.0", false),
    ])
    func newerIsByNumber(_ version: String, _ other: String, _ isNewer: Bool) {
        let table = NumberTable(version: version, releasedOn: "2026-11-06")
        #expect(table.isNewer(than: NumberTable(version: other, releasedOn: "2026-11-06")) == isNewer)
        #expect(table.isNewer(than: nil))
    }
}
