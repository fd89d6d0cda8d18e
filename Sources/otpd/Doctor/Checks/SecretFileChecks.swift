/// Checks the sources of secrets, and which other users can read them there.
enum SecretFileChecks {
    static let check = Check("secret-files", "Secrets' files")
    static let environment = Check("secrets-in-environment", "Secrets in variables")

    /// A file that a secret is read from.
    struct Source: Equatable, Sendable {
        /// The setting, or another name for the file's contents.
        var name: String
        var path: String
        /// Nil where the file cannot be examined.
        var facts: FileFacts?
    }

    /// Groups that usually have many members.
    private static let broadGroups: Set<String> = ["users", "staff", "nogroup", "nobody", "www-data", "games"]

    static func findings(_ sources: [Source]) -> [Finding] {
        guard !sources.isEmpty else { return [check.pass("No secret is read from a file.")] }
        let findings = sources.map(finding)
        let isWell = findings.allSatisfy { $0.verdict == .pass }
        return isWell && findings.count > 1
            ? [check.pass(sources.map { "\($0.path) (\($0.facts?.words ?? ""))" }.joined(separator: ", "))] : findings
    }

    private static func finding(_ source: Source) -> Finding {
        let (name, path) = (source.name, source.path)
        guard let facts = source.facts else {
            return check.skip("\(name): this user cannot examine \(path).")
        }
        let quoted = SingleLine.quoted(path)
        if facts.mode & 0o022 != 0 {
            return check.fail(
                .privileges, "\(name): other users than the owner can change \(path) (\(facts.words)).",
                "Withdraw the permission: chmod go-w,o-r \(quoted)")
        }
        if facts.mode & 0o004 != 0 {
            let found = "\(name): every user of this machine can read \(path) (\(facts.words))"
            return facts.isReachable
                ? check.fail(
                    .privileges, "\(found).",
                    "Withdraw the permission: chmod o-r \(quoted). Then change the secret, because others may have read it."
                )
                : check.warn(
                    "\(found), if they can enter its folder.", "Withdraw the permission: chmod o-r \(quoted)")
        }
        if facts.mode & 0o040 != 0, Self.broadGroups.contains(facts.group) {
            return check.warn(
                "\(name): the group \(facts.group) can read \(path) (\(facts.words)), and it usually has many members.",
                "Use a group of its own: chgrp otpd-secrets \(quoted). Or let only the owner read it: chmod g-r \(quoted)"
            )
        }
        return check.pass("\(name): \(path) (\(facts.words))")
    }

    /// A note about secrets in environment variables.
    static func environmentFinding(_ variables: [String: String]) -> Finding {
        let names = SettingName.allCases.filter { $0.isSecret && variables[$0.rawValue].map { !$0.isEmpty } ?? false }
            .map(\.rawValue)
        guard !names.isEmpty else { return environment.pass("none") }
        return environment.pass(
            "\(names.joined(separator: ", ")): root and other processes of this user can read them in /proc. Files are "
                + "safer: see LoadCredential= in otpd.service.")
    }
}

/// The owner, the group and the mode of a file.
struct FileFacts: Equatable, Sendable {
    /// The permission bits.
    var mode: UInt32
    var owner: String
    var group: String
    /// Whether every user may enter the folders that lead to the file.
    var isReachable: Bool

    /// `0640 root:otpd-secrets`.
    var words: String {
        let digits = String(mode & 0o7777, radix: 8)
        return "\(String(repeating: "0", count: max(0, 4 - digits.count)) + digits) \(owner):\(group)"
    }
}
