"""The dashboard: a page for each question that people ask; the bare address answers whether a model fits."""

import streamlit as st

from dashboard import language, state
from dashboard.frame import page as frame
from dashboard.frame import process, turning
from dashboard.pages import page
from dashboard.text import tell

st.set_page_config(page_icon=frame.icon(), layout="wide")  # first: an icon of a page would be fetched from elsewhere
language.choose()

PAGES = [
    st.Page(page("fits"), title=tell("Does it fit?"), icon=":material/check_circle:", default=True),
    st.Page(page("need"), title=tell("What do I need?"), icon=":material/search:", url_path=turning.NEED),
    st.Page(page("heads"), title=tell("How many KV heads?"), icon=":material/graph_3:", url_path="heads"),
    st.Page(page("compare"), title=tell("Compare"), icon=":material/compare_arrows:", url_path="compare"),
    st.Page(page("log"), title=tell("Check my log"), icon=":material/terminal:", url_path=turning.LOG),
    st.Page(page("method"), title=tell("Method and accuracy"), icon=":material/verified:", url_path=turning.METHOD),
]

chosen = st.navigation(PAGES, position="top")
st.set_page_config(page_title=f"{chosen.title} · {frame.NAME}")
frame.name_it()
turning.remember(PAGES)
state.load(chosen.url_path)
chosen.run()
language.switch()
process.freeze()
