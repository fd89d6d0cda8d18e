// Tells ThreadSanitizer how Swift's Mutex works under contention. Preload it into programs built with that sanitizer.
//
// The fast paths of Synchronization.Mutex are inlined into our code, where ThreadSanitizer sees their atomics. Its slow
// paths lie in libswiftSynchronization, which is not instrumented, and the kernel hands the lock over (FUTEX_LOCK_PI).
// ThreadSanitizer would report every contended lock as a race. This file has the same slow paths with the two annotations
// that pthread_mutex has too. It hides no race: an access outside of the lock is still reported.
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// These belong to the sanitizer's runtime in the executable. Programs without it are left alone.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

SWIFT void lock_slow(uint32_t thread, SELF void *handle) __asm__(LOCK_SLOW);
SWIFT void unlock_slow(SELF void *handle) __asm__(UNLOCK_SLOW);

static void *original(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) abort();  // Somebody called it, so it is there.
    return function;
}

SWIFT void lock_slow(uint32_t thread, SELF void *handle) {
    ((SWIFT void (*)(uint32_t, SELF void *))original(LOCK_SLOW))(thread, handle);
    if (__tsan_acquire) __tsan_acquire(handle);
}

SWIFT void unlock_slow(SELF void *handle) {
    if (__tsan_release) __tsan_release(handle);
    ((SWIFT void (*)(SELF void *))original(UNLOCK_SLOW))(handle);
}
