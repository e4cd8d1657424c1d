"""Results as text and HTML; nothing in here estimates anything."""
