"""What people ask before they act, one package a command: answered from what is stored."""
