"""Keys that sign, and the signed envelope that bundles and evidence stand in."""
