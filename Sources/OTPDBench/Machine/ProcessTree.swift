internal import Glibc

/// Processor time of a process and its descendants, reaped ones included, from `/proc/PID/stat` (proc(5), fields 4 and
/// 14 to 17).
struct ProcessTree {
    let root: Int32
    /// A descendant that does not count, such as the server's process for this program's own session.
    var without: Int32?

    private static let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))

    /// Seconds of processor time so far.
    func cpuSeconds() -> Double {
        var parents: [Int32: Int32] = [:]
        var ticks: [Int32: Int] = [:]
        for pid in Self.processes() {
            guard let stat = Self.stat(pid) else { continue }
            parents[pid] = stat.parent
            ticks[pid] = stat.ticks
        }
        var sum = 0
        for (pid, own) in ticks where pid != without {
            var ancestor = pid
            while ancestor > 1, ancestor != root { ancestor = parents[ancestor] ?? 0 }
            if ancestor == root { sum += own }
        }
        return Double(sum) / Self.ticksPerSecond
    }

    /// The parent of a process; nil if the process has ended.
    static func parent(of pid: Int32) -> Int32? { stat(pid)?.parent }

    private static func processes() -> [Int32] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var pids: [Int32] = []
        while let entry = readdir(folder) {
            let pid = withUnsafeBytes(of: entry.pointee.d_name) { name in
                Int32(String(decoding: name.prefix { $0 != 0 }, as: UTF8.self))
            }
            if let pid { pids.append(pid) }
        }
        return pids
    }

    private static func stat(_ pid: Int32) -> (parent: Int32, ticks: Int)? {
        // The command's name is in parentheses and may contain anything. The fields follow the last parenthesis.
        guard let text = ProcFile.read("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 15, let parent = Int32(fields[1]) else { return nil }
        return (parent, fields[11...14].reduce(0) { $0 + (Int($1) ?? 0) })
    }
}
