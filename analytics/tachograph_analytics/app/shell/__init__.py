"""What Streamlit is started with: the entry and, beside it where it looks for them, the settings.

The entry has no folder `pages` beside it: Streamlit would run those files as pages of their own, without the entry.
"""
