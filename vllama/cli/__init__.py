"""One verb, one module; only output prints."""
