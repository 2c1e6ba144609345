"""
A small server that is controlled as Unbound is: it reads zone files, and lists their serials.

    python zone_server.py serve SOCKET NAME=FILE...
    python zone_server.py ask SOCKET COMMAND...

Like Unbound 1.17 it has read the serial of a file before it finds an error further down,
and lists it. The command ``auth_zone_reload`` of a zone called ``endless.rpz`` never ends.
"""

import re
import socket
import sys


class Server:
    """The zones: by name, where the file is, and the serial that was read last."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files
        self._serials: dict[str, str | None] = {}
        for name in files:
            self._read(name)

    def answer(self, command: str) -> str:
        verb, _, name = command.partition(" ")
        if verb == "list_auth_zones":
            lines = ((name, self._serials.get(name)) for name in self._files)
            return "".join(
                f"{name}.\t{f'serial {serial}' if serial else 'no serial'}\n"
                for name, serial in lines
            )
        if verb != "auth_zone_reload":
            return f"error unknown command '{verb}'\n"
        if name not in self._files:
            return f"error no auth-zone {name}\n"
        return "ok\n" if self._read(name) else f"error failed to read {name}\n"

    def _read(self, name: str) -> bool:
        try:
            with open(self._files[name], encoding="utf-8") as file:
                first, *records = file.read().splitlines()
        except OSError:
            return False
        soa = re.fullmatch(r"@ IN SOA \S+ \S+ (\d+) .*", first)
        self._serials[name] = soa[1] if soa else None
        return bool(soa) and all(re.fullmatch(r"\S+ (CNAME|NS) \S+", each) for each in records)


def serve(path: str, files: dict[str, str]) -> None:
    server, kept = Server(files), []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            link, _ = listener.accept()
            command = link.makefile().readline().removeprefix("UBCT1 ").strip()
            if command == "auth_zone_reload endless.rpz":
                kept.append(link)
                continue
            with link:
                link.sendall(server.answer(command).encode())


def ask(path: str, command: str) -> int:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        link.sendall(f"UBCT1 {command}\n".encode())
        answer = link.makefile().read()
    sys.stdout.write(answer)
    return 1 if answer.startswith("error") else 0


if __name__ == "__main__":
    verb, path, *words = sys.argv[1:]
    if verb == "ask":
        sys.exit(ask(path, " ".join(words)))
    serve(path, dict(word.split("=") for word in words))
