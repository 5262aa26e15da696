"""Files of deployments and expectations: read, written, checked, and their schema."""
