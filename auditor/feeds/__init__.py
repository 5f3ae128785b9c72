"""Feeds of events: how they are listened to, and when one counts as silent."""
