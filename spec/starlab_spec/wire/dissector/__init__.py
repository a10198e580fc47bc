"""The Wireshark dissector, made from the field table."""
