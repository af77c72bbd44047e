"""Small asynchronous tools: the only place with time, chance and tasks. No Kubernetes words."""
