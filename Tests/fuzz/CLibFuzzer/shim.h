#pragma once
#include <stddef.h>
#include <stdint.h>

// Declares libFuzzer as a library (LLVM, "Using libFuzzer as a library"), because no installed header does. SwiftPM gives
// every executable an entry point, so libFuzzer's main cannot be used.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
