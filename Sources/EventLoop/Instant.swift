internal import Glibc

/// A point in time on this machine's `CLOCK_BOOTTIME`, in nanoseconds.
///
/// Boot time advances while the machine is suspended. So neither a stopped process nor a suspended machine stretches a
/// lease that is measured on it (`clock_gettime(2)`). It is unrelated to the time of day.
public struct Instant: Sendable, Hashable, Comparable {
    /// Nanoseconds since boot.
    public var nanoseconds: Int64

    /// The instant `nanoseconds` after boot.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Reads the clock (a vDSO call, about 30 ns).
    public static func now() -> Instant {
        var time = timespec()
        // CLOCK_BOOTTIME exists on every Linux that has epoll, and the call fails only for an unknown clock.
        unsafe clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    /// The instant `span` after this one. Saturates on overflow.
    public static func + (a: Instant, span: Duration) -> Instant {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(span.nanoseconds)
        return Instant(nanoseconds: overflow ? (span.nanoseconds > 0 ? .max : .min) : sum)
    }

    /// The instant `span` before this one.
    public static func - (a: Instant, span: Duration) -> Instant { a + Duration(nanoseconds: 0 &- span.nanoseconds) }

    /// The time from `b` to `a`.
    public static func - (a: Instant, b: Instant) -> Duration { Duration(nanoseconds: a.nanoseconds - b.nanoseconds) }

    /// A length of time in nanoseconds; may be negative.
    public struct Duration: Sendable, Hashable, Comparable {
        /// The length in nanoseconds.
        public var nanoseconds: Int64

        /// A length of `nanoseconds`.
        public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

        /// A length in fractional seconds, truncated to a nanosecond. Saturates on overflow; NaN gives zero.
        public init(seconds: Double) {
            let nanoseconds = (seconds * 1e9).rounded(.towardZero)
            if nanoseconds.isNaN {
                self.init(nanoseconds: 0)
            } else {
                self.init(nanoseconds: Int64(exactly: nanoseconds) ?? (seconds > 0 ? .max : .min))
            }
        }

        /// The length of a `Swift.Duration`, truncated to a nanosecond.
        public init(_ duration: Swift.Duration) {
            let (seconds, attoseconds) = duration.components
            let (whole, isOver) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
            let (sum, isOverToo) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
            self.init(nanoseconds: isOver || isOverToo ? (seconds > 0 ? .max : .min) : sum)
        }

        /// A length of whole seconds.
        public static func seconds(_ count: Int64) -> Duration { Duration(nanoseconds: count * 1_000_000_000) }
        /// A length of whole milliseconds.
        public static func milliseconds(_ count: Int64) -> Duration { Duration(nanoseconds: count * 1_000_000) }

        /// The length in seconds.
        public var seconds: Double { Double(nanoseconds) / 1e9 }
        /// The length in milliseconds, rounded up: a wait of this many never ends early.
        public var millisecondsRoundedUp: Int64 {
            nanoseconds <= 0 ? 0 : (nanoseconds - 1) / 1_000_000 + 1
        }

        public static func < (a: Duration, b: Duration) -> Bool { a.nanoseconds < b.nanoseconds }
        /// The sum of two lengths.
        public static func + (a: Duration, b: Duration) -> Duration {
            Duration(nanoseconds: a.nanoseconds + b.nanoseconds)
        }
    }
}
