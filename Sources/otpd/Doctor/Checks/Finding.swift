/// The result of one check of `otpd doctor`. It holds no secret and no whole phone number.
struct Finding: Equatable, Sendable {
    enum Verdict: Equatable, Sendable {
        case pass
        /// It works, but the operator should do something.
        case warn
        /// It does not work, or it puts codes or messages at risk. The severity decides the exit code.
        case fail(Severity)
        /// It was not checked. `found` says why.
        case skip
    }

    /// The kind of a failure. Each has its exit code.
    enum Severity: Equatable, Sendable {
        /// A setting, the schema or a row of a table is wrong.
        case configuration
        /// A role, a credential or a file's mode is refused.
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

    /// The check's name for programs, in lower case with hyphens. It is the same in all versions.
    let id: String
    /// The check's name for people.
    let title: String
    let verdict: Verdict
    /// What was found: a phrase, or whole sentences.
    let found: String
    /// What to do: whole sentences, or a sentence that ends with a command. Nil where nothing is to be done.
    let remedy: String?

    private init(_ id: String, _ title: String, _ verdict: Verdict, _ found: String, _ remedy: String?) {
        (self.id, self.title, self.verdict, self.found, self.remedy) = (id, title, verdict, found, remedy)
    }
}

/// The name of a check, which makes its findings.
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
