"""Films: read and written frame by frame, and what moves in them."""
