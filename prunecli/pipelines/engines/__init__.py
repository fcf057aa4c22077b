"""Where the points of a grid are made, if not one after the other in this process."""
