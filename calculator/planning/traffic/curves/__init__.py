"""What changes with the number of requests at once: the risk of the pool, the rules of admission, the speed."""
