"""Many readers of one server at once: real websocket clients that behave as the page's own front end does."""
