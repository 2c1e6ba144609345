"""Settings files that are refused, and what is said of each."""

from __future__ import annotations

from support.settings_refused_values import REFUSED_VALUES, Refused

__all__ = ["REFUSED"]

REFUSED: list[Refused] = [
    # The document.
    ("", None, "", "is empty: write a mapping with the keys hostname, kafka, filesync"),
    ("# nothing\n", None, "", "is empty"),
    ("---\n~\n", None, "", "is empty"),
    ("\n- kafka\n", 2, "", "must be a mapping with the keys hostname, kafka, filesync"),
    ("\nkafka\n", 2, "", "must be a mapping"),
    ("!custom {kafka: {}}", 1, "", "YAML takes this for '!custom'"),
    ("kafka:\n  topic: 'a\n", 3, "", "not valid YAML, column 1: while scanning a quoted scalar, "),
    ("kafka:\n\ttopic: a\n", 2, "", "not valid YAML, column 1: "),
    ("a: 1\n---\nb: 2\n", 2, "", "not valid YAML, column 1: expected a single document"),
    ("a: 1\nb: *nowhere\n", 2, "", "not valid YAML, column 4: found undefined alias 'nowhere'"),
    (
        "a: b\nc: de\x07\n",
        2,
        "",
        "column 6: the character U+0007 is not allowed; write it as an esc",
    ),
    ("\x00", 1, "", "not valid YAML, column 1: the character U+0000"),
    ('a: 1\nb: "\\UFFFFFFFF"\n', 2, "", "an escape, or the version after %YAML, is out of range"),
    ('a: 1\nb: "\\U00110000"\n', 2, "", "is out of range"),
    ("%YAML " + "9" * 5000 + ".1\n--- a", 1, "", "not valid YAML"),
    ("a: 1\nb: &x 1\nc: &x 2\n", 3, "", "duplicate anchor"),
    # Keys.
    ("a: 1\nb: 2\na: 3\n", 3, "a", "the key is given twice, first in line 1"),
    ("1: 1\n1: 3\n", 2, "1", "the key is given twice, first in line 1"),
    ("kafka: {}\nx: 1\n'kafka': {}\n", 3, "kafka", "given twice, first in line 1"),
    ("kafka:\n  topic: a\n  topic: a\n", 3, "kafka.topic", "given twice, first in line 2"),
    ("filesync:\n  daemon:\n    x: {y: 1, y: 1}\n", 3, "filesync.daemon.x.y", "given twice"),
    ("kafka:\n  tpoic: a\n", 2, "kafka.tpoic", "unknown key; did you mean topic?"),
    ("kafka:\n  Files_Dir: /a\n", 2, "kafka.Files_Dir", "did you mean files-dir?"),
    ("filesync:\n  shedule: {}\n", 2, "filesync.shedule", "did you mean schedule?"),
    ("filesync:\n  schedule.quiet: 5\n", 2, "filesync.schedule.quiet", "unknown key"),
    ("kafka:\n  sasl-password: hunter2\n", 2, "kafka.sasl-password", "did you mean sasl-password-"),
    (
        "filesync:\n  routing:\n    x: 1\n",
        3,
        "filesync.routing.x",
        "unknown key; known here: by, zone-id",
    ),
    ("kafka:\n  'a\\b': 1\n", 2, "kafka.'a\\\\b'", "unknown key"),
    ("kafka:\n  1: 1\n", 2, "kafka.1", "a key must be text: put it in quotes"),
    ("kafka:\n  ? [a]\n  : 1\n", 2, "kafka", "a key must be text; an address in brackets needs"),
    ("a: &a {topic: x}\nkafka: *a\n", 2, "kafka", "the alias '*a' is not allowed: write the value"),
    ("a: &a x\nkafka:\n  topic: *a\n", 3, "kafka.topic", "write the value out"),
    ("a: &a topic\nkafka:\n  *a : x\n", 3, "kafka.a", "write the keys out"),
    ("a: &a kafka\n*a : x\n", 2, "a", "aliases and merge keys are not allowed here"),
    ("a: &a {b: c}\nkafka:\n  <<: *a\n", 3, "kafka.'<<'", "aliases and merge keys are not allowed"),
    ("<<: {kafka: {}}\n", 1, "'<<'", "aliases and merge keys are not allowed"),
    # Sections.
    ("kafka: on\n", 1, "kafka", "must be a section: keys with values"),
    ("x: 1\nfilesync:\n- a\n", 3, "filesync", "must be a section"),
    ("filesync:\n  limits: 5\n", 2, "filesync.limits", "must be a section"),
    ("filesync:\n  daemon: command\n", 2, "filesync.daemon", "must be a section"),
    ("kafka:\n  options: [a]\n", 2, "kafka.options", "must be a section"),
    ("kafka:\n  options:\n    d: 1\n", 3, "kafka.options.d", "must be a section"),
    # Values.
    *REFUSED_VALUES,
    # Rules.
    ("filesync:\n  files:\n", 2, "filesync.files", 'must be a list such as [{match: "*.rpz", kind'),
    ("filesync:\n  files: {}\n", 2, "filesync.files", "must be a list"),
    (
        "filesync:\n  files: []\n",
        2,
        "filesync.files",
        "must have a rule: an empty list refuses every",
    ),
    ("filesync:\n  files:\n  - '*.rpz'\n", 3, "filesync.files", "must be a section"),
    (
        "filesync:\n  files:\n  - match: a\n",
        3,
        "filesync.files",
        "needs match and kind: kind is miss",
    ),
    ("filesync:\n  files:\n  - kind: data\n", 3, "filesync.files", "match is missing"),
    (
        "filesync:\n  files:\n  - match: a\n    kind: dta\n",
        4,
        "filesync.files.kind",
        "must be one of data, config; not 'dta'; did you mean data?",
    ),
    (
        "filesync:\n  files:\n  - match: a\n    knd: data\n",
        4,
        "filesync.files.knd",
        "unknown key; did you mean kind?",
    ),
    (
        "filesync:\n  files:\n  - {match: a, kind: data}\n  - {match: /a, kind: data}\n",
        4,
        "filesync.files.match",
        "a pattern for names relative to files-dir, such as *.rpz or zones/*; not '/a'",
    ),
    ("filesync:\n  files:\n  - {match: '', kind: data}\n", 3, "filesync.files.match", "not empty"),
    # Options.
    (
        "kafka:\n  options:\n    d:\n      a: [1]\n",
        4,
        "kafka.options.d.a",
        "'a' must be text, a number, true or false",
    ),
    (
        "kafka:\n  options:\n    d:\n      a:\n",
        4,
        "kafka.options.d.a",
        "must be text, a number, true",
    ),
    *(
        (
            f"kafka:\n  options:\n    d:\n      {name}: hunter2\n",
            4,
            f"kafka.options.d.{name}",
            "holds a secret, and settings never do: use sasl-password-file, key-file or key-passw",
        )
        for name in ["sasl.password", "ssl_Password", "ssl.key.pem", "client.secret", "passphrase"]
    ),
    (
        "filesync:\n  daemon:\n    a: [b, ~]\n",
        3,
        "filesync.daemon.a",
        "must be text, a number, true",
    ),
    (
        "filesync:\n  daemon:\n    a: 0640\n",
        3,
        "filesync.daemon.a",
        "a decimal number, or in quotes",
    ),
    (
        "filesync:\n  daemon:\n    a: 1:30\n",
        3,
        "filesync.daemon.a",
        "a decimal number, or in quotes",
    ),
    (
        "filesync:\n  daemon:\n    a: .nan\n",
        3,
        "filesync.daemon.a",
        "a finite decimal number, or in",
    ),
    ("filesync:\n  daemon:\n    a: 1:30.5\n", 3, "filesync.daemon.a", "a finite decimal number"),
    (
        "filesync:\n  daemon:\n    a: !!float inf\n",
        3,
        "filesync.daemon.a",
        "a finite decimal number",
    ),
    ("filesync:\n  daemon:\n    adapter: ''\n", 3, "filesync.daemon.adapter", "not empty"),
    ("filesync:\n  daemon:\n    adapter: 1\n", 3, "filesync.daemon.adapter", "with the quotes"),
    ("filesync:\n  driver: ''\n", 2, "filesync.driver", "must be text, and not empty"),
    # What does not go together.
    *(
        (
            f"kafka:\n  topic: a\n  {name}: /x\n",
            3,
            f"kafka.{name}",
            "has no effect without TLS: security-protocol must be ssl or sasl_ssl, not plaintext",
        )
        for name in ["ca-file", "cert-file", "key-file", "key-password-file"]
    ),
    *(
        (
            f"kafka:\n  security-protocol: ssl\n  {name}: {value}\n",
            3,
            f"kafka.{name}",
            "without SASL: security-protocol must be sasl_ssl or sasl_plaintext, not ssl",
        )
        for name, value in [
            ("sasl-mechanism", "plain"),
            ("sasl-username", "a"),
            ("sasl-password-file", "/p"),
        ]
    ),
    (
        "kafka: {security-protocol: sasl_plaintext, sasl-mechanism: plain, ca-file: /x}",
        1,
        "kafka.ca-file",
        "has no effect without TLS: security-protocol must be ssl or sasl_ssl, not sasl_plaintext",
    ),
    *(
        (
            "kafka:\n  security-protocol: sasl_ssl\n"
            + "".join(f"  {name}: /plain\n" for name in names if name != missing).replace(
                "mechanism: /", "mechanism: "
            ),
            2,
            "kafka.security-protocol",
            f"sasl_ssl needs sasl-mechanism, sasl-username, sasl-password-file: {missing} is",
        )
        for names in [("sasl-mechanism", "sasl-username", "sasl-password-file")]
        for missing in names
    ),
    (
        "kafka:\n  security-protocol: ssl\n  cert-file: /c\n",
        3,
        "kafka.cert-file",
        "cert-file and key-file come together",
    ),
    (
        "kafka:\n  security-protocol: ssl\n  key-file: /c\n",
        3,
        "kafka.key-file",
        "cert-file and key-file come together",
    ),
    (
        "kafka:\n  security-protocol: ssl\n  key-password-file: /c\n",
        3,
        "kafka.key-password-file",
        "comes with key-file and cert-file only",
    ),
    (
        "filesync:\n  schedule:\n    max-wait: 4s\n",
        3,
        "filesync.schedule.max-wait",
        "max-wait (4 s) must be at least quiet (5 s)",
    ),
    (
        "filesync:\n  schedule:\n    min-gap: 1s\n    quiet: 31s\n",
        4,
        "filesync.schedule.quiet",
        "max-wait (30 s) must be at least quiet (31 s)",
    ),
    (
        "filesync:\n  schedule:\n    max-backoff: 1s\n",
        3,
        "filesync.schedule.max-backoff",
        "max-backoff (1 s) must be at least backoff (2 s)",
    ),
    (
        "filesync:\n  schedule:\n    backoff: 61s\n",
        3,
        "filesync.schedule.backoff",
        "max-backoff (60 s) must be at least backoff (61 s)",
    ),
    (
        "filesync:\n  routing:\n    by: zone-id\n",
        3,
        "filesync.routing.by",
        "zone-id needs a zone-id beside it",
    ),
    (
        "filesync:\n  routing:\n    zone-id: a\n",
        3,
        "filesync.routing.zone-id",
        "has no effect unless routing is by zone-id",
    ),
]
