"""One file a page, each run by Streamlit as a script."""
