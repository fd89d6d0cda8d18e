#pragma once
#include <stddef.h>
#include <stdint.h>

// libFuzzer as a library (LLVM, "Using libFuzzer as a library"): no installed header declares it. SwiftPM gives every
// executable its own entry point, so libFuzzer's main cannot be it.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
