"""One file a kind, one shape (see moorage.api.kind_rules): only what the tables cannot say."""
