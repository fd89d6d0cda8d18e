import os
import psycopg

with psycopg.connect(options=f"-c otp.secret={os.environ['OTPD_SECRET']}", autocommit=True) as db:
    try:
        db.execute("SELECT otp.request(%s, %s, locale => 'ar')", ("user:1", input("Phone number: ")))
    except psycopg.Error as error:
        raise SystemExit(f"{error.sqlstate} {error.diag.message_primary} {error.diag.message_detail or ''}")
    (verified,) = db.execute("SELECT otp.verify(%s, %s)", ("user:1", input("Code: "))).fetchone()
    print("verified" if verified else "invalid or expired")
