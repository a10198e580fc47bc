"""What makes a board that is not ideal read alike: calibrate, balance, level."""
