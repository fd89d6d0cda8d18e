internal import CLinux

/// The events that a descriptor is watched for, or is ready for.
public struct Readiness: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A read would not block: there is data, or the end of it.
    public static let read = Readiness(rawValue: 1)
    /// A write would not block.
    public static let write = Readiness(rawValue: 2)
    /// The peer is gone or the descriptor has an error. Always reported, without being asked for.
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

/// A handler that the loop calls, on its thread, when a descriptor is ready.
public protocol ReadinessHandler: AnyObject {
    /// `descriptor` is ready for `readiness`. May watch and unwatch any descriptor.
    func ready(_ descriptor: Int32, _ readiness: Readiness)
}

/// The wanted and the registered interest of each descriptor. Pure bookkeeping behind lazy `epoll_ctl`.
///
/// libcurl turns a socket's interest on and off several times a request. The kernel is told just before `epoll_wait`,
/// and only about differences. That reduces two `epoll_ctl` a send to 0.1.
struct InterestTable {
    struct Entry {
        var handler: (any ReadinessHandler)?
        var wanted: Readiness = []
        /// The interest that the kernel has; nil if the descriptor is not registered.
        var applied: Readiness?
        var isDirty = false
    }

    enum Change: Equatable {
        case add(Int32, Readiness)
        case modify(Int32, Readiness)
    }

    /// Indexed by descriptor. The kernel gives the lowest free number, so the array stays short.
    private var entries: [Entry] = []
    private var dirty: [Int32] = []

    /// How many descriptors are watched.
    private(set) var watched = 0

    func handler(of descriptor: Int32) -> (any ReadinessHandler)? {
        let index = Int(descriptor)
        return index < entries.count ? entries[index].handler : nil
    }

    func wanted(_ descriptor: Int32) -> Readiness {
        let index = Int(descriptor)
        return index < entries.count ? entries[index].wanted : []
    }

    /// Records the wanted interest. The kernel is told with the next `takeChanges`.
    mutating func want(_ descriptor: Int32, _ readiness: Readiness, _ handler: any ReadinessHandler) {
        let index = Int(descriptor)
        while entries.count <= index { entries.append(Entry()) }
        if entries[index].handler == nil { watched += 1 }
        entries[index].handler = handler
        entries[index].wanted = readiness
        mark(index)
    }

    /// Forgets a descriptor that is about to be closed or handed on. Returns whether the kernel must be told.
    ///
    /// The kernel is told at once, because the next socket may reuse the number before the turn ends.
    mutating func forget(_ descriptor: Int32) -> Bool {
        let index = Int(descriptor)
        guard index < entries.count, entries[index].handler != nil else { return false }
        let registered = entries[index].applied != nil
        entries[index] = Entry(isDirty: entries[index].isDirty)
        watched -= 1
        return registered
    }

    /// Gives the differences between the wanted and the registered interest to `apply`. From then on they count as
    /// registered.
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
