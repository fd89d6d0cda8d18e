internal import Glibc

/// Reads what stat(2) says, and which files the secrets come from.
enum FileReading {
    /// The file of otpd's own that the settings are read from by systemd, secrets among them.
    static let environmentFile = "/etc/otpd/otpd.env"

    /// Every file that a secret is read from in this environment. Follows `SettingsReader`: the variable wins, then the
    /// file that is named, then the credential.
    static func sources(_ environment: [String: String]) -> [SecretFileChecks.Source] {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        var sources: [SecretFileChecks.Source] = []
        for name in SettingName.allCases where name.isSecret && value(name.rawValue) == nil {
            if let path = value(name.fileVariable) {
                sources.append(.init(name: name.rawValue, path: path, facts: facts(path)))
            } else if let folder = value("CREDENTIALS_DIRECTORY"), let facts = facts("\(folder)/\(name.credential)") {
                sources.append(.init(name: name.rawValue, path: "\(folder)/\(name.credential)", facts: facts))
            }
        }
        if let facts = facts(environmentFile) {
            sources.append(.init(name: "settings", path: environmentFile, facts: facts))
        }
        return sources
    }

    /// Nil where the file is not there or may not be looked at.
    static func facts(_ path: String) -> FileFacts? {
        guard let status = status(path) else { return nil }
        var isReachable = true
        var folder = path
        while let slash = folder.lastIndex(of: "/") {
            folder = String(folder[..<slash])
            if let parent = Self.status(folder.isEmpty ? "/" : folder), parent.st_mode & 0o001 == 0 {
                isReachable = false
            }
        }
        return FileFacts(
            mode: status.st_mode & 0o7777, owner: userName(status.st_uid), group: groupName(status.st_gid),
            isReachable: isReachable)
    }

    private static func status(_ path: String) -> stat? {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? status : nil
    }

    private static func userName(_ id: uid_t) -> String {
        // One thread of this process asks, before any other runs that would.
        guard let entry = unsafe getpwuid(id), let name = unsafe entry.pointee.pw_name else { return "\(id)" }
        return unsafe String(cString: name)
    }

    private static func groupName(_ id: gid_t) -> String {
        guard let entry = unsafe getgrgid(id), let name = unsafe entry.pointee.gr_name else { return "\(id)" }
        return unsafe String(cString: name)
    }
}
