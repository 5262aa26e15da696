"""Open arrivals: a replica that is sent requests at a rate, whether it keeps up or not."""
