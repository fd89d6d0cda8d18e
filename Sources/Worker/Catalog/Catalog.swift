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
    private(set) var templates = TemplateSet([])
    private(set) var senders: CountrySenders
    /// Decides what outcomes mean, by the error classes.
    private(set) var rule = DispositionRule(classes: .none)
    /// An operator changed something, or a job needs a row that is not here: the next heartbeat reloads.
    private var isStale = false

    init(_ core: DispatchCore, senders: CountrySenders) {
        self.core = core
        self.senders = senders
    }

    /// Takes over all rows but the pauses.
    func read(_ rows: LoadCatalog.Rows) {
        let log = core.log
        templates = TemplateSet(rows.templates, keeping: templates)
        senders.read(rows.senders)
        for row in senders.badRows {
            log.error(
                "cannot use a country's sender; its jobs wait",
                metadata: [LogKeys.error: "\(row)", LogKeys.remedy: "\(CountrySenders.BadRow.remedy)"])
        }
        rule.classes = ErrorClasses(rows.classes)
        core.machine.rates.read(total: rows.rate, senders: rows.senderRates, inUse: senders.inUse, at: .now())
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
