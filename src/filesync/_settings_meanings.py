"""
What each setting means, in a few words, for the schema of the settings file.

Source: docs/reference/settings.md, docs/reference/command-daemon.md, whose
tables say more.
"""

from __future__ import annotations

__all__ = ["DEFAULTS", "MEANINGS"]

#: By dotted path, of sections and of keys. The unit and the default are told after it.
MEANINGS = {
    "hostname": "Whose records are ours",
    "kafka": "Where the records are, and how to get at them",
    "kafka.enable": "Whether filesync run starts at all",
    "kafka.topic": "The topic that is read, or sent to",
    "kafka.server": "Brokers to ask first",
    "kafka.files-dir": "Where files are written",
    "kafka.security-protocol": "Whether connections are encrypted (ssl) and we log in (sasl)",
    "kafka.key-file": "Our private key (PEM), with cert-file",
    "kafka.key-password-file": "A file with the private key's password, with key-file",
    "kafka.cert-file": "Our certificate and its chain (PEM), with key-file",
    "kafka.ca-file": "The certificates (PEM) that brokers are checked against",
    "kafka.sasl-mechanism": "How we log in",
    "kafka.sasl-username": "Who we are to the brokers",
    "kafka.sasl-password-file": "A file with the password to log in with",
    "kafka.start": "Where reading starts in a partition whose position is not known",
    "kafka.group": "Under which consumer group the brokers are told our positions, for lag tools",
    "kafka.options": "What is passed on to a driver, and never a secret",
    "filesync": "How files are received and made known",
    "filesync.driver": "Which Kafka client is used, such as confluent-kafka or kafka-python",
    "filesync.daemon": "Whose files these are",
    "filesync.daemon.adapter": "How the daemon is talked to",
    "filesync.daemon.check": "Judges a configuration before it becomes visible",
    "filesync.daemon.check-timeout": "What one check may take",
    "filesync.daemon.reload": "Makes the daemon read its configuration and its data again",
    "filesync.daemon.renew": "Makes the daemon read its data files again",
    "filesync.routing": "By what a record says whom it is for",
    "filesync.routing.by": "Whether the hostname header or the record's key says whom it is for",
    "filesync.routing.zone-id": "The record key that is ours",
    "filesync.files": "Which files are wanted, and of which kind, by the first rule that matches",
    "filesync.files.match": "For which names, where * matches / too",
    "filesync.files.kind": "Whether a change is followed by a renew (data) or a reload (config)",
    "filesync.file-owner": "Owner of a file that replaces none",
    "filesync.file-group": "Group of a file that replaces none",
    "filesync.file-mode": "Mode of a file that replaces none",
    "filesync.log-level": "How much filesync run tells",
    "filesync.schedule": "When the daemon is asked to read its files again",
    "filesync.schedule.quiet": "From the last change to the reload or renew",
    "filesync.schedule.max-wait": "From the first change to the reload or renew, from quiet up",
    "filesync.schedule.min-gap": "From the end of one reload or renew to the next",
    "filesync.schedule.timeout": "What one reload or renew may take",
    "filesync.schedule.backoff": "From a failed reload or renew to the next attempt, then doubled",
    "filesync.schedule.max-backoff": "What backoff doubles up to, from backoff up",
    "filesync.schedule.stop-timeout": "What a running reload or renew may take at shutdown",
    "filesync.limits": "What a sender can cost",
    "filesync.limits.chunk-bytes": "Size of one chunk, at most",
    "filesync.limits.file-bytes": "Size of one file, at most",
    "filesync.limits.chunks-per-file": "Chunks of one transfer, at most",
    "filesync.limits.tracked-chunks": "Chunks of all open transfers together, at most",
    "filesync.limits.open-transfers": "Transfers of more than one chunk that are open, at most",
    "filesync.limits.spool-bytes": "Size of the chunks on disk of unfinished transfers, at most",
    "filesync.limits.free-space-bytes": "What stays free on the disk of files-dir, at least",
    "filesync.limits.remembered": "Completed transfers whose late duplicates are recognised",
    "filesync.limits.config-bytes": "Size of one configuration file, at most",
    "filesync.limits.config-depth": "How deep a configuration file may be nested",
    "filesync.limits.expire-after": "Record time from a transfer's last chunk to its expiry",
    "filesync.limits.expire-offsets": "Offsets from a transfer's last chunk to its expiry",
    "filesync.limits.expire-idle": "Time from its last chunk to a transfer's expiry, if caught up",
    "filesync.limits.expire-total": "Time from a transfer's first chunk to its expiry",
    "filesync.limits.unfinished-commits": "Files on their way into place before reading stops",
}

#: By dotted path, the default of what has no value to write for it; the others have none at all.
DEFAULTS = {
    "hostname": "the system's host name",
    "kafka.ca-file": "the system's certificates",
    "kafka.options": "nothing",
    "kafka.group": "filesync- and the host name",
    "filesync.driver": "the one that is installed",
    "filesync.daemon": "the adapter command, with nothing to run",
    "filesync.daemon.check": "valid JSON or YAML passes",
    "filesync.daemon.check-timeout": "60s",
    "filesync.daemon.reload": "nothing is run",
    "filesync.daemon.renew": "the reload command",
    "filesync.files": "all, with .json, .yaml and .yml as config, else data",
    "filesync.files.match": "none, every rule has one",
    "filesync.files.kind": "none, every rule has one",
    "filesync.file-owner": "the owner of files-dir",
    "filesync.file-group": "the group of files-dir",
}
