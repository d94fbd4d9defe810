"""What the operator asks for: one YAML file, checked whole, then frozen."""
