/// Where secrets come from, and who else may read them there.
enum SecretFileChecks {
    static let check = Check("secret-files", "Secrets' files")
    static let environment = Check("secrets-in-environment", "Secrets in variables")

    /// A file that a secret is read from.
    struct Source: Equatable, Sendable {
        /// The setting, or what else is in the file.
        var name: String
        var path: String
        /// Nil where it can't be looked at.
        var facts: FileFacts?
    }

    /// Groups that many accounts are in as a rule.
    private static let broadGroups: Set<String> = ["users", "staff", "nogroup", "nobody", "www-data", "games"]

    static func findings(_ sources: [Source]) -> [Finding] {
        guard !sources.isEmpty else { return [check.pass("no secret is read from a file")] }
        let findings = sources.map(finding)
        let isWell = findings.allSatisfy { $0.verdict == .pass }
        return isWell && findings.count > 1
            ? [check.pass(sources.map { "\($0.path) (\($0.facts?.words ?? ""))" }.joined(separator: ", "))] : findings
    }

    private static func finding(_ source: Source) -> Finding {
        let (name, path) = (source.name, source.path)
        guard let facts = source.facts else {
            return check.skip("\(name): \(path) can't be looked at by this user")
        }
        let quoted = SingleLine.quoted(path)
        if facts.mode & 0o022 != 0 {
            return check.fail(
                .privileges, "\(name): \(path) may be changed by others than its owner (\(facts.words))",
                "chmod go-w,o-r \(quoted)")
        }
        if facts.mode & 0o004 != 0 {
            let found = "\(name): \(path) may be read by everybody on this machine (\(facts.words))"
            return facts.isReachable
                ? check.fail(
                    .privileges, found, "chmod o-r \(quoted), then change the secret: somebody may have read it")
                : check.warn("\(found), and only its folder keeps them out", "chmod o-r \(quoted)")
        }
        if facts.mode & 0o040 != 0, Self.broadGroups.contains(facts.group) {
            return check.warn(
                "\(name): \(path) may be read by the group \(facts.group) (\(facts.words)), which many are in",
                "chgrp otpd-secrets \(quoted)   # or, read by its owner alone: chmod g-r \(quoted)")
        }
        return check.pass("\(name): \(path) (\(facts.words))")
    }

    /// Secrets that stand in the environment itself: a note, and no more.
    static func environmentFinding(_ variables: [String: String]) -> Finding {
        let names = SettingName.allCases.filter { $0.isSecret && variables[$0.rawValue].map { !$0.isEmpty } ?? false }
            .map(\.rawValue)
        guard !names.isEmpty else { return environment.pass("none") }
        return environment.pass(
            "\(names.joined(separator: ", ")): root and this user's other processes can read them in /proc; files are "
                + "stricter (LoadCredential= in otpd.service)")
    }
}

/// What stat(2) says of a file.
struct FileFacts: Equatable, Sendable {
    /// The permission bits.
    var mode: UInt32
    var owner: String
    var group: String
    /// Whether everybody may enter the folders that lead to it.
    var isReachable: Bool

    /// `0640 root:otpd-secrets`.
    var words: String {
        let digits = String(mode & 0o7777, radix: 8)
        return "\(String(repeating: "0", count: max(0, 4 - digits.count)) + digits) \(owner):\(group)"
    }
}
