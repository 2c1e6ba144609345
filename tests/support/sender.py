"""
A sender that knows nothing of filesync: four headers, and a Kafka producer.

    python sender.py ADDRESS TOPIC HOSTNAME NAME=PATH… [--header files-name]
                     [--order in-order] [--chunk-bytes N] [--only FIRST:LAST]
"""

from __future__ import annotations

import argparse
import pathlib
import random
import sys

from confluent_kafka import Producer


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("topic")
    parser.add_argument("hostname")
    parser.add_argument("files", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--header", choices=["files-name", "file-name"], default="files-name")
    parser.add_argument("--order", choices=["in-order", "reversed", "shuffled"], default="in-order")
    parser.add_argument("--chunk-bytes", type=int, default=512 * 1024)
    parser.add_argument("--only", default=":", help="chunks FIRST:LAST, from 0, the last excluded")
    options = parser.parse_args()

    producer = Producer(
        {
            "bootstrap.servers": options.address,
            "enable.idempotence": True,
            "message.max.bytes": 10_000_000,
            "linger.ms": 0,
        }
    )
    failures: list[str] = []
    for name, path in (pair.split("=", 1) for pair in options.files):
        data = pathlib.Path(path).read_bytes()
        size = options.chunk_bytes
        count = max(1, -(-len(data) // size))
        first, last = options.only.split(":")
        order = list(range(count))[int(first or 0) : int(last or count)]
        if options.order == "reversed":
            order.reverse()
        elif options.order == "shuffled":
            random.Random(7).shuffle(order)
        for index in order:
            headers: list[tuple[str, str | bytes | None]] = [
                ("hostname", options.hostname.encode()),
                (options.header, name.encode()),
                ("total-chunks", str(count).encode()),
                ("chunk-index", str(index + 1).encode()),
            ]
            while True:
                try:
                    producer.produce(
                        options.topic,
                        key=name.encode(),
                        value=data[index * size : (index + 1) * size],
                        headers=headers,
                        on_delivery=lambda error, _: failures.append(str(error)) if error else None,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
    left = producer.flush(60)
    if left or failures:
        sys.stderr.write(f"{left} left, {failures[:3]}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
