"""Calling webhooks: from a Service or a URL to a connection, and over it in HTTP/1.1. Implements the API's WebhookCaller."""
