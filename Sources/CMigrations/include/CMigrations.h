#pragma once

// The files of migrations/, compiled in. So the program and the plain SQL for psql are the same bytes.

#include <stddef.h>

/// One migration. Its texts have no terminator; use their lengths.
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

/// The migration at an index, in the order in which they are applied; NULL past the end. Static and immutable for the
/// life of the process. This is a function because Swift does not import an array of unknown length.
const otp_migration *otp_migration_at(size_t index);

/// The file migrations/numbers.sql, which is the table of phone numbers. It has no terminator; its length is written to
/// `length`. Static and immutable for the life of the process.
const char *otp_numbers(size_t *length);
