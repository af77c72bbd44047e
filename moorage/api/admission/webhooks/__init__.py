"""Admission webhooks: programs of users that are asked about writes over HTTPS. One file a concern.

How a call reaches its webhook is not known here: moorage.cluster.webhooks implements the WebhookCaller.
"""
