"""`retire`: which key versions may go, and how data leaves them."""
