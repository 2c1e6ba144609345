"""
The door to the settings reader, which is loaded when somebody has a text to read.

A program that builds its settings in code never needs it.
"""

from __future__ import annotations

from filesync._settings import Settings

__all__ = ["read_settings"]


def read_settings(text: str, *, source: str, default_hostname: str) -> Settings:
    """
    Return the settings that *text* holds.

    Args:
        text: A YAML document; keys other than ``hostname``, ``kafka`` and
            ``filesync`` are not judged.
        source: Name of the settings file, as the operator wrote it.
        default_hostname: Ours where the document has no ``hostname``.

    Raises:
        SettingsError: They cannot be used; with line and key.
    """
    from filesync import _settings_reader  # noqa: PLC0415 - see above.

    return _settings_reader.read_settings(text, source=source, default_hostname=default_hostname)
