"""How the scaling policies compare, in virtual time: `make bench-autoscaler`."""
