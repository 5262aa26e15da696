"""The tabs by the names that links know them by: views, some of which share one, then the panels that are no views."""

from __future__ import annotations

from calculator.views import VIEWS

PANELS = {"memory": "Memory table"}
MOVED = {"reconcile": "log", "about": "method"}
"""Tabs that have become pages: their addresses by what old links call them."""
TABS = {question.part_of or name: question.tab for name, question in VIEWS.items()} | PANELS
