import EventLoop
import Logging
import OTP
import Queue
import Runtime
import Twilio

/// Templates, senders by country, error classes and rates, reloaded when operators change them. A row that cannot be
/// used is logged, and affects its own jobs alone. Confined to the loop.
final class Catalog {
    private let core: DispatchCore
    /// Those that this worker sends by.
    private let channels: [Channel]
    private(set) var templates = TemplateSet([])
    private(set) var senders: CountrySenders
    private(set) var channelSenders: ChannelSenders
    /// Fills `{app}` in texts, by purpose, and where a purpose has no name of its own.
    private var appNames: [String: [UInt8]] = [:]
    private let appName: [UInt8]
    /// Decides what outcomes mean, by the error classes.
    private(set) var rule = DispositionRule(classes: .none)
    /// Whether a step of a route begins after a wait.
    private(set) var hasWaits = false
    /// Whether Twilio is told which codes were used.
    private(set) var givesFeedback = false
    /// An operator changed something, or a job needs a row that is not here: the next heartbeat reloads.
    private var isStale = false

    init(
        _ core: DispatchCore, channels: [Channel], senders: CountrySenders, channelSenders: ChannelSenders,
        appName: String
    ) {
        self.core = core
        self.channels = channels
        self.senders = senders
        self.channelSenders = channelSenders
        self.appName = Array(appName.utf8)
    }

    /// What fills `{app}` in the texts of a purpose, as UTF-8.
    func appName(of purpose: String) -> [UInt8] { appNames.isEmpty ? appName : appNames[purpose] ?? appName }

    /// Takes over all rows but the pauses.
    func read(_ rows: LoadCatalog.Rows) {
        let log = core.log
        templates = TemplateSet(rows.templates, keeping: templates)
        senders.read(
            rows.senders, purposes: rows.purposes.compactMapValues(\.sender), providesFeedback: rows.givesFeedback)
        givesFeedback = rows.givesFeedback
        appNames = rows.purposes.compactMapValues { $0.appName.map { Array($0.utf8) } }
        channelSenders.read(
            rows.channelSenders.map { .init(channel: $0.channel, country: $0.country, sender: $0.sender) })
        for problem in channelSenders.problems {
            log.error("cannot use a sender; its channel cannot be used there", metadata: [LogKeys.error: "\(problem)"])
        }
        for row in senders.badRows {
            log.error(
                "cannot use a country's sender; its jobs wait",
                metadata: [LogKeys.error: "\(row)", LogKeys.remedy: "\(row.remedy)"])
        }
        rule.classes = ErrorClasses(rows.classes)
        hasWaits = rows.hasWaits
        let inUse = channels == [.email] ? [Channel.email.rawValue] : senders.inUse.union(channelSenders.rateKeys)
        var rates = rows.senderRates.filter { inUse.contains($0.key) }
        // Without a row, calls keep to Twilio's own limit: beyond it Twilio queues them without a word.
        if inUse.contains(Channel.call.rawValue), rates[Channel.call.rawValue] == nil {
            rates[Channel.call.rawValue] = 1
        }
        core.machine.rates.read(total: rows.rate, senders: rates, inUse: inUse, at: .now())
        for row in templates.badRows {
            log.error(
                "cannot use a template; keeping the last usable one", metadata: [LogKeys.error: "\(row)"])
        }
        if let problem = rule.classes.problem {
            log.error(
                "cannot use some error classes; their codes count as unlisted", metadata: [LogKeys.error: "\(problem)"])
        }
    }

    /// The catalog is out of date: a heartbeat follows at once, and reloads it.
    func changed() {
        isStale = true
        core.statusChanged.signal()
    }

    /// Whether it has to be reloaded. A change during the reload counts again.
    func takeStale() -> Bool {
        defer { isStale = false }
        return isStale
    }
}
