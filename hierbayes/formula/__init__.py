"""The formula language: text to terms. Own grammar, never evaluates code, knows no data."""
