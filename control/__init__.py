"""The control plane, wired once: for real and in virtual time it is the same one."""
