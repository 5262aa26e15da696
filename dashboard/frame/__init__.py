"""What all pages share: their width, their name, chips that open a setting, and how an older answer is shown."""
