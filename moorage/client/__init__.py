"""The Client Protocol, the HTTP client, kubeconfig."""
