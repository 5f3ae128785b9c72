"""`prove-revoked`: whether a key that was revoked on purpose is dead to everybody."""
