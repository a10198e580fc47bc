"""The firmware of the emulated board: registers, operations, the interlock."""
