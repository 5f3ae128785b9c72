"""What a warehouse adds up by itself: one SQL text, in the dialects of the engines that inventories lie in."""
