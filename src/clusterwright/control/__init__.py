"""The control plane: journal, live loop, accounts, HTTP API.

What happened is written down before anything is done about it; the state is what the journal says.
"""
