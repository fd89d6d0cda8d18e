internal import Glibc

/// The work of the machine's processors since its start, for all processes together (`/proc/stat`, first line).
struct MachineLoad {
    /// Processor seconds of work, without the time stolen by the host.
    let busy: Double
    /// Processor seconds that the host gave to other guests.
    let stolen: Double
    let at: Double

    static func now() -> MachineLoad {
        let fields = (ProcFile.read("/proc/stat") ?? "").prefix { $0 != "\n" }.split(separator: " ").dropFirst()
        let ticks = fields.map { Double($0) ?? 0 } + [Double](repeating: 0, count: 8)
        let perSecond = Double(sysconf(Int32(_SC_CLK_TCK)))
        // user nice system idle iowait irq softirq steal
        let busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]
        return MachineLoad(busy: busy / perSecond, stolen: ticks[7] / perSecond, at: Double(WallClock.now()) / 1e6)
    }

    /// How many processors were busy for other processes, on average since `start`. The measured ones used `own`
    /// seconds.
    func others(since start: MachineLoad, own: Double) -> Double {
        let span = max(at - start.at, 0.001)
        return max(0, (busy - start.busy) + (stolen - start.stolen) - own) / span
    }

    /// The processor's name (`/proc/cpuinfo`).
    static var model: String {
        let lines = (ProcFile.read("/proc/cpuinfo") ?? "").split(separator: "\n")
        let name = lines.first { $0.hasPrefix("model name") }?.split(separator: ":", maxSplits: 1).last
        return name.map { String($0.drop { $0 == " " }) } ?? "an unknown processor"
    }

    static var processors: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }
}
