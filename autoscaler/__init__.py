"""How many replicas each service should have: decided purely, acted on thinly."""
