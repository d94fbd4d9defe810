"""Where values come from that are measured elsewhere: one driver for each kind of rule."""
