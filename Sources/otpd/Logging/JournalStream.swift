internal import Glibc

/// Tells whether stderr goes to journald.
enum JournalStream {
    /// `JOURNAL_STREAM` names the device and inode of the stream that systemd connected; it is inherited by children
    /// whose stderr goes elsewhere, so both are compared (systemd.exec(5)).
    static func isStandardError(_ environment: [String: String]) -> Bool {
        guard let stream = environment["JOURNAL_STREAM"] else { return false }
        var status = stat()
        guard unsafe fstat(2, &status) == 0 else { return false }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }
}
