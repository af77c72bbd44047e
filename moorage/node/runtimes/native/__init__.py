"""The native runtime: real pods made of Linux namespaces with the standard library alone, as root or as any user.

zygote.py, shim.py and what they import run in small single-threaded processes of their own (started with `-S -E -B`),
so they use nothing beyond the standard library. native.py, host.py, channel.py and sweep.py live in the agent.
"""
