"""`filesync check`, and what a start says about the same faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from filesync.__main__ import main
from support.place import Place

#: The driver that a package wraps is hidden from the program.
WITHOUT_DRIVER = """
import sys
sys.modules["confluent_kafka"] = None
from filesync.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def check(place: Place, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run ``filesync check``; return its status, and what it printed to whom."""
    status = main(["check", str(place.path)])
    return status, *capsys.readouterr()


def test_a_namesake_in_the_same_environment_is_told(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another project owns the name on PyPI: with both installed nothing can be relied on."""
    place.install("filesync", "9.9")
    status, out, err = check(place, capsys)
    assert (status, out) == (2, "")
    assert "'filesync' 9.9, another project" in err
    assert "pip uninstall filesync" in err


def test_good_settings_are_said_back(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What they mean, in words; nothing is created and nobody is asked."""
    status, out, err = check(place, capsys)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"{place.path}: the settings are valid",
        "  host name   ns1",
        "  topic       files at localhost:9092",
        "  security    plaintext",
        f"  files-dir   {place.files}",
        "  daemon      command",
    ]
    assert list(place.files.iterdir()) == []


def test_a_check_says_that_it_is_switched_off(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings may be right and yet do nothing."""
    place.write(enable=False)
    status, out, _ = check(place, capsys)
    assert status == 0
    assert out.splitlines()[-1] == "  kafka.enable is false: filesync run ends at once"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"kafka:\n  enabel: true\n", "settings.yaml, line 2: kafka.enabel: unknown key"),
        (b"kafka: \xff\n", "settings.yaml: byte 7 is not UTF-8"),
        (b"kafka: [\n", "settings.yaml, line "),
        (b"# " + b"x" * (1 << 20), "settings.yaml"),
    ],
    ids=["key", "bytes", "yaml", "size"],
)
def test_bad_settings_are_told_with_their_line(
    place: Place, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    """Status 2, one line, the file's name in it."""
    place.path.write_bytes(content)
    status, out, err = check(place, capsys)
    assert (status, out) == (2, "")
    assert err.startswith("filesync: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("name", "why"), [("missing.yaml", "No such file or directory"), ("files", "Is a directory")]
)
def test_settings_that_cannot_be_read_are_told(
    place: Place, capsys: pytest.CaptureFixture[str], command: str, name: str, why: str
) -> None:
    """Status 2, the path and the system's reason."""
    path = str(place.folder / name)
    assert main([command, *(["-c"] if command == "run" else []), path]) == 2
    assert capsys.readouterr() == ("", f"filesync: {path}: {why}\n")


def test_a_daemon_that_cannot_be_set_up_is_told(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the adapter does not understand is the settings' fault, with their file and key."""
    place.path.write_text(place.path.read_text().replace("renew:", "renwe:"))
    status, _, err = check(place, capsys)
    assert status == 2
    assert f"filesync: {place.path}, line 9: filesync.daemon: " in err
    assert "unknown option 'renwe'; did you mean renew?" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{adapter: comand}", "filesync.daemon.adapter: no daemon adapter is called 'comand'; did"),
        ("{reload: now}", "filesync.daemon.reload: must be a list of texts"),
        ("{check: [test, {path}]}", "filesync.daemon.check: a placeholder needs quotes: write '{p"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_daemon_is_told_with_the_line_of_what_is_wrong(
    place: Place, capsys: pytest.CaptureFixture[str], command: str, written: str, said: str
) -> None:
    """Found when it is set up, and told as what is found by reading."""
    text = place.path.read_text()
    place.path.write_text(f"{text[: text.index('  daemon:')]}  daemon: {written}\n")
    assert main([command, *(["-c"] if command == "run" else []), str(place.path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"filesync: {place.path}, line 9: {said}")


def test_an_unknown_driver_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo is told with what there is."""
    place.write(driver="smaple")
    status, out, err = check(place, capsys)
    assert (status, out) == (2, "")
    assert err.startswith(
        f"filesync: {place.path}, line 7: filesync.driver: no driver is called 'smaple'; "
        "did you mean sample? installed: "
    )


@pytest.mark.parametrize(
    ("key", "said"),
    [("file-owner", "no-such-user"), ("file-group", "no-such-group")],
)
def test_an_unknown_owner_is_told(
    place: Place, capsys: pytest.CaptureFixture[str], key: str, said: str
) -> None:
    """Every file would wait for it."""
    place.write(more=f"  {key}: {said}\n")
    status, out, err = check(place, capsys)
    assert (status, out) == (2, "")
    assert err == (
        f"filesync: {place.path}, line 10: filesync.{key}: {said!r} is not known on this host\n"
    )


def test_a_driver_that_refuses_its_configuration_is_told(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a start would tell it, and nothing is said to be valid."""
    place.write(driver="refusing")
    assert check(place, capsys) == (2, "", "filesync: ca-file is no certificate\n")


def test_options_for_no_driver_are_warned_of(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """They have no effect; those for a driver that is not installed may stand there."""
    text = place.path.read_text()
    options = "  options: {confluent: {a: 1}, kafka-python: {}, sample: {}}\n"
    place.path.write_text(text.replace("filesync:\n", f"{options}filesync:\n"))
    status, out, err = check(place, capsys)
    assert (status, out.partition("\n")[0]) == (0, f"{place.path}: the settings are valid")
    assert err == (
        f"filesync: warning: {place.path}, line 6: kafka.options.confluent: "
        "no driver has that name; did you mean confluent-kafka?\n"
    )


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_section_that_is_misspelt_is_warned_of(
    place: Place, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Without it nothing is received, though all that is there is right."""
    place.path.write_text(place.path.read_text().replace("kafka:\n", "kakfa:\n"))
    status = main([command, *(["-c"] if command == "run" else []), str(place.path)])
    out, err = capsys.readouterr()
    assert (
        f"warning: {place.path}, line 2: kakfa: not a key of filesync; did you mean kafka?" in err
    )
    assert "there is no section kafka" in out + err
    assert status == (0 if command == "run" else 2)  # Its files-dir is another one.


def test_keys_of_others_are_not_warned_of(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even one that is like ours, if ours is there."""
    place.write(more="kafka-ui: 1\nnetwork: {}\n")
    status, _, err = check(place, capsys)
    assert (status, err) == (0, "")


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_missing_driver_is_told_with_the_command_that_installs_it(
    place: Place, command: str
) -> None:
    """Status 2, and exactly what to type; for the adapter of this project."""
    place.write(driver="confluent-kafka")
    option = ["-c"] if command == "run" else []
    process = place.start("-c", WITHOUT_DRIVER, command, *option, str(place.path))
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert err == (
        "filesync: 'confluent-kafka' needs the Python package 'confluent_kafka': "
        "pip install 'kafka-filesync[confluent-kafka]'\n"
    )
    assert list(place.files.iterdir()) == []


def test_the_demo_needs_a_driver(place: Place) -> None:
    """Without the package that carries its broker the demo says how to get it."""
    process = place.start("-c", WITHOUT_DRIVER, "demo")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert err.endswith(": pip install 'kafka-filesync[confluent-kafka]'\n")
    assert err.count("\n") == 1


def test_somebody_elses_adapter_names_its_driver(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package that is missing is named as Python knows it."""
    place.write(driver="undriven")
    status, _, err = check(place, capsys)
    assert status == 2
    assert "'undriven' needs the Python package 'a_driver_of_nobody'" in err


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda path: None, "create it, or correct kafka.files-dir"),
        (Path.touch, "kafka.files-dir"),
    ],
    ids=["missing", "file"],
)
def test_an_unusable_files_dir_is_told(
    place: Place, capsys: pytest.CaptureFixture[str], make: Callable[[Path], object], advice: str
) -> None:
    """Status 2, for a check and for a start: the path, and what to do."""
    path = place.folder / "elsewhere"
    make(path)
    place.write(files_dir=path)
    status, _, err = check(place, capsys)
    assert status == 2
    done = place.run()
    assert done.returncode == 2
    for said in (err, done.stderr):
        assert said.startswith(f"filesync: files-dir {path} ")
        assert advice in said
        assert said.count("\n") == 1
