import Queue
import Testing

@testable import otpd

@Suite struct NumberTableCheckTests {
    private let program = NumberTable(version: "9.0.43", releasedOn: "2026-11-06")

    private func finding(_ version: String?, age: Int) -> Finding {
        NumberTableCheck.finding(
            .init(table: version.map { NumberTable(version: $0, releasedOn: "2026-11-06") }, age: age), program: program
        )
    }

    @Test(arguments: [
        ("9.0.43", 0, Finding.Verdict.pass), ("9.0.43", 365, .pass), ("9.0.43", 366, .warn), ("9.0.42", 0, .warn),
        ("9.0.43.1", 0, .pass), ("9.0.100", 0, .pass), ("10.0.1", 365, .pass), ("10.0.1", 366, .warn),
        ("8.12.57", 2000, .warn),
    ])
    func theTableIsThereAndNotOld(version: String, age: Int, verdict: Finding.Verdict) {
        #expect(finding(version, age: age).verdict == verdict)
    }

    @Test func withoutATableEveryNumberIsRefused() {
        #expect(finding(nil, age: 0).verdict == .fail(.configuration))
        #expect(finding(nil, age: 0).remedy?.contains("otpd migrate up") == true)
    }

    @Test func whatToDoIsSaidWhereThereIsSomething() {
        #expect(NumberTable.news(database: program, program: program) == nil)
        #expect(NumberTable.news(database: nil, program: program)?.contains("otpd migrate up") == true)
        let older = NumberTable(version: "9.0.9", releasedOn: "2025-07-01")
        #expect(NumberTable.news(database: older, program: program)?.contains("otpd migrate up") == true)
        #expect(NumberTable.news(database: program, program: older)?.contains("which keeps them") == true)
    }
}
