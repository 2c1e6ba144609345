"""The options of the `command` daemon."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from filesync.daemon import CheckPassed
from filesync.runtime import _command
from filesync.runtime._command import open_command_daemon
from support.commands import FILES_DIR, command_daemon, shell


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("chekc", ["true"], "unknown option 'chekc'; did you mean check?"),
        ("check_timeout", 1, "unknown option 'check_timeout'; did you mean check-timeout?"),
        ("shell", 1, "unknown option 'shell'; known here: check, reload, renew, check-timeout"),
        (7, 1, "unknown option '7'; known here: "),
        ("check", "rndc reload", "check: must be a list of texts such as [rndc, check]; not 'rn"),
        ("reload", None, "reload: must be a list of texts such as [rndc, reload]; not 'None'"),
        ("reload", {"a": 1}, "reload: must be a list of texts"),
        ("renew", [], "renew: must be a list of texts such as [rndc, renew]; leave it out"),
        (
            "renew",
            ["rndc", 953],
            "renew: must be a list of texts such as [rndc, renew]; put quotes",
        ),
        ("renew", ["rndc", ["a"]], "renew: must be a list of texts"),
        ("renew", b"rndc", "renew: must be a list of texts"),
        ("check", [""], "check: '' cannot be the program to run"),
        ("check", ["{path}"], "check: '{path}' cannot be the program to run"),
        ("renew", ["/bin/{name}"], "renew: '/bin/{name}' cannot be the program to run"),
        ("check", ["a", "b\0"], "check: 'b\\x00' cannot be an argument of a program"),
        ("check", ["a", "\ud800"], "check: '\\ud800' cannot be an argument of a program"),
        ("check", ["a", "--file={pth}"], "check: unknown placeholder in '--file={pth}'; did you "),
        ("check", ["a", "{Path}"], "check: unknown placeholder in '{Path}'; did you mean {path}?"),
        ("check", ["a", "{file}"], "check: unknown placeholder in '{file}'; known here: {path}, "),
        ("reload", ["a", "${HOME}"], "reload: unknown placeholder in '${HOME}'; "),
        ("check-timeout", 0, "check-timeout: must be seconds, or a duration such as 500ms, 5s"),
        ("check-timeout", -1, "check-timeout: must be seconds"),
        ("check-timeout", True, "check-timeout: must be seconds"),
        ("check-timeout", None, "check-timeout: must be seconds"),
        ("check-timeout", "5 days", "check-timeout: must be seconds"),
        ("check-timeout", math.nan, "check-timeout: must be seconds"),
        ("check-timeout", math.inf, "check-timeout: must be seconds"),
        ("check-timeout", "9" * 400, "check-timeout: must be seconds"),
        ("check-timeout", "169h", "check-timeout: must be seconds"),
    ],
)
def test_unusable_options_are_refused(option: Any, value: Any, said: str) -> None:
    """The message names the option, what is wrong with it, and what was meant."""
    with pytest.raises(ValueError, match=r".") as caught:
        open_command_daemon({option: value}, files_dir=FILES_DIR)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(5, 5.0), (0.5, 0.5), ("5", 5.0), ("5s", 5.0), ("250ms", 0.25), ("1.5 m", 90.0), ("1h", 3600)],
)
def test_a_time_limit_is_a_number_or_a_duration(value: object, seconds: float) -> None:
    """Durations are written as everywhere in the settings."""
    assert command_daemon(check_timeout=value)._check_timeout == seconds


def test_the_time_limit_of_a_check_is_a_minute_by_default() -> None:
    """Who sets none gets one that ends."""
    assert command_daemon()._check_timeout == 60


def test_files_dir_is_not_a_template() -> None:
    """Braces in the name of files-dir are no placeholders."""
    options = {"check": shell('[ "$1" = "$2$3" ]', "{dir}", "/srv/{", "name}")}
    daemon = open_command_daemon(options, files_dir="/srv/{name}")
    assert daemon.check("/staged", "a") == CheckPassed()


def test_the_reference_page_is_right() -> None:
    """Its example can be used, and it lists every option and every placeholder."""
    page = Path(__file__).parents[2].joinpath("docs/reference/command-daemon.md").read_text()
    example = yaml.safe_load(page.split("```yaml")[1].split("```")[0])["filesync"]["daemon"]
    assert example.pop("adapter") == "command"
    assert set(example) == set(_command._OPTIONS)
    open_command_daemon(example, files_dir=FILES_DIR)
    for word in (*_command._OPTIONS, *(f"{{{name}}}" for name in _command._PLACEHOLDERS)):
        assert f"| `{word}` |" in page
