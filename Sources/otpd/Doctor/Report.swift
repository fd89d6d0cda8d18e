/// All findings, in the order in which a person reads them.
struct Report: Equatable, Sendable {
    private(set) var findings: [Finding] = []

    init(_ findings: [Finding] = []) { self.findings = findings }

    /// Of the failures the worst: what is wrong with the configuration, then with privileges, then what is unreachable.
    /// Trying again mends the last kind alone.
    var exitCode: ExitCode {
        let harms = findings.compactMap { finding -> Finding.Severity? in
            if case .fail(let harm) = finding.verdict { harm } else { nil }
        }
        return [.configuration, .privileges, .unreachable].first(where: harms.contains)?.exitCode ?? .done
    }

    /// How many there are of each verdict.
    var counts: (passed: Int, warned: Int, failed: Int, skipped: Int) {
        findings.reduce(into: (0, 0, 0, 0)) { counts, finding in
            switch finding.verdict {
            case .pass: counts.0 += 1
            case .warn: counts.1 += 1
            case .fail: counts.2 += 1
            case .skip: counts.3 += 1
            }
        }
    }

    // MARK: For people

    /// A line per check, its remedy beneath, a summary at the end.
    func text(colour isColoured: Bool) -> String {
        let width = findings.reduce(0) { max($0, DisplayWidth.columns($1.title)) }
        var text = ""
        for finding in findings {
            let (word, colour) = Self.word(finding.verdict)
            let padding = String(repeating: " ", count: width - DisplayWidth.columns(finding.title))
            text += isColoured ? "\u{1B}[\(colour)m\(word)\u{1B}[0m" : word
            text += "  \(finding.title)\(padding)  \(SingleLine.escaped(finding.found))\n"
            if let remedy = finding.remedy { text += "        -> \(SingleLine.escaped(remedy))\n" }
        }
        let (passed, warned, failed, skipped) = counts
        return text + "\n\(failed) failed, \(warned) to look at, \(passed) ok, \(skipped) not checked.\n"
    }

    /// The verdict's word, four columns wide, and its colour (ECMA-48).
    private static func word(_ verdict: Finding.Verdict) -> (String, Int) {
        switch verdict {
        case .pass: ("ok  ", 32)
        case .warn: ("warn", 33)
        case .fail: ("FAIL", 31)
        case .skip: ("skip", 90)
        }
    }

    // MARK: For programs

    /// One object: `checks`, an array, and `summary`.
    var json: String {
        var table = Table(columns: ["id", "verdict", "title", "found", "remedy", "exit_code"])
        for finding in findings {
            let (name, code): (String, Int32?) =
                switch finding.verdict {
                case .pass: ("pass", nil)
                case .warn: ("warn", nil)
                case .fail(let harm): ("fail", harm.exitCode.rawValue)
                case .skip: ("skip", nil)
                }
            table.append([
                .text(finding.id), .text(name), .text(finding.title), .text(finding.found),
                finding.remedy.map { .text($0) } ?? .null, code.map { .integer(Int64($0)) } ?? .null,
            ])
        }
        let (passed, warned, failed, skipped) = counts
        return """
            {
            "checks": \(table.json),
            "summary": {"pass": \(passed), "warn": \(warned), "fail": \(failed), "skip": \(skipped), \
            "exit_code": \(exitCode.rawValue)}
            }

            """
    }
}
