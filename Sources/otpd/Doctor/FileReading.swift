internal import Glibc

/// Finds the files that secrets come from, and reads their owners and modes.
enum FileReading {
    /// The file with the settings that systemd reads. It may hold secrets.
    static let environmentFile = "/etc/otpd/otpd.env"

    /// Every file that a secret comes from in this environment. The order of sources is that of `SettingsReader`: the
    /// variable, the named file, the credential.
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

    /// The file's owner, group and mode. Nil where the file does not exist or stat(2) is refused.
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
        // getpwuid(3) and getgrgid(3) are not safe on several threads. Only this thread calls them.
        guard let entry = unsafe getpwuid(id), let name = unsafe entry.pointee.pw_name else { return "\(id)" }
        return unsafe String(cString: name)
    }

    private static func groupName(_ id: gid_t) -> String {
        guard let entry = unsafe getgrgid(id), let name = unsafe entry.pointee.gr_name else { return "\(id)" }
        return unsafe String(cString: name)
    }
}
