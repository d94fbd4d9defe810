"""Replays of when real services were called, against rules for putting them to sleep."""
