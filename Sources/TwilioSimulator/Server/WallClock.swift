import Glibc

/// The only place that reads the clock.
enum WallClock {
    /// Microseconds since 1970.
    static func now() -> Microseconds {
        var time = timespec()
        // The pointer is valid during this call alone. CLOCK_REALTIME cannot fail.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
