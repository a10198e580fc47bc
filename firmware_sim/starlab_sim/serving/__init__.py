"""The emulated board on its cables: datagrams in, datagrams out, and a bad network on request."""
