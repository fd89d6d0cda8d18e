/// What one check of `otpd doctor` came to. Holds no secret and no whole phone number.
struct Finding: Equatable, Sendable {
    enum Verdict: Equatable, Sendable {
        case pass
        /// It works, and something is worth doing.
        case warn
        /// It does not work, or breaks a promise; how the command then ends.
        case fail(Severity)
        /// It was not looked at; `found` says why.
        case skip
    }

    /// What kind of failure it is: each has its exit code.
    enum Severity: Equatable, Sendable {
        /// A setting, the schema, a table's row is wrong.
        case configuration
        /// A role, a credential, a file's mode refuses.
        case privileges
        /// A needed service does not answer.
        case unreachable

        var exitCode: ExitCode {
            switch self {
            case .configuration: .configuration
            case .privileges: .refused
            case .unreachable: .unavailable
            }
        }
    }

    /// For programs: stays the same from version to version. Lower case, with hyphens.
    let id: String
    /// For people: what was looked at.
    let title: String
    let verdict: Verdict
    /// What was found, in one sentence.
    let found: String
    /// What to do about it, best a command to type; nil where nothing is to be done.
    let remedy: String?

    private init(_ id: String, _ title: String, _ verdict: Verdict, _ found: String, _ remedy: String?) {
        (self.id, self.title, self.verdict, self.found, self.remedy) = (id, title, verdict, found, remedy)
    }
}

/// A check's name: what its findings have in common.
struct Check: Equatable, Sendable {
    let id: String
    let title: String

    init(_ id: String, _ title: String) { (self.id, self.title) = (id, title) }

    func pass(_ found: String) -> Finding { Finding(self, .pass, found, nil) }
    func warn(_ found: String, _ remedy: String) -> Finding { Finding(self, .warn, found, remedy) }
    func fail(_ harm: Finding.Severity, _ found: String, _ remedy: String) -> Finding {
        Finding(self, .fail(harm), found, remedy)
    }
    func skip(_ why: String, _ remedy: String? = nil) -> Finding { Finding(self, .skip, why, remedy) }
}

extension Finding {
    fileprivate init(_ check: Check, _ verdict: Verdict, _ found: String, _ remedy: String?) {
        self.init(check.id, check.title, verdict, found, remedy)
    }
}
