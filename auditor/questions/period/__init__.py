"""`report --period`: what was unreadable when, and how much of the time anybody looked."""
