#include "CMigrations.h"

// #embed is C23; clang has it in every mode since 19. It gives the files' bytes, no terminator. A changed .sql file
// rebuilds this one: #embed is in the dependency file that the compiler writes.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char up_0001[] = {
#embed "../../migrations/0001_foundation.up.sql"
};
static const unsigned char down_0001[] = {
#embed "../../migrations/0001_foundation.down.sql"
};
static const unsigned char up_0002[] = {
#embed "../../migrations/0002_error_classes.up.sql"
};
static const unsigned char down_0002[] = {
#embed "../../migrations/0002_error_classes.down.sql"
};
static const unsigned char up_0003[] = {
#embed "../../migrations/0003_languages.up.sql"
};
static const unsigned char down_0003[] = {
#embed "../../migrations/0003_languages.down.sql"
};
static const unsigned char numbers[] = {
#embed "../../migrations/numbers.sql"
};

#define MIGRATION(number, version, name)                                                             \
    {                                                                                                \
        version, name, (const char *)up_##number, sizeof(up_##number), (const char *)down_##number, \
            sizeof(down_##number)                                                                    \
    }

static const otp_migration migrations[] = {
    MIGRATION(0001, 1, "foundation"),
    MIGRATION(0002, 2, "error_classes"),
    MIGRATION(0003, 3, "languages"),
};

size_t otp_migrations_count(void) {
    return sizeof(migrations) / sizeof(migrations[0]);
}

const otp_migration *otp_migration_at(size_t index) {
    return index < otp_migrations_count() ? &migrations[index] : 0;
}

const char *otp_numbers(size_t *length) {
    *length = sizeof(numbers);
    return (const char *)numbers;
}
