"""The dashboard: a page for each question that people ask; the bare address answers whether a model fits."""

import streamlit as st

from dashboard import process, state, turning
from dashboard.pages import compare, fits, heads, need

st.set_page_config(page_title="KV-cache planner", layout="wide")

PAGES = [
    st.Page(fits.show, title="Does it fit?", default=True),
    st.Page(need.show, title="What do I need?", url_path=turning.NEED),
    st.Page(heads.show, title="How many KV heads?", url_path="heads"),
    st.Page(compare.show, title="Compare", url_path="compare"),
]

page = st.navigation(PAGES, position="top" if len(PAGES) > 1 else "hidden")
turning.remember(PAGES)
state.load(page.url_path)
page.run()
process.freeze()
