"""The dashboard: a page for each question that people ask; the bare address answers whether a model fits."""

import streamlit as st

from dashboard import state
from dashboard.pages import fits

st.set_page_config(page_title="KV-cache planner", layout="wide")

PAGES = [st.Page(fits.show, title="Does it fit?", default=True)]

page = st.navigation(PAGES, position="top" if len(PAGES) > 1 else "hidden")
state.load(page.url_path)
with st.sidebar:
    st.markdown("**KV-cache planner**")
page.run()
