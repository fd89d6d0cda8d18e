/// What `StatusViewTests.golden` expects. After a wanted change: what the failing test prints, read once more.
enum StatusPictures {
    // swift-format-ignore
    static let working = """
        otpd status                 db.example:5432 · 22:41:07 UTC · every 2 s · q quits
        ● Working: 1,204 sent in the last minute.

        Queue    12 queued · 3 due (oldest 1 s) · 4 sending · 0 unknown
        Sent     1,204 in 1 min · 5,003 in 5 min · 60,233 in 1 h · 99.9% succeeded
        Failed   0 in 1 min · 2 in 5 min · 41 in 1 h
        Per sec  ▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██ 22.0 now, peak 22.0
        Latency  p50 48 ms · p95 95 ms · p99 1.2 s · from commit to accepted
        p95                                                 █ peak 95 ms

        Workers  2 alive
          8    web-1  running, 1 in flight · 8,000 sent, 2 failed
          7    web-2  running, 0 in flight · 7,000 sent, 1 failed

        Last sends
          2 s ago     901     +9665•••••001  accepted, delivered
        """

    // swift-format-ignore
    static let troubled = [
        "40×12": """
            otpd status  db.example:5432 · 22:41:07…
            ✖ Sending is paused in part: country SA.
              For 4 min: Twilio may not send to thi…
              → Enable it in the Twilio Console:
              Messaging, Settings, Geo permissions.
            Queue    12 queued · 3 due (oldest 1 s)…
            Sent     1,204 in 1 min · 5,003 in 5 mi…
            Failed   0 in 1 min · 2 in 5 min · 41 i…
            Latency  p50 48 ms · p95 95 ms · p99 1.…
            Pauses 1 · Workers 2 alive, 1 dead · La…
            """,
        "80×24": """
            otpd status                 db.example:5432 · 22:41:07 UTC · every 2 s · q quits
            ✖ Sending is paused in part: country SA.
              For 4 min: Twilio may not send to this country: it is not enabled in the
              account's geo permissions.
              → Enable it in the Twilio Console: Messaging, Settings, Geo permissions.

            Queue    12 queued · 3 due (oldest 1 s) · 4 sending · 0 unknown
            Sent     1,204 in 1 min · 5,003 in 5 min · 60,233 in 1 h · 99.9% succeeded
            Failed   0 in 1 min · 2 in 5 min · 41 in 1 h
            Per sec  ▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██ 22.0 now, peak 22.0
            Latency  p50 48 ms · p95 95 ms · p99 1.2 s · from commit to accepted
            p95                                                 █ peak 95 ms
            Pauses  1
              country SA  for 4 min, 12 jobs wait, next probe in 20 s
            Workers  2 alive, 1 dead
              8    web-1  running, 1 in flight · 8,000 sent, 2 failed
              7    web-2  running, 0 in flight · 7,000 sent, 1 failed
              5    web-3  dead, 40 s without a heartbeat · 5,000 sent, 2 failed
            Last failures  +1 more
              40 s ago    900     +9665•••••567  failed 21610
                The user has answered STOP to this sender.
                → Ask the user to send START to it, or use another sender.
            Last sends
              2 s ago     901     +9665•••••001  accepted, delivered
            """,
        "200×50": """
            otpd status                                                                                                                                         db.example:5432 · 22:41:07 UTC · every 2 s · q quits
            ✖ Sending is paused in part: country SA.
              For 4 min: Twilio may not send to this country: it is not enabled in the account's geo permissions.
              → Enable it in the Twilio Console: Messaging, Settings, Geo permissions.

            Queue    12 queued · 3 due (oldest 1 s) · 4 sending · 0 unknown
            Sent     1,204 in 1 min · 5,003 in 5 min · 60,233 in 1 h · 99.9% succeeded
            Failed   0 in 1 min · 2 in 5 min · 41 in 1 h
            Per sec  ▁▂▃▃▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██▁▂▃▃▄▅▅▆▇▇██ 22.0 now, peak 22.0
            Latency  p50 48 ms · p95 95 ms · p99 1.2 s · from commit to accepted
            p95                                                                 █ peak 95 ms

            Pauses  1
              country SA  for 4 min, 12 jobs wait, next probe in 20 s

            Workers  2 alive, 1 dead
              8    web-1  running, 1 in flight · 8,000 sent, 2 failed
              7    web-2  running, 0 in flight · 7,000 sent, 1 failed
              5    web-3  dead, 40 s without a heartbeat · 5,000 sent, 2 failed

            Last failures
              40 s ago    900     +9665•••••567  failed 21610
                The user has answered STOP to this sender.
                → Ask the user to send START to it, or use another sender.
              6 min ago   899     +9665•••••567  failed 21211
                رقم الهاتف غير صالح
                → اطلب من المستخدم رقمًا آخر

            Last sends
              2 s ago     901     +9665•••••001  accepted, delivered
            """,
    ]
}
