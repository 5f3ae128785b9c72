"""Who did what findings say: audit logs asked, and their entries matched."""
