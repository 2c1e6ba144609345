"""What adapters for Kafka drivers share; loads no driver."""
