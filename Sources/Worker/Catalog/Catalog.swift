import EventLoop
import Logging
import OTP
import Queue
import Runtime
import Twilio

/// Texts, senders by country, error classes and rates as operators set them, read again when they change. Rows that
/// can't be used are logged; they cost their own jobs and no others. Confined to the loop.
final class Catalog {
    private let core: DispatchCore
    private(set) var templates = TemplateSet([])
    private(set) var senders: CountrySenders
    /// Decides what outcomes mean, by the error classes.
    private(set) var rule = DispositionRule(classes: .none)
    /// Operators changed something, or a job wants what is not known: the next heartbeat reads it.
    private var isStale = false

    init(_ core: DispatchCore, senders: CountrySenders) {
        self.core = core
        self.senders = senders
    }

    /// Takes over the rows as they are now, but for the pauses among them.
    func read(_ rows: LoadCatalog.Rows) {
        let log = core.log
        templates = TemplateSet(rows.templates, keeping: templates)
        senders.read(rows.senders)
        for row in senders.badRows {
            log.error(
                "a country's sender can't be used: its jobs wait",
                metadata: [LogKeys.error: "\(row)", LogKeys.remedy: "\(CountrySenders.BadRow.remedy)"])
        }
        rule.classes = ErrorClasses(rows.classes)
        core.machine.rates.read(total: rows.rate, senders: rows.senderRates, inUse: senders.inUse, at: .now())
        for row in templates.badRows {
            log.error(
                "a text can't be used; the one before is kept, if there was one", metadata: [LogKeys.error: "\(row)"])
        }
        if let problem = rule.classes.problem {
            log.error(
                "error classes can't be used; their codes count as unknown", metadata: [LogKeys.error: "\(problem)"])
        }
    }

    /// It has changed, or a job wants what is not known: the next heartbeat, which is now, reads it.
    func changed() {
        isStale = true
        core.statusChanged.signal()
    }

    /// Whether it should be read now; what changes while it is being read counts again.
    func takeStale() -> Bool {
        defer { isStale = false }
        return isStale
    }
}
