"""What stands in an address: every page's parameters, and what is packed into one."""
