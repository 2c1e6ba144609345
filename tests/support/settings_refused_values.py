"""Values that a settings file must not have for a key of ours, and what is said of each."""

from __future__ import annotations

__all__ = ["REFUSED_VALUES", "Refused"]

#: The text, and its complaint: the line, the key, and some of its words.
Refused = tuple[str, int | None, str, str]

REFUSED_VALUES: list[Refused] = [
    # Text.
    ("kafka:\n  topic:\n", 2, "kafka.topic", "must be text; for the default leave the key out"),
    ("kafka:\n  topic: 1\n", 2, "kafka.topic", "must be text: write '1', with the quotes"),
    ("kafka:\n  topic: no\n", 2, "kafka.topic", "must be text: write 'no', with the quotes"),
    ("kafka:\n  topic: [a]\n", 2, "kafka.topic", "must be text; not a list"),
    ("kafka:\n  topic: {a: b}\n", 2, "kafka.topic", "must be text; not a section"),
    ("kafka:\n  topic:\n    2001-01-01\n", 3, "kafka.topic", "takes this for 'timestamp'"),
    ("kafka:\n  topic: !x a\n", 2, "kafka.topic", "put text in quotes"),
    (
        "kafka:\n  topic: !!set {a}\n",
        2,
        "kafka.topic",
        "'set', but only text, numbers, true, false",
    ),
    ('kafka:\n  group: "\\ud800"\n', 2, "kafka.group", "must not contain NUL or half a surrogate"),
    ('filesync:\n  daemon: {a: ["b\\0"]}\n', 2, "filesync.daemon.a", "must not contain NUL"),
    ("kafka:\n  topic: a/b\n", 2, "kafka.topic", "1 to 249 of the characters A-Z a-z 0-9 . _ -"),
    ("kafka:\n  topic: '..'\n", 2, "kafka.topic", "must be a Kafka topic"),
    ("kafka:\n  topic: " + "a" * 250, 2, "kafka.topic", "1 to 249"),
    ("kafka:\n  topic: ä\n", 2, "kafka.topic", "must be a Kafka topic"),
    ("kafka:\n  group: ''\n", 2, "kafka.group", "must be text, and not empty"),
    ('kafka:\n  group: "a\\nb"\n', 2, "kafka.group", "must not contain control characters; not 'a"),
    ("hostname: ''\n", 1, "hostname", "must be a host name: printable ASCII"),
    (
        "hostname: a b\n",
        1,
        "hostname",
        "printable ASCII without spaces and empty labels; not 'a b'",
    ),
    ("hostname: n\u00e4me\n", 1, "hostname", "printable ASCII"),
    ("hostname: a..b\n", 1, "hostname", "empty labels"),
    ("hostname: a..\n", 1, "hostname", "empty labels"),
    ("hostname: 7\n", 1, "hostname", "with the quotes"),
    # Files and directories.
    ("kafka:\n  files-dir: files\n", 2, "kafka.files-dir", "absolute path, one that starts with /"),
    ("kafka:\n  files-dir: /\n", 2, "kafka.files-dir", "must be an absolute path below /"),
    ("kafka:\n  files-dir: //\n", 2, "kafka.files-dir", "must be an absolute path below /"),
    ("kafka:\n  files-dir: /a//b\n", 2, "kafka.files-dir", "without empty parts"),
    ("kafka:\n  files-dir: /a/./b\n", 2, "kafka.files-dir", "parts . or .."),
    ("kafka:\n  files-dir: /a/..\n", 2, "kafka.files-dir", "parts . or .."),
    ("kafka:\n  ca-file: ca.pem\n", 2, "kafka.ca-file", "must be an absolute path"),
    ("kafka:\n  key-file: ''\n", 2, "kafka.key-file", "must be text, and not empty"),
    # Servers.
    ("kafka:\n  server: []\n", 2, "kafka.server", "must name a server"),
    ("kafka:\n  server:\n", 2, "kafka.server", "must be a server such as broker1@9092 or"),
    ("kafka:\n  server: {a: 1}\n", 2, "kafka.server", "or a list of them; not a section"),
    (
        "kafka:\n  server:\n  - a\n  - b@x\n",
        4,
        "kafka.server",
        "host, host@port, host:port or [IPv6",
    ),
    ("kafka:\n  server:\n  - a\n  - [b]\n", 4, "kafka.server", "must be a server such as"),
    ("kafka:\n  server: 9092\n", 2, "kafka.server", "must be text: write '9092'"),
    ("kafka:\n  server: 'a:0'\n", 2, "kafka.server", "the port from 1 to 65535; not 'a:0'"),
    # Words.
    ("kafka:\n  enable: 'true'\n", 2, "kafka.enable", "must be true or false, without quotes"),
    ("kafka:\n  enable: 1\n", 2, "kafka.enable", "must be true or false"),
    ("kafka:\n  enable:\n", 2, "kafka.enable", "must be true or false"),
    ("kafka:\n  enable: !!bool 1\n", 2, "kafka.enable", "must be true or false"),
    (
        "kafka:\n  start: Latest\n",
        2,
        "kafka.start",
        "one of earliest, latest; not 'Latest'; did you",
    ),
    ("kafka:\n  start: [a]\n", 2, "kafka.start", "must be one of earliest, latest; not a list"),
    (
        "kafka:\n  security-protocol: sasl-ssl\n",
        2,
        "kafka.security-protocol",
        "plaintext, ssl, sasl_plaintext, sasl_ssl; not 'sasl-ssl'; did you mean sasl_ssl?",
    ),
    ("kafka:\n  security-protocol: x\n", 2, "kafka.security-protocol", "sasl_ssl; not 'x'"),
    (
        "kafka:\n  sasl-mechanism: scram-sha512\n",
        2,
        "kafka.sasl-mechanism",
        "SCRAM-SHA-256, SCRAM-SHA-512; not 'SCRAM-SHA512'; did you mean SCRAM-SHA-512?",
    ),
    ("filesync:\n  log-level: warn\n", 2, "filesync.log-level", "did you mean warning?"),
    ("filesync:\n  routing:\n    by: zone\n", 3, "filesync.routing.by", "did you mean zone-id?"),
    # Durations.
    *(
        (f"filesync:\n  schedule:\n    quiet: {value}\n", 3, "filesync.schedule.quiet", words)
        for value, words in [
            (
                "5 seconds",
                "a number of seconds, or a duration such as 500ms, 5s, 2m or 1h; not '5 s",
            ),
            ("-1", "must be a number of seconds"),
            ("5S", "must be a number of seconds"),
            ("1:30", "must be a number of seconds"),
            (".inf", "must be a number of seconds"),
            (".nan", "must be a number of seconds"),
            ("9" * 400, "must be a number of seconds"),
            ("true", "must be a number of seconds"),
            ("[5]", "must be a number of seconds"),
            ("169h", "must be at least 0 and at most 604800 seconds (one week); not 608400"),
            ("\u0665", "must be a number of seconds"),
        ]
    ),
    *(
        (
            f"filesync:\n  schedule:\n    {name}: 0\n",
            3,
            f"filesync.schedule.{name}",
            "more than 0 and",
        )
        for name in ["timeout", "backoff", "max-backoff", "stop-timeout"]
    ),
    *(
        (f"filesync:\n  limits:\n    {name}: 0s\n", 3, f"filesync.limits.{name}", "more than 0 and")
        for name in ["expire-after", "expire-idle", "expire-total"]
    ),
    # Sizes and counts.
    *(
        (f"filesync:\n  limits:\n    file-bytes: {value}\n", 3, "filesync.limits.file-bytes", words)
        for value, words in [
            (
                "8M",
                "a whole number of bytes, or a size such as 512KiB; units: B, KiB, MiB, GiB, TiB",
            ),
            ("8mib", "units: B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; not '8mib'"),
            ("1.5GiB", "a whole number of bytes"),
            ("-1", "a whole number of bytes"),
            ("lots", "a whole number of bytes"),
            ("0", "must be a whole number from 1 to 9223372036854775807"),
            ("99999999TiB", "must be a whole number from 1 to 9223372036854775807"),
        ]
    ),
    *(
        (f"filesync:\n  limits:\n    remembered: {value}\n", 3, "filesync.limits.remembered", words)
        for value, words in [
            ("010", "a whole number such as 1000 or 1_000; not '010'"),
            ("0x10", "a whole number such as 1000"),
            ("1.0", "a whole number such as 1000"),
            ("10_00", "a whole number such as 1000"),
            ("true", "a whole number such as 1000"),
            ("0", "must be a whole number from 1 to"),
        ]
    ),
    (
        "filesync:\n  limits:\n    chunk-bytes: 513MiB\n",
        3,
        "filesync.limits.chunk-bytes",
        "a whole number from 1 to 536870912",
    ),
    (
        "filesync:\n  limits:\n    config-depth: 201\n",
        3,
        "filesync.limits.config-depth",
        "a whole number from 1 to 200",
    ),
    # Modes and owners.
    (
        "filesync:\n  file-mode: 640\n",
        2,
        "filesync.file-mode",
        "octal with a leading 0, such as 0640",
    ),
    ("filesync:\n  file-mode: rw\n", 2, "filesync.file-mode", "octal with a leading 0"),
    ("filesync:\n  file-mode: 0o999\n", 2, "filesync.file-mode", "octal with a leading 0"),
    (
        "filesync:\n  file-mode: 0666\n",
        2,
        "filesync.file-mode",
        "not let everybody write: 0640, say, i",
    ),
    ("filesync:\n  file-mode: 04640\n", 2, "filesync.file-mode", "bits from 0000 to 0777"),
    (
        "filesync:\n  file-owner: 0\n",
        2,
        "filesync.file-owner",
        "must be text: write '0', with the q",
    ),
    ("filesync:\n  file-owner: a:b\n", 2, "filesync.file-owner", "a name without spaces, : and /"),
    ("filesync:\n  file-group: ''\n", 2, "filesync.file-group", "must be text, and not empty"),
]
