"""What the data say about the precision of estimates: degrees of freedom of tests."""
