// What Swift's Glibc module leaves out (measured with Swift 6.3 on Debian 12).
#pragma once
#include <sys/epoll.h>    // epoll_*: not visible from Glibc
#include <sys/eventfd.h>  // eventfd: not visible from Glibc
#include <sys/signalfd.h> // signalfd: not visible from Glibc
#include <sys/prctl.h>

// prctl is variadic, and pthread_setname_np hides behind _GNU_SOURCE: names the calling thread (15 bytes at most).
static inline void prctl_set_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

// The same for PR_SET_DUMPABLE: no core dump, no ptrace by others of the same user. 0 when done.
static inline int prctl_set_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
