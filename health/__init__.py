"""Who may serve: probes and real traffic become verdicts. It only marks."""
