"""What the kinds of certificates share."""
