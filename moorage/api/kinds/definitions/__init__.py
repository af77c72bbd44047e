"""What definitions of custom resources are made of: schemas, subresources, columns, conversion."""
