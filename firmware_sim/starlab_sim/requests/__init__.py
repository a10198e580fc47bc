"""What only an emulated board can be asked: another chip, time, faults."""
