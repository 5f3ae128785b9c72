"""The parts of a poll: which keys are asked, what is known besides, and what stays open."""
