"""What the tests lean on: a real broker, a way to wait, a summary of reports."""
