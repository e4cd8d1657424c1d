"""Response families and links: what a response may be, and its distribution given eta."""
