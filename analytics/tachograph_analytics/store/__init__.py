"""The store: WAL to Parquet and manifest, and the views over them."""
