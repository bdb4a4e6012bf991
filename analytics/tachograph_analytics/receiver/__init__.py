"""The receiver: takes OTLP and alerts over HTTP and acks what is durable in the WAL."""
