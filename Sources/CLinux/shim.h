// Declarations that Swift's Glibc module lacks (checked with Swift 6.3 on Debian 12).
#pragma once
#include <sys/epoll.h>    // epoll_*: not visible from Glibc
#include <sys/eventfd.h>  // eventfd: not visible from Glibc
#include <sys/signalfd.h> // signalfd: not visible from Glibc
#include <sys/prctl.h>

// Names the calling thread (15 bytes at most). prctl is variadic, and pthread_setname_np needs _GNU_SOURCE.
static inline void prctl_set_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

// Forbids core dumps, and ptrace by other processes of the same user (PR_SET_DUMPABLE). Returns 0 on success.
static inline int prctl_set_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
