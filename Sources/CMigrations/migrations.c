#include "CMigrations.h"

// #embed is C23; clang supports it in every mode since 19. It gives a file's bytes without a terminator. A changed .sql
// file rebuilds this file, because the compiler's dependency file lists embedded files.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char up_0001[] = {
#embed "../../migrations/0001_foundation.up.sql"
};
static const unsigned char down_0001[] = {
#embed "../../migrations/0001_foundation.down.sql"
};
static const unsigned char up_0002[] = {
#embed "../../migrations/0002_settings.up.sql"
};
static const unsigned char down_0002[] = {
#embed "../../migrations/0002_settings.down.sql"
};
static const unsigned char up_0003[] = {
#embed "../../migrations/0003_error_classes.up.sql"
};
static const unsigned char down_0003[] = {
#embed "../../migrations/0003_error_classes.down.sql"
};
static const unsigned char up_0004[] = {
#embed "../../migrations/0004_regions.up.sql"
};
static const unsigned char down_0004[] = {
#embed "../../migrations/0004_regions.down.sql"
};
static const unsigned char up_0005[] = {
#embed "../../migrations/0005_phone_numbers.up.sql"
};
static const unsigned char down_0005[] = {
#embed "../../migrations/0005_phone_numbers.down.sql"
};
static const unsigned char up_0006[] = {
#embed "../../migrations/0006_languages.up.sql"
};
static const unsigned char down_0006[] = {
#embed "../../migrations/0006_languages.down.sql"
};
static const unsigned char up_0007[] = {
#embed "../../migrations/0007_secrets.up.sql"
};
static const unsigned char down_0007[] = {
#embed "../../migrations/0007_secrets.down.sql"
};
static const unsigned char up_0008[] = {
#embed "../../migrations/0008_verifications.up.sql"
};
static const unsigned char down_0008[] = {
#embed "../../migrations/0008_verifications.down.sql"
};
static const unsigned char up_0009[] = {
#embed "../../migrations/0009_limits.up.sql"
};
static const unsigned char down_0009[] = {
#embed "../../migrations/0009_limits.down.sql"
};
static const unsigned char up_0010[] = {
#embed "../../migrations/0010_send_jobs.up.sql"
};
static const unsigned char down_0010[] = {
#embed "../../migrations/0010_send_jobs.down.sql"
};
static const unsigned char up_0011[] = {
#embed "../../migrations/0011_pauses.up.sql"
};
static const unsigned char down_0011[] = {
#embed "../../migrations/0011_pauses.down.sql"
};
static const unsigned char up_0012[] = {
#embed "../../migrations/0012_messages.up.sql"
};
static const unsigned char down_0012[] = {
#embed "../../migrations/0012_messages.down.sql"
};
static const unsigned char up_0013[] = {
#embed "../../migrations/0013_statuses.up.sql"
};
static const unsigned char down_0013[] = {
#embed "../../migrations/0013_statuses.down.sql"
};
static const unsigned char up_0014[] = {
#embed "../../migrations/0014_budget.up.sql"
};
static const unsigned char down_0014[] = {
#embed "../../migrations/0014_budget.down.sql"
};
static const unsigned char up_0015[] = {
#embed "../../migrations/0015_workers.up.sql"
};
static const unsigned char down_0015[] = {
#embed "../../migrations/0015_workers.down.sql"
};
static const unsigned char up_0016[] = {
#embed "../../migrations/0016_codes.up.sql"
};
static const unsigned char down_0016[] = {
#embed "../../migrations/0016_codes.down.sql"
};
static const unsigned char up_0017[] = {
#embed "../../migrations/0017_operators.up.sql"
};
static const unsigned char down_0017[] = {
#embed "../../migrations/0017_operators.down.sql"
};
static const unsigned char up_0018[] = {
#embed "../../migrations/0018_views.up.sql"
};
static const unsigned char down_0018[] = {
#embed "../../migrations/0018_views.down.sql"
};
static const unsigned char up_0019[] = {
#embed "../../migrations/0019_history.up.sql"
};
static const unsigned char down_0019[] = {
#embed "../../migrations/0019_history.down.sql"
};
static const unsigned char up_0020[] = {
#embed "../../migrations/0020_maintenance.up.sql"
};
static const unsigned char down_0020[] = {
#embed "../../migrations/0020_maintenance.down.sql"
};
static const unsigned char up_0021[] = {
#embed "../../migrations/0021_routes.up.sql"
};
static const unsigned char down_0021[] = {
#embed "../../migrations/0021_routes.down.sql"
};
static const unsigned char up_0022[] = {
#embed "../../migrations/0022_fraud.up.sql"
};
static const unsigned char down_0022[] = {
#embed "../../migrations/0022_fraud.down.sql"
};
static const unsigned char up_0023[] = {
#embed "../../migrations/0023_feedback.up.sql"
};
static const unsigned char down_0023[] = {
#embed "../../migrations/0023_feedback.down.sql"
};
static const unsigned char up_0024[] = {
#embed "../../migrations/0024_test_numbers.up.sql"
};
static const unsigned char down_0024[] = {
#embed "../../migrations/0024_test_numbers.down.sql"
};
static const unsigned char up_0025[] = {
#embed "../../migrations/0025_privacy.up.sql"
};
static const unsigned char down_0025[] = {
#embed "../../migrations/0025_privacy.down.sql"
};
static const unsigned char up_0026[] = {
#embed "../../migrations/0026_events.up.sql"
};
static const unsigned char down_0026[] = {
#embed "../../migrations/0026_events.down.sql"
};
static const unsigned char up_0027[] = {
#embed "../../migrations/0027_privileges.up.sql"
};
static const unsigned char down_0027[] = {
#embed "../../migrations/0027_privileges.down.sql"
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
    MIGRATION(0002, 2, "settings"),
    MIGRATION(0003, 3, "error_classes"),
    MIGRATION(0004, 4, "regions"),
    MIGRATION(0005, 5, "phone_numbers"),
    MIGRATION(0006, 6, "languages"),
    MIGRATION(0007, 7, "secrets"),
    MIGRATION(0008, 8, "verifications"),
    MIGRATION(0009, 9, "limits"),
    MIGRATION(0010, 10, "send_jobs"),
    MIGRATION(0011, 11, "pauses"),
    MIGRATION(0012, 12, "messages"),
    MIGRATION(0013, 13, "statuses"),
    MIGRATION(0014, 14, "budget"),
    MIGRATION(0015, 15, "workers"),
    MIGRATION(0016, 16, "codes"),
    MIGRATION(0017, 17, "operators"),
    MIGRATION(0018, 18, "views"),
    MIGRATION(0019, 19, "history"),
    MIGRATION(0020, 20, "maintenance"),
    MIGRATION(0021, 21, "routes"),
    MIGRATION(0022, 22, "fraud"),
    MIGRATION(0023, 23, "feedback"),
    MIGRATION(0024, 24, "test_numbers"),
    MIGRATION(0025, 25, "privacy"),
    MIGRATION(0026, 26, "events"),
    MIGRATION(0027, 27, "privileges"),
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
