"""What webhooks and admission policies share: which requests they are about, and whom they ask."""
