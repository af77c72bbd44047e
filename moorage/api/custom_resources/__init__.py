"""Custom resources: what definitions may say, and what they make of objects. Pure, but for `publication`, which serves them."""
