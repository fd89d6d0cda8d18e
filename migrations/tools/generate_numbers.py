#!/usr/bin/env python3
"""Writes migrations/numbers.sql, the table of phone numbers, from the metadata of libphonenumber.

`make numbers` runs this script with the PyPI package `phonenumbers` in the version below. The same version always gives the
same bytes. To use a newer version, set VERSION and RELEASED, run `make numbers`, and then `make test`.
`--check` compares the file with the output of this script. `--version` prints only VERSION.
"""

import json
import pathlib
import sys

VERSION = "9.0.43"
# The day on which this version was packed: the date of the files in the wheel (unzip -l). The script reads no clock.
RELEASED = "2026-11-06"
# Increase this when the same metadata is written in another form. Databases then load the table again.
REVISION = 0

TARGET = pathlib.Path(__file__).resolve().parent.parent / "numbers.sql"
TYPES = ("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail",
         "fixed_line", "mobile")


def starts(pattern):
    return f"^(?:{pattern})" if pattern else None


def whole(desc):
    return f"^(?:{desc.national_number_pattern})$" if desc and desc.national_number_pattern else None


def lengths(values):
    return [value for value in sorted(values) if value > 0]


def row(metadata, rank):
    values = {
        "region": metadata.id,
        "country_code": metadata.country_code,
        "rank": rank,
        "international_prefix": starts(metadata.international_prefix),
        "national_prefix": starts(metadata.national_prefix_for_parsing),
        "transform": metadata.national_prefix_transform_rule,
        "general": whole(metadata.general_desc),
        "lengths": lengths(metadata.general_desc.possible_length),
        "local_lengths": lengths(metadata.general_desc.possible_length_local_only),
        "leading_digits": starts(metadata.leading_digits),
    }
    for kind in TYPES:
        values[kind.replace("personal_number", "personal")] = whole(getattr(metadata, kind))
    return {name: value for name, value in values.items() if value is not None}


def generate(phonenumbers):
    rows = []
    for code, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()):
        for rank, region in enumerate(regions):
            metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            rows.append(json.dumps(row(metadata, rank), separators=(",", ":")))
    version = VERSION + (f".{REVISION}" if REVISION else "")
    return "\n".join([
        "-- Written by migrations/tools/generate_numbers.py from the metadata of libphonenumber. Do not edit.",
        "-- Every country code with its regions, the main region first: how numbers are dialled, and which forms they have.",
        "-- otpd migrate up runs this file if the database's table is older. By hand: psql -1 -f migrations/numbers.sql",
        "",
        "-- A role or a database may carry settings of its own. This file sets those that it relies on.",
        "SET LOCAL transaction_read_only = off;",
        "SET LOCAL statement_timeout = 0;",
        "SET LOCAL client_encoding = 'UTF8';",
        "",
        "DO $$ BEGIN",
        "    PERFORM set_config('role', pg_catalog.pg_get_userbyid(nspowner), true)",
        "    FROM pg_catalog.pg_namespace WHERE nspname = 'otp';",
        "END $$;",
        "",
        f"SELECT otp.load_numbers('{version}', '{RELEASED}', $numbers$[",
        ",\n".join(rows),
        "]$numbers$);",
        ""])


def main():
    if sys.argv[1:] == ["--version"]:
        print(VERSION)
        return
    import phonenumbers
    if phonenumbers.__version__ != VERSION:
        sys.exit(f"wrong version of phonenumbers: {phonenumbers.__version__} is installed, and {VERSION} is needed. Run make numbers.")
    text = generate(phonenumbers)
    if sys.argv[1:] == ["--check"]:
        if TARGET.read_text() != text:
            sys.exit(f"{TARGET} differs from the output of this generator. Run make numbers and commit the result.")
    else:
        TARGET.write_text(text)


main()
