"""Connections that stop speaking HTTP: WebSocket and SPDY, and what runs over them."""
