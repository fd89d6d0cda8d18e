internal import CLinux

/// What a descriptor is watched for, or what it is ready for.
public struct Readiness: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A read would not block (data, or the end of it).
    public static let read = Readiness(rawValue: 1)
    /// A write would not block.
    public static let write = Readiness(rawValue: 2)
    /// The peer is gone or the descriptor is in error; always reported, never asked for.
    public static let failed = Readiness(rawValue: 4)

    init(epoll events: UInt32) {
        var value: Readiness = []
        if events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0 { value.insert(.read) }
        if events & EPOLLOUT.rawValue != 0 { value.insert(.write) }
        if events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { value.insert(.failed) }
        self = value
    }

    var epollEvents: UInt32 {
        (contains(.read) ? EPOLLIN.rawValue : 0) | (contains(.write) ? EPOLLOUT.rawValue : 0)
    }
}

/// Told by the loop, on its thread, that a descriptor is ready.
public protocol ReadinessHandler: AnyObject {
    /// `descriptor` is ready for `readiness`. May watch and unwatch any descriptor.
    func ready(_ descriptor: Int32, _ readiness: Readiness)
}

/// What each descriptor is wanted for against what the kernel was told: pure bookkeeping behind lazy `epoll_ctl`.
///
/// libcurl turns a socket's interest on and off several times a request; told to the kernel just before `epoll_wait`,
/// and only where it differs, two `epoll_ctl` a send become 0.1.
struct InterestTable {
    struct Entry {
        var handler: (any ReadinessHandler)?
        var wanted: Readiness = []
        /// What the kernel has; nil when the descriptor is not registered.
        var applied: Readiness?
        var isDirty = false
    }

    enum Change: Equatable {
        case add(Int32, Readiness)
        case modify(Int32, Readiness)
    }

    /// By descriptor: the kernel gives the lowest free number, so the array stays short.
    private var entries: [Entry] = []
    private var dirty: [Int32] = []

    /// Descriptors somebody watches.
    private(set) var watched = 0

    func handler(of descriptor: Int32) -> (any ReadinessHandler)? {
        let index = Int(descriptor)
        return index < entries.count ? entries[index].handler : nil
    }

    func wanted(_ descriptor: Int32) -> Readiness {
        let index = Int(descriptor)
        return index < entries.count ? entries[index].wanted : []
    }

    /// Notes what is wanted from now on; the kernel hears of it with the next `takeChanges`.
    mutating func want(_ descriptor: Int32, _ readiness: Readiness, _ handler: any ReadinessHandler) {
        let index = Int(descriptor)
        while entries.count <= index { entries.append(Entry()) }
        if entries[index].handler == nil { watched += 1 }
        entries[index].handler = handler
        entries[index].wanted = readiness
        mark(index)
    }

    /// Forgets a descriptor that is about to be closed or handed on; says whether the kernel has to be told.
    ///
    /// Told at once and not lazily, since the number may be reused by the next socket before the turn ends.
    mutating func forget(_ descriptor: Int32) -> Bool {
        let index = Int(descriptor)
        guard index < entries.count, entries[index].handler != nil else { return false }
        let registered = entries[index].applied != nil
        entries[index] = Entry(isDirty: entries[index].isDirty)
        watched -= 1
        return registered
    }

    /// The differences between what is wanted and what the kernel has, which from now on count as applied.
    mutating func takeChanges(_ apply: (Change) -> Void) {
        for descriptor in dirty {
            let index = Int(descriptor)
            entries[index].isDirty = false
            let entry = entries[index]
            guard entry.handler != nil, entry.applied != entry.wanted else { continue }
            entries[index].applied = entry.wanted
            apply(entry.applied == nil ? .add(descriptor, entry.wanted) : .modify(descriptor, entry.wanted))
        }
        dirty.removeAll(keepingCapacity: true)
    }

    private mutating func mark(_ index: Int) {
        guard !entries[index].isDirty, entries[index].applied != entries[index].wanted else { return }
        entries[index].isDirty = true
        dirty.append(Int32(index))
    }
}
