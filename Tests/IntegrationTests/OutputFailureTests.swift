import TestSupport
import Testing

/// Failing to write output is an error of its own. A reader that has closed the pipe is not an error.
@Suite(.database) struct OutputFailureTests {
    private func shell(_ command: String) async throws -> Otpd.Answer {
        let scope = try #require(TestScope.current)
        let program = try scope.start(
            "/bin/sh", ["-c", command],
            environment: Otpd.databaseEnvironment().merging(["O": BuildFolder.executable("otpd")]) { $1 })
        let code = try await program.exit(within: .seconds(60))
        return Otpd.Answer(code: code, output: program.output, errors: program.errors)
    }

    @Test(arguments: [
        "status", "status --json", "jobs list", "jobs list --json", "pause", "migrate status", "--version", "--help",
        "migrate up", "status --watch",
    ])
    func aFullDiskIsSaid(command: String) async throws {
        for output in [">/dev/full", ">&-"] {
            let answer = try await shell("\"$O\" \(command) \(output)")
            #expect(answer.code == 74, "\(command) \(output): \(answer.errors)")
            #expect(answer.errors.hasPrefix("otpd: cannot write to standard output: "), "\(answer.errors)")
            #expect(answer.errors.split(separator: "\n").count == 1)
        }
    }

    @Test func aReaderThatHasGoneIsNoError() async throws {
        let answer = try await shell("{ \"$O\" status --json; echo $? >&2; } | true")
        #expect(answer.errors == "0\n" || answer.errors == "141\n", "\(answer.errors)")
    }

    @Test func anotherFailureComesFirst() async throws {
        #expect(try await shell("\"$O\" status --check >/dev/full").code == 69)
    }

    @Test func nothingToShowIsASentence() async throws {
        #expect(try await Otpd.command(["pause"]).output == "Nothing is paused.\n")
        #expect(try await Otpd.command(["pause", "--json"]).output == "[]\n")
        #expect(try await Otpd.command(["jobs", "list"]).output == "There are no send jobs.\n")
        #expect(try await Otpd.command(["jobs", "list", "--subject", "x"]).output == "No send job matches.\n")
        #expect(try await Otpd.command(["jobs", "list", "--json"]).output == "[]\n")
        _ = try await Otpd.command(["pause", "--all", "--reason", "a test"])
        let resumed = try await Otpd.command(["resume", "--all"])
        #expect(resumed.output.contains("Nothing is paused."))
    }

    @Test func dataIsNotDeletedUnasked() async throws {
        let database = try #require(TestScope.current?.database)
        for arguments in [["migrate", "down", "--to", "0"], ["migrate", "down", "--to", "0"]] {
            let refused = try await Otpd.command(arguments, input: database.name + "\n")
            #expect(refused.code == 64)
            #expect(refused.errors.contains("database \(database.name)") && refused.errors.contains("--yes"))
        }
        #expect(try await Otpd.command(["migrate", "check"]).code == 0)
        #expect(try await Otpd.command(["migrate", "down", "--to", "0", "--yes"]).code == 0)
        #expect(try await Otpd.command(["migrate", "down", "--to", "0"]).output == "There was nothing to take back.\n")
    }

    @Test func supportFindsJobsByNumber() async throws {
        let database = try #require(TestScope.current?.database)
        try await database.enqueue("0501234567")
        try await database.enqueue("0501234568")
        let found = try await Otpd.command(["jobs", "list", "--phone", "--json"], input: "+966 50-123 4567\n")
        #expect(found.code == 0, "\(found.errors)")
        #expect(found.output.components("send_job_id") == 1)
        #expect(!found.output.contains("501234567"))
        #expect(
            try await Otpd.command(["jobs", "list", "--phone"], input: "0551234567\n").output
                == "No send job matches.\n")
        let wrong = try await Otpd.command(["jobs", "list", "--phone"], input: "12\n")
        #expect(wrong.code == 65, "\(wrong.errors)")
        #expect(try await Otpd.command(["jobs", "list", "--phone"], input: "").code == 65)
        #expect(try await Otpd.command(["jobs", "list", "--phone", "--failed"], input: "1").code == 64)
    }
}
