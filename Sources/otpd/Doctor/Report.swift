/// All findings of a run, in the order in which they are shown.
struct Report: Equatable, Sendable {
    private(set) var findings: [Finding] = []

    init(_ findings: [Finding] = []) { self.findings = findings }

    /// The exit code of the worst failure: a bad configuration, then a refusal by privileges, then an unreachable
    /// service. Another attempt helps only with the last kind.
    var exitCode: ExitCode {
        let harms = findings.compactMap { finding -> Finding.Severity? in
            if case .fail(let harm) = finding.verdict { harm } else { nil }
        }
        return [.configuration, .privileges, .unreachable].first(where: harms.contains)?.exitCode ?? .done
    }

    /// How many findings have each verdict.
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

    /// One line for each finding with its remedy below it, and a summary at the end.
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
        return text + "\n\(failed) failed, \(warned) with a warning, \(passed) ok, \(skipped) not checked\n"
    }

    /// The verdict's word, four columns wide, and the number of its colour (ECMA-48).
    private static func word(_ verdict: Finding.Verdict) -> (String, Int) {
        switch verdict {
        case .pass: ("ok  ", 32)
        case .warn: ("warn", 33)
        case .fail: ("FAIL", 31)
        case .skip: ("skip", 90)
        }
    }

    // MARK: For programs

    /// One object with the array `checks` and the object `summary`.
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
