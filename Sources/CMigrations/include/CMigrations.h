#pragma once

// The files of migrations/, compiled in: the program and the plain SQL that psql can run are the same bytes.

#include <stddef.h>

/// One migration: its files' texts are not terminated, their lengths count.
typedef struct {
    int version;
    const char *name;  ///< as in otp.schema_migrations: "foundation" of 0001_foundation.up.sql
    const char *up;
    size_t up_length;
    const char *down;
    size_t down_length;
} otp_migration;

/// How many migrations there are.
size_t otp_migrations_count(void);

/// The migration at an index below the count, in the order in which they go up; NULL past the end. Static, immutable,
/// for the life of the process. (A function: Swift does not import an array of unknown length.)
const otp_migration *otp_migration_at(size_t index);

/// migrations/numbers.sql, the table of phone numbers: not terminated, its length is written to `length`. Static, immutable,
/// for the life of the process.
const char *otp_numbers(size_t *length);
